"""The cells that Yosys maps to: what each takes of a device.

A cell that is not known here is an error, never a zero.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from pipeline.synth.netlist import CONSTANT, Cell, Net

LOGIC = {**{f"LUT{n}": 1 for n in range(1, 7)}, "LUT6_2": 1, "INV": 1, "CCU2C": 2}
"""LUT sites of logic.  LUT6_2 is one site with two outputs.  An inverter that Yosys leaves takes
one, since no LUT before or behind it could take it in.  A carry cell of an ECP5 is made of two
LUTs; one of a Xilinx stands beside them."""
SRL = {"SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1}
LUTRAM = {
    **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8},
    **{"RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8},
    **{"RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8},
    # four LUTs, and the two of the slice that writes them
    "TRELLIS_DPR16X4": 6,
}
"""LUT sites of memory made of LUTs (AMD UG474 and UG574; Lattice FPGA-TN-02204)."""
FF = {*("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1", "TRELLIS_FF")}
DSP = {"DSP48E1", "DSP48E2", "MULT18X18D"}
BRAM36 = {
    **{"RAMB36E1": 1.0, "RAMB36E2": 1.0, "RAMB18E1": 0.5, "RAMB18E2": 0.5},
    **{"DP16KD": 0.5, "PDPW16KD": 0.5},
}
"""Blocks of 36 kbit; a block of 18 kbit is half of one."""
CARRY = {"CARRY4", "CARRY8", "CCU2C"}
MUX = {"MUXF7", "MUXF8", "MUXF9", "PFUMX", "L6MUX21"}
LATCHES = {"LDCE", "LDPE"}
FREE = CARRY | MUX | {"BUFG", "VCC", "GND", "VLO", "VHI"}
NETS_OF_A_PAIR, NEIGHBOURS = 5, 32


@dataclass(frozen=True)
class Usage:
    """lut: sites, which are those of logic, lutram and srl; bram36: blocks of 36 kbit, or halves;
    packed: an estimate of what is left of `lut` where two small LUTs with common inputs share a
    site, as Xilinx devices can, and Yosys never has them do."""

    lut: int = 0
    logic: int = 0
    lutram: int = 0
    srl: int = 0
    ff: int = 0
    dsp: int = 0
    bram36: float = 0.0
    packed: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class UnknownCellError(Exception):
    """Yosys made a cell whose cost is not known here: a bug of ours."""


def usage(cells: Iterable[Cell], boxes: Mapping[str, str]) -> Usage:
    """What the cells of a part take; `boxes`: modules in it that are counted by themselves."""
    own = [cell for cell in cells if cell.kind not in boxes]
    kinds = Counter(cell.kind for cell in own)
    _require_known(kinds)
    logic, lutram, srl = (_weighed(kinds, table) for table in (LOGIC, LUTRAM, SRL))
    lut = logic + lutram + srl
    return Usage(
        lut=lut,
        logic=logic,
        lutram=lutram,
        srl=srl,
        ff=sum(kinds[kind] for kind in FF),
        dsp=sum(kinds[kind] for kind in DSP),
        bram36=float(sum(kinds[kind] * weight for kind, weight in BRAM36.items())),
        packed=lut - pairs(own),
    )


def _weighed(kinds: Counter[str], table: Mapping[str, int]) -> int:
    return sum(kinds[kind] * sites for kind, sites in table.items())


def _require_known(kinds: Counter[str]) -> None:
    latches = sorted(kinds.keys() & LATCHES)
    known = LOGIC.keys() | SRL.keys() | LUTRAM.keys() | FF | DSP | BRAM36.keys() | FREE
    unknown = sorted(kinds.keys() - known)
    if latches or unknown:
        raise UnknownCellError(f"cells whose cost is not known: {', '.join(latches + unknown)}")


# --- two LUTs in one site -----------------------------------------------------------------------


def pairs(cells: Iterable[Cell]) -> int:
    """How many LUTs find another to share a site with: one that has a common input, both together
    of five at most.  Greedy, those of most inputs first, each with the most alike; so an estimate.
    """
    inputs = [nets for cell in cells if (nets := lut_inputs(cell))]
    users = defaultdict[Net, list[int]](list)
    for index, nets in enumerate(inputs):
        for net in nets:
            users[net].append(index)
    taken, found = [False] * len(inputs), 0
    for index in sorted(range(len(inputs)), key=lambda i: -len(inputs[i])):
        if taken[index]:
            continue
        taken[index] = True
        near = {other for other in _neighbours(inputs[index], users) if not taken[other]}
        fitting = [x for x in near if len(inputs[index] | inputs[x]) <= NETS_OF_A_PAIR]
        if fitting:
            taken[max(fitting, key=lambda x: (len(inputs[index] & inputs[x]), -x))] = True
            found += 1
    return found


def _neighbours(nets: frozenset[Net], users: Mapping[Net, list[int]]) -> Iterator[int]:
    """LUTs with a common input; of inputs that go everywhere only a few."""
    for net in nets:
        yield from users[net][:NEIGHBOURS]


def lut_inputs(cell: Cell) -> frozenset[Net]:
    """Of a Xilinx LUT that may share its site; empty for every other cell."""
    if cell.kind not in ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5") or "O" not in cell.pins:
        return frozenset()
    nets = {net for port, nets in cell.pins.items() if port != "O" for net in nets}
    return frozenset(nets - {CONSTANT})
