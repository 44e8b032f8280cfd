"""The cells that Yosys maps to: what each takes of a device.

A cell that is not known here is an error, never a zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from pipeline.synth import sites
from pipeline.synth.netlist import Cell

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


@dataclass(frozen=True)
class Usage:
    """lut: sites, which are those of logic, lutram and srl; bram36: blocks of 36 kbit, or halves.

    shared: how many more `lut` were if every LUT had a site for itself; packed: an estimate of what
    `lut` were if all LUTs shared that could (`sites`).
    """

    lut: int = 0
    logic: int = 0
    lutram: int = 0
    srl: int = 0
    ff: int = 0
    dsp: int = 0
    bram36: float = 0.0
    shared: int = 0
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
    cells_of_logic, lutram, srl = (_weighed(kinds, table) for table in (LOGIC, LUTRAM, SRL))
    together = sites.shared(own)
    logic = cells_of_logic + sites.passed(own) - together.nested
    lut = logic + lutram + srl
    return Usage(
        lut=lut,
        logic=logic,
        lutram=lutram,
        srl=srl,
        ff=sum(kinds[kind] for kind in FF),
        dsp=sum(kinds[kind] for kind in DSP),
        bram36=float(sum(kinds[kind] * weight for kind, weight in BRAM36.items())),
        shared=together.nested,
        packed=lut - together.common,
    )


def _weighed(kinds: Counter[str], table: Mapping[str, int]) -> int:
    return sum(kinds[kind] * count for kind, count in table.items())


def _require_known(kinds: Counter[str]) -> None:
    latches = sorted(kinds.keys() & LATCHES)
    known = LOGIC.keys() | SRL.keys() | LUTRAM.keys() | FF | DSP | BRAM36.keys() | FREE
    unknown = sorted(kinds.keys() - known)
    if latches or unknown:
        raise UnknownCellError(f"cells whose cost is not known: {', '.join(latches + unknown)}")
