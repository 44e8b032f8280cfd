"""Chooses the truth tables and adders of a layer, so that few LUTs compute all nonzero weights.

Three ways, of which the cheapest counts:

- *planes*: up to five nonzeros of an output and one bit of each is one truth table (distributed
  arithmetic), once for every bit of a digit;
- *products*: all bits of one input are one truth table, times an odd number, shared by all outputs
  that have it with any sign and power of two.  For layers with few inputs that take whole codes;
- planes *by turns*: where a window lasts for several evaluations, one accumulator serves several
  outputs, and the phase is an input of the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.zeros.checking import check
from pipeline.dataflow.zeros.network import (
    AdderNetwork,
    Lane,
    Leaf,
    Node,
    Operand,
    Row,
    Sum,
    digits_of,
    forms,
    largest,
    summed,
)

Integers = NDArray[np.int64]

PAIRED_INPUTS, TABLE_INPUTS = 5, 6
"""A 6-input LUT gives two functions of up to five inputs, or one of six."""
LARGEST_PHASES = 16

_Outputs = Sequence[tuple[int | None, ...]]
"""Of every row, by phase."""


@dataclass(frozen=True)
class Timing:
    """How a window is taken apart in time.

    digit_bits: of a code in a cycle; digits: cycles of an evaluation; phases: evaluations.
    """

    digit_bits: int
    digits: int
    phases: int


def timing(code_bits: int, cycles: int) -> Timing:
    """The narrowest digits that are through in time, and as many phases as then fit.

    cycles: between positions.
    """
    digit_bits = next(b for b in range(1, code_bits + 1) if -(-code_bits // b) <= cycles)
    digits = -(-code_bits // digit_bits)
    fitting = min(cycles // digits, LARGEST_PHASES)
    return Timing(digit_bits, digits, 1 << (fitting.bit_length() - 1))


def plan(
    weights: Integers, code_bits: int, cycles: int, first: Collection[int] = ()
) -> AdderNetwork:
    """The cheapest network that computes `weights` (outputs, inputs) on unsigned codes.

    code_bits: of an input; cycles: between positions; first: the outputs that come in the first
    rows, so that as few rows as possible have one of them.  The result is checked.
    """
    times = timing(code_bits, cycles)
    outputs = _shared(weights, times.phases, first)
    found = list(_candidates(weights, code_bits, times, outputs))
    best = min(found, key=lut_sites)
    check(best, weights)
    return best


def _candidates(
    weights: Integers, code_bits: int, times: Timing, outputs: _Outputs
) -> Iterator[AdderNetwork]:
    phase_bits = (times.phases - 1).bit_length()
    for inputs in (PAIRED_INPUTS - phase_bits, TABLE_INPUTS - phase_bits):
        if inputs >= 2:
            yield _planes(weights, times, outputs, inputs)
    if times.digits == times.phases == 1 and code_bits <= TABLE_INPUTS:
        yield _products(weights, times, outputs)


def lut_sites(network: AdderNetwork) -> int:
    """6-input LUTs of a network: tables, adders (a LUT a bit), accumulators and lanes."""
    sites = sum(map(_lane_sites, network.lanes))
    for node in network.nodes:
        if isinstance(node, Leaf):
            paired = len(node.lanes) + network.phase_bits <= PAIRED_INPUTS
            sites += -(-node.bits // 2) if paired else node.bits
        elif len(node.operands) > 1:
            sites += _adder_bits(node.operands, node.bits)
    return sites + sum(_adder_bits(row.operands, row.bits) for row in network.rows)


def _adder_bits(operands: Sequence[Operand], bits: int) -> int:
    """The lowest bits of the operand that reaches furthest down pass by."""
    shifts = sorted(x.shift for x in operands)
    return bits - (shifts[1] if len(shifts) > 1 else 0)


def _lane_sites(lane: Lane) -> int:
    """LUTs of a selection: 4 ways in one, two functions of 2 ways in one."""
    ways = len({source for source in lane.sources if source is not None})
    return 0 if ways <= 1 else -(-ways // 4)


# --- building -----------------------------------------------------------------------------------


@dataclass
class _Builder:
    """Nodes and lanes so far; equal ones are there once."""

    phases: int
    lanes: dict[Lane, int] = field(default_factory=dict)
    nodes: dict[Node, int] = field(default_factory=dict)
    order: list[Node] = field(default_factory=list)

    def lane(self, sources: Iterable[int | None]) -> int:
        return self.lanes.setdefault(Lane(tuple(sources)), len(self.lanes))

    def node(self, node: Node) -> int:
        if node not in self.nodes:
            self.nodes[node] = len(self.order)
            self.order.append(node)
        return self.nodes[node]

    def leaf(self, lanes: Sequence[int], weights: Sequence[Sequence[int]], shift: int) -> Operand:
        return Operand(self.node(Leaf(tuple(lanes), tuple(map(tuple, weights)))), shift)

    def largest(self, operands: Iterable[Operand]) -> int:
        """The largest sum of operands."""
        return sum(largest(self.order, x) for x in operands)

    def sum(self, operands: Sequence[Operand]) -> Operand:
        """One operand that is the sum of these, registered once more."""
        lowest = min(x.shift for x in operands)
        moved = tuple(replace(x, shift=x.shift - lowest) for x in operands)
        if len(moved) == 1:  # the register keeps the value as it is; inverting waits
            bare = replace(moved[0], inverted=False)
            register = Sum((bare,), self.order[bare.node].bits)
            return Operand(self.node(register), lowest, moved[0].inverted)
        bits = max(1, self.largest(moved).bit_length())
        return Operand(self.node(Sum(moved, bits)), lowest)


def _finished(
    builder: _Builder,
    weights: Integers,
    times: Timing,
    rows: list[list[Operand]],
    outputs: _Outputs,
) -> AdderNetwork:
    """Sums the operands of all rows in equally many levels, and accumulates."""
    kept = 2 if times.digits > 1 else 3  # of three operands of the last adder
    levels = 1
    while max(map(len, rows)) > kept:
        rows = [_level(builder, row, kept) for row in rows]
        levels += 1
    digits = digits_of(times.digit_bits, times.digits)
    accumulators = tuple(
        Row(tuple(row), own, max(1, (digits * builder.largest(row)).bit_length()))
        for row, own in zip(rows, outputs, strict=True)
    )
    return AdderNetwork(
        inputs=weights.shape[1] * times.digit_bits,
        digit_bits=times.digit_bits,
        digits=times.digits,
        phases=times.phases,
        lanes=tuple(builder.lanes),
        nodes=tuple(builder.order),
        rows=accumulators,
        levels=levels,
        offsets=_offsets(builder, accumulators, digits),
    )


def _offsets(builder: _Builder, rows: Sequence[Row], digits: int) -> dict[int, int]:
    """What the accumulators have where all bits of the window are 0."""
    offsets = {}
    for phase in range(builder.phases):
        found = forms(builder.order, tuple(builder.lanes), phase)
        for row in rows:
            output = row.outputs[phase]
            if output is not None:
                offsets[output] = digits * summed(builder.order, row.operands, found).constant
    return offsets


def _level(builder: _Builder, row: list[Operand], kept: int) -> list[Operand]:
    """One level: threes become one where that is needed, the rest waits in registers."""
    row = sorted(row, key=lambda x: (x.shift, largest(builder.order, x)))
    done: list[Operand] = []
    while len(row) >= 3 and len(done) + len(row) > kept:
        done.append(builder.sum(row[:3]))
        row = row[3:]
    if len(row) == 2 and len(done) + 2 > kept:
        done.append(builder.sum(row))
        row = []
    return done + [builder.sum([x]) for x in row]


# --- products -----------------------------------------------------------------------------------


def _products(weights: Integers, times: Timing, outputs: _Outputs) -> AdderNetwork:
    builder = _Builder(1)
    rows = []
    for (output,) in outputs:
        own, row = weights[output], []
        for source in np.flatnonzero(own):
            weight = int(own[source])
            shift = (weight & -weight).bit_length() - 1
            odd = abs(weight) >> shift
            places = range(source * times.digit_bits, (source + 1) * times.digit_bits)
            lanes = [builder.lane((int(place),)) for place in places]
            leaf = builder.leaf(lanes, [[odd << p for p in range(times.digit_bits)]], shift)
            row.append(replace(leaf, inverted=weight < 0))
        rows.append(row or [_nothing(builder)])
    return _finished(builder, weights, times, rows, outputs)


def _nothing(builder: _Builder) -> Operand:
    """Of an output without weights: a table without inputs."""
    return builder.leaf((), [()] * builder.phases, 0)


# --- planes -------------------------------------------------------------------------------------


def _planes(weights: Integers, times: Timing, outputs: _Outputs, inputs: int) -> AdderNetwork:
    """inputs: lanes of a table, at most."""
    builder = _Builder(times.phases)
    rows = []
    for own in outputs:
        chosen = [weights[o] if o is not None else np.zeros_like(weights[0]) for o in own]
        places = _placed(chosen)
        row = []
        for group in _groups(chosen, places, inputs):
            lists = [[_weight(chosen[g], places[i][g]) for i in group] for g in range(len(own))]
            for plane in range(times.digit_bits):
                lanes = [builder.lane(_bits(places[i], times.digit_bits, plane)) for i in group]
                row.append(builder.leaf(lanes, lists, plane))
        rows.append(row or [_nothing(builder)])
    return _finished(builder, weights, times, rows, outputs)


def _weight(row: Integers, source: int | None) -> int:
    return int(row[source]) if source is not None else 0


def _bits(sources: Sequence[int | None], digit_bits: int, plane: int) -> list[int | None]:
    return [None if s is None else s * digit_bits + plane for s in sources]


def _shared(weights: Integers, phases: int, first: Collection[int]) -> _Outputs:
    """Outputs that share an accumulator: with equally many nonzeros, so that few slots idle."""
    nonzeros = (weights != 0).sum(axis=1).tolist()
    falling = sorted(range(len(weights)), key=lambda o: -nonzeros[o])
    own = [o for o in falling if o in first]
    rest = [o for o in falling if o not in first]
    # where both kinds meet, nonzeros are about equal
    order: list[int | None] = [*(reversed(own) if rest else own), *rest]
    order += [None] * (-len(order) % phases)
    return [tuple(order[i : i + phases]) for i in range(0, len(order), phases)]


def _placed(rows: Sequence[Integers]) -> list[list[int | None]]:
    """Slots of an accumulator: which input is in each in every phase, every nonzero once.

    An input keeps the slot that it has in another phase, so that less is selected.
    """
    count = max(int((row != 0).sum()) for row in rows)
    slots: list[list[int | None]] = [[None] * len(rows) for _ in range(count)]
    known: dict[int, list[int]] = {}
    for phase, row in enumerate(rows):
        free, rest = set(range(count)), []
        for source in map(int, np.flatnonzero(row)):
            same = next((slot for slot in known.get(source, []) if slot in free), None)
            if same is None:
                rest.append(source)
            else:
                slots[same][phase] = source
                free.discard(same)
        rest.sort(key=lambda source: -abs(int(row[source])))
        for slot, source in zip(sorted(free), rest, strict=False):
            slots[slot][phase] = source
        for slot in range(count):
            source_there = slots[slot][phase]
            if source_there is not None and slot not in known.setdefault(source_there, []):
                known[source_there].append(slot)
    return slots


def _groups(
    rows: Sequence[Integers], slots: Sequence[Sequence[int | None]], inputs: int
) -> list[list[int]]:
    """Slots that share a table, dealt by weight so that tables are equally wide."""
    weights = [
        sum(abs(_weight(row, own[phase])) for phase, row in enumerate(rows)) for own in slots
    ]
    groups: list[list[int]] = [[] for _ in range(-(-len(slots) // inputs))]
    for slot in sorted(range(len(slots)), key=lambda slot: -weights[slot]):
        emptiest = min(groups, key=lambda group: (len(group), sum(weights[s] for s in group)))
        emptiest.append(slot)
    return groups
