"""Where paths of logic start, where they end, and how they go through cells.

A level is a LUT, an inverter, a multiplier without registers, or a carry chain however long: inside
one, signals pass from cell to cell by wires of their own.  Multiplexers that join LUTs (MUXF7 ..,
PFUMX) stand in the LUT's slice and are no level.  A level is no delay: no clock follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.synth.cells import BRAM36, CARRY, DSP, FF, LOGIC, LUTRAM, MUX, SRL
from pipeline.synth.netlist import CONSTANT, Cell, Net

LEVEL, LINK, JOIN = 1_000_000, 1_000, 1
"""Costs, so that more levels come before more carry cells, and these before multiplexers."""

Arc = tuple[Net, Net, int]

_CLOCKS = {"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK", "CLKA", "CLKB", "WCK"}
_CLOCKS |= {"REGCLKARDRCLK", "REGCLKB"}
_DSP_REGISTERS = {
    **{"A": "AREG", "B": "BREG", "C": "CREG", "D": "DREG", "CARRYIN": "CARRYINREG"},
    **{"ALUMODE": "ALUMODEREG", "OPMODE": "OPMODEREG", "INMODE": "INMODEREG"},
    "CARRYINSEL": "CARRYINSELREG",
}
_MULTIPLIED = ("A", "B", "D", "INMODE")
_DSP_OUT = ("P", "PCOUT", "CARRYOUT", "PATTERNDETECT", "PATTERNBDETECT", "CARRYCASCOUT")
_ECP5_MULTIPLIED = ("A", "B")


@dataclass(frozen=True)
class Timing:
    """Of a cell: nets that it drives from a register, ports whose nets it stores, ways through."""

    starts: tuple[Net, ...] = ()
    ends: tuple[Net, ...] = ()
    arcs: tuple[Arc, ...] = ()


def timing(cell: Cell) -> Timing:
    """How paths meet a cell; constants and clocks are no paths."""
    if cell.kind in FF or cell.kind in BRAM36:
        return Timing(_outputs(cell), _inputs(cell))
    if cell.kind in SRL or cell.kind in LUTRAM:
        return _memory(cell)
    if cell.kind in DSP:
        return _multiplier(cell)
    return Timing(arcs=tuple(_known(_logic(cell))))


def _logic(cell: Cell) -> Iterator[Arc]:
    """Of a cell that stores nothing."""
    if cell.kind in CARRY:
        return _carry(cell)
    cost = {**dict.fromkeys(LOGIC, LEVEL), **dict.fromkeys(MUX, JOIN)}
    return _through(cell, cost[cell.kind]) if cell.kind in cost else iter(())


def _known(arcs: Iterator[Arc]) -> Iterator[Arc]:
    return (arc for arc in arcs if CONSTANT not in arc[:2])


_OUT = {"O", "O5", "O6", "Q", "Q31", "Q15", "Z", "DPO", "SPO", "S0", "S1", "COUT", "CO", "DO"}


def is_output(cell: Cell, port: str) -> bool:
    """Of the cells that are known here."""
    if cell.kind in BRAM36:
        return port.startswith(("DO", "CASDO")) or "ERR" in port
    if cell.kind in DSP:
        return port in _DSP_OUT or port.rstrip("0123456789") in ("P", "ROA", "ROB", "ROC")
    return port in _OUT or (cell.kind in LUTRAM and port.startswith("DO"))


def _outputs(cell: Cell) -> tuple[Net, ...]:
    return tuple(n for p, nets in cell.pins.items() if is_output(cell, p) for n in nets if n)


def _inputs(cell: Cell) -> tuple[Net, ...]:
    return tuple(
        net
        for port, nets in cell.pins.items()
        if not is_output(cell, port) and port not in _CLOCKS
        for net in nets
        if net
    )


def _through(cell: Cell, cost: int) -> Iterator[Arc]:
    """From every input to every output; the lower output of a LUT6_2 has not the last input."""
    for out, targets in cell.pins.items():
        if is_output(cell, out):
            for port, nets in cell.pins.items():
                if not is_output(cell, port) and (out, port) != ("O5", "I5"):
                    yield from ((a, b, cost) for a in nets for b in targets)


def _carry(cell: Cell) -> Iterator[Arc]:
    """Into a chain costs a level, along it a link; bit i reaches sums from i on, carries too."""
    enter, along = LEVEL + LINK, LINK
    if cell.kind == "CCU2C":
        yield from _ecp5_carry(cell, enter, along)
        return
    sums, carries = cell.pins.get("O", ()), cell.pins.get("CO", ())
    for port, nets in cell.pins.items():
        if port in ("O", "CO"):
            continue
        cost = along if port == "CI" else enter
        for bit, net in enumerate(nets):
            first = bit if port in ("S", "DI") else 0
            behind = first + (port == "DI")  # DI goes into the carry only
            yield from ((net, target, cost) for target in (*sums[behind:], *carries[first:]))


def _ecp5_carry(cell: Cell, enter: int, along: int) -> Iterator[Arc]:
    for port, nets in cell.pins.items():
        if is_output(cell, port):
            continue
        cost = along if port == "CIN" else enter
        reached = ("S1", "COUT") if port.endswith("1") else ("S0", "S1", "COUT")
        for out in reached:
            yield from ((a, b, cost) for a in nets for b in cell.pins.get(out, ()))


def _memory(cell: Cell) -> Timing:
    """Written by a clock, read through the address: a start and a LUT at once."""
    arcs = [
        (address, data, LEVEL)
        for out, targets in cell.pins.items()
        if is_output(cell, out) and out not in ("Q31", "Q15")
        for port in _addresses(cell, out)
        for address in cell.pins[port]
        for data in targets
    ]
    return Timing(_outputs(cell), _written(cell), tuple(_known(iter(arcs))))


def _written(cell: Cell) -> tuple[Net, ...]:
    """What a memory stores or is written by."""
    kept = {port: nets for port, nets in cell.pins.items() if not _only_reads(cell, port)}
    return _inputs(Cell(cell.kind, cell.parameters, kept))


def _only_reads(cell: Cell, port: str) -> bool:
    """Addresses by which nothing is written; of several ADDR the last one writes."""
    if cell.kind in SRL:
        return port.startswith("A")
    if port.startswith("ADDR"):
        return port != max(name for name in cell.pins if name.startswith("ADDR"))
    return port.startswith(("DPRA", "RAD"))


def _addresses(cell: Cell, out: str) -> list[str]:
    """The ports of the address that an output is read by."""
    if out == "DO":
        return ["RAD"]
    if out.startswith("DO"):
        return [f"ADDR{out[2:]}"]
    if out == "DPO":
        return [port for port in cell.pins if port.startswith("DPRA")]
    return [port for port in cell.pins if port.rstrip("0123456789") == "A"]


def _multiplier(cell: Cell) -> Timing:
    """Inputs go through where no register of theirs, of the product or of the sum is in use."""
    outputs = _outputs(cell)
    ends, arcs = list[Net](), list[Arc]()
    for port, nets in cell.pins.items():
        if is_output(cell, port) or port in _CLOCKS:
            continue
        if _registered(cell, port):
            ends += [net for net in nets if net]
        else:
            arcs += [(net, out, LEVEL) for net in nets for out in outputs]
    starts = (
        outputs if any(_in_use(cell, name) for name in ("PREG", "MREG", "AREG", "BREG")) else ()
    )
    return Timing(starts, tuple(ends), tuple(_known(iter(arcs))))


def _registered(cell: Cell, port: str) -> bool:
    if cell.kind == "MULT18X18D":
        return port.rstrip("0123456789") not in _ECP5_MULTIPLIED or _in_use(cell, "AREG")
    names = ["PREG", _DSP_REGISTERS.get(port, "")]
    if port in _MULTIPLIED:
        names += ["MREG"]
    if port in ("A", "D") and cell.parameters.get("USE_DPORT", "").strip() == "TRUE":
        names += ["ADREG"]
    return port.startswith(("CE", "RST")) or any(_in_use(cell, name) for name in names)


def _in_use(cell: Cell, register: str) -> bool:
    """A register of a multiplier; Yosys makes those of an ECP5 without any."""
    if cell.kind == "MULT18X18D":
        return any(
            value.strip() not in ("NONE", "")
            for name, value in cell.parameters.items()
            if name.startswith("REG_") and name.endswith("_CLK")
        )
    return bool(register) and cell.number(register, 1 if register not in cell.parameters else 0) > 0
