"""How many sites of a Xilinx device LUTs take, of which two may share one.

A site is a LUT of six inputs with a second output: two functions of five inputs together.  Yosys
has no two LUTs share one; placers do.  Counted as shared are only pairs of which one LUT has no
input that the other has not: that adds no wire.  What else could share a site is an estimate.

So modules need no cells of a technology to be counted well: of the seven convolutions of the
published 4-bit network, truth tables and adders as they stood and those made of LUT pairs and carry
cells by hand came to equally many sites (19,750 and 19,797).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.synth.netlist import CONSTANT, Cell, Net

INPUTS_OF_A_PAIR, NEIGHBOURS = 5, 32
_LUTS = {"INV", "LUT1", "LUT2", "LUT3", "LUT4", "LUT5"}
_OUTPUTS = {"O", "O5", "O6"}
_CHAINS = {"CARRY4", "CARRY8"}
_MUXES = {"MUXF7": ("I0", "I1")}


@dataclass(frozen=True)
class Lut:
    """inputs: nets, at most five; fixed: it drives a carry chain or a multiplexer beside it, which
    only one output of a site does."""

    inputs: frozenset[Net]
    fixed: bool


@dataclass(frozen=True)
class Shared:
    """How many sites LUTs save.

    nested: because the inputs of one are inputs of the other; common: more of them, if all did
    that have a common input.
    """

    nested: int
    common: int


def shared(cells: Sequence[Cell]) -> Shared:
    """Greedy, so that a placer finds at least as many."""
    nested, rest = _nested(luts(cells))
    return Shared(nested, _common(rest))


def luts(cells: Sequence[Cell]) -> list[Lut]:
    """Those of a Xilinx device that may share a site."""
    fixed = {net for cell in cells for net in _fixed(cell)}
    own = [cell for cell in cells if cell.kind in _LUTS and "O" in cell.pins]
    return [Lut(_inputs(cell), not fixed.isdisjoint(cell.pins["O"])) for cell in own]


def _inputs(cell: Cell) -> frozenset[Net]:
    nets = {net for port, nets in cell.pins.items() if port != "O" for net in nets}
    return frozenset(nets - {CONSTANT})


def _fixed(cell: Cell) -> Iterator[Net]:
    """Nets that reach a cell from the main output of the LUT beside it."""
    ports = ("S",) if cell.kind in _CHAINS else _MUXES.get(cell.kind, ())
    for port in ports:
        yield from (net for net in cell.pins.get(port, ()) if net != CONSTANT)


def passed(cells: Sequence[Cell]) -> int:
    """Sites that a net takes to get into a carry chain: its bits that have no LUT of their own."""
    bits = [net for cell in cells if cell.kind in _CHAINS for net in _fixed(cell)]
    made = {
        net
        for cell in cells
        if cell.kind.startswith("LUT") or cell.kind == "INV"
        for port in _OUTPUTS & cell.pins.keys()
        for net in cell.pins[port]
    }
    return len(bits) - len(made & set(bits))


# --- pairs --------------------------------------------------------------------------------------


def _may(one: Lut, other: Lut) -> bool:
    return not (one.fixed and other.fixed)


def _nested(own: Iterable[Lut]) -> tuple[int, list[Lut]]:
    """Pairs, and the LUTs that are in none; the largest first, each with the largest that fits."""
    alike: dict[Lut, list[Lut]] = defaultdict(list)
    ordered = sorted(own, key=lambda lut: (-len(lut.inputs), sorted(lut.inputs), lut.fixed))
    for lut in ordered:
        alike[lut].append(lut)
    rest, found = list[Lut](), 0
    for lut in ordered:
        if not alike[lut]:
            continue
        alike[lut].pop()
        partner = next((x for x in _within(lut) if alike.get(x)), None)
        if partner is None:
            rest.append(lut)
        else:
            alike[partner].pop()
            found += 1
    return found, rest


def _within(lut: Lut) -> Iterator[Lut]:
    """What may share its site without an input of its own; those that can go nowhere else first."""
    inputs = sorted(lut.inputs)
    for size in range(len(inputs), 0, -1):
        for chosen in combinations(inputs, size):
            for fixed in (False,) if lut.fixed else (True, False):
                yield Lut(frozenset(chosen), fixed)


def _common(own: Sequence[Lut]) -> int:
    """Pairs with a common input, of five inputs together at most."""
    users: dict[Net, list[int]] = defaultdict(list)
    for index, lut in enumerate(own):
        for net in lut.inputs:
            users[net].append(index)
    taken, found = [False] * len(own), 0
    for index in sorted(range(len(own)), key=lambda i: -len(own[i].inputs)):
        if taken[index]:
            continue
        taken[index] = True
        near = {other for net in own[index].inputs for other in _free(users, net, taken)}
        fitting = [x for x in near if _may(own[index], own[x]) and _fits(own[index], own[x])]
        if fitting:
            best = max(fitting, key=lambda x: (len(own[index].inputs & own[x].inputs), -x))
            taken[best] = True
            found += 1
    return found


def _fits(one: Lut, other: Lut) -> bool:
    return len(one.inputs | other.inputs) <= INPUTS_OF_A_PAIR


def _free(users: dict[Net, list[int]], net: Net, taken: Sequence[bool]) -> list[int]:
    """LUTs with that input that are in no pair yet; of inputs that go everywhere only a few."""
    found = users[net][:NEIGHBOURS]
    if any(taken[x] for x in found):
        users[net] = [x for x in users[net] if not taken[x]]
        found = users[net][:NEIGHBOURS]
    return found
