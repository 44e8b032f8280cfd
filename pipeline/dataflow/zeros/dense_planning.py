"""Chooses a dense engine for a run of layers, and writes its program.

Outputs are dealt to groups so that these have equally much to do.  Then, word by word, every unit
takes the product that is most urgent of those whose code is there.  Of the engines that are in time
the one with the fewest LUTs counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from pipeline.core.errors import UserError
from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.zeros.dense import (
    DenseLayer,
    HiddenRow,
    Integers,
    Schedule,
    Shape,
    dense_layers,
)
from pipeline.dataflow.zeros.dense_check import DenseReport, Times, check
from pipeline.dataflow.zeros.network import PlanError
from pipeline.dataflow.zeros.requantization import Affine, affine

MOST_UNITS = 128
LARGEST_GROUPS = 32
LARGEST_FACTOR_BITS = 17
"""Of a DSP's narrower input, which is signed."""


@dataclass(frozen=True)
class Problem:
    """Layers, the first of which reads `positions` positions of `channels` codes, at least `spacing`
    cycles apart."""

    layers: tuple[DenseLayer, ...]
    positions: int
    channels: int
    spacing: int

    @cached_property
    def quantized(self) -> tuple[DenseLayer, ...]:
        """The layers that have thresholds."""
        return tuple(layer for layer in self.layers if layer.thresholds is not None)

    @cached_property
    def affines(self) -> dict[tuple[str, int], Affine] | None:
        """By layer and output; None where they are not all of a kind that one engine can have."""
        levels = {layer.raw_thresholds.shape[1] for layer in self.quantized}
        if len(levels) > 1 or any(n & (n + 1) for n in levels):
            return None
        result = {}
        for layer in self.quantized:
            for output, thresholds in enumerate(layer.raw_thresholds):
                found = affine(thresholds, int(layer.lowest[output]), int(layer.highest[output]))
                if found is None:
                    return None
                result[layer.name, output] = found
        shift = max((x.shift for x in result.values()), default=0)
        scaled = {place: x.scaled(shift) for place, x in result.items()}
        most = max((x.factor for x in scaled.values()), default=0)
        return scaled if most < 1 << LARGEST_FACTOR_BITS else None


def plan(
    layers: Sequence[Layer],
    entering: Codes,
    spacing: int,
    *,
    latency: int | None = None,
    most_units: int = MOST_UNITS,
) -> tuple[Schedule, DenseReport]:
    """The cheapest engine for dense layers whose positions come at least `spacing` cycles apart.

    entering: type of the first layer's codes; latency: most cycles from a frame's last position to
    its last value.  The schedule is checked.  Raises UserError where no engine of at most
    `most_units` units is in time.
    """
    _, positions, channels = layers[0].weights.shape
    problem = Problem(dense_layers(layers, entering), positions, channels, spacing)
    for groups, units in sorted(_candidates(problem, most_units), key=lambda c: lut_sites(problem, *c)):
        found = schedule(problem, groups, units)
        if found is None:
            continue
        report = check(found, problem.layers)
        if latency is None or report.after_last <= latency:
            return found, report
    nonzeros = sum(int((layer.weights != 0).sum()) for layer in problem.layers)
    raise UserError(
        f"{nonzeros} nonzero weights do not go through {most_units} units in "
        f"{positions * spacing} cycles" + (f" with a latency of {latency}" if latency else ""),
        f"{layers[0].name} .. {layers[-1].name}",
        "allow more units, cycles or latency, or prune more",
    )


def _candidates(problem: Problem, most_units: int) -> Iterator[tuple[int, int]]:
    """Groups and units of each, as long as they could be in time."""
    nonzeros = sum(int((layer.weights != 0).sum()) for layer in problem.layers)
    outputs = max(len(layer.weights) for layer in problem.layers)
    for groups in (1 << i for i in range(LARGEST_GROUPS.bit_length())):
        if groups >= 2 * outputs:
            break
        least = -(-nonzeros // (problem.positions * problem.spacing * groups))
        yield from ((groups, units) for units in range(max(1, least), most_units // groups + 1))


def lut_sites(problem: Problem, groups: int, units: int) -> float:
    """About how many 6-input LUTs an engine takes (measured; without those of a search)."""
    acc_bits, code_bits = _acc_bits(problem), _code_bits(problem)
    magnitude_bits = _magnitude_bits(problem)
    unit = 1.9 * acc_bits + code_bits * magnitude_bits + 2
    group = acc_bits * (units > 1) * (1 + 0.5 * units) + 3 * code_bits
    return groups * (units * unit + group) + problem.channels * code_bits / 4 + 5 * acc_bits


# --- widths -------------------------------------------------------------------------------------


def _acc_bits(problem: Problem) -> int:
    low = min(int(layer.lowest.min()) for layer in problem.layers) - 1
    high = max(int(layer.highest.max()) for layer in problem.layers)
    return Codes(min(low, -1), high + 2).bits  # a threshold out of reach fits too


def _code_bits(problem: Problem) -> int:
    return max(layer.most for layer in problem.layers).bit_length()


def _magnitude_bits(problem: Problem) -> int:
    return max(1, max(int(np.abs(x.weights).max()) for x in problem.layers).bit_length())


def _hidden_bits(problem: Problem) -> int:
    """Of the codes that quantizers give."""
    return max((x.raw_thresholds.shape[1].bit_length() for x in problem.quantized), default=1)


# --- dealing outputs to groups ------------------------------------------------------------------


def _dealt(problem: Problem, groups: int) -> list[list[list[int]]]:
    """Outputs of each layer by group, in the order of their accumulators."""
    result = []
    for index, layer in enumerate(problem.layers):
        cost = (layer.weights != 0).sum(axis=1)
        if not index:  # what the last position has to do delays the values
            last = layer.weights[:, -problem.channels :]
            cost = cost + problem.positions * (last != 0).sum(axis=1)
        own = _balanced(cost, groups)
        final = index == len(problem.layers) - 1  # whose values leave in order
        result.append([sorted(outputs) for outputs in own] if final else own)
    return result


def _balanced(cost: Integers, groups: int) -> list[list[int]]:
    """The heaviest first, to the group with the least so far that has room."""
    room = -(-len(cost) // groups)
    own: list[list[int]] = [[] for _ in range(groups)]
    load = [0] * groups
    for output in np.argsort(-cost, kind="stable").tolist():
        group = min((g for g in range(groups) if len(own[g]) < room), key=lambda g: load[g])
        own[group].append(output)
        load[group] += int(cost[output])
    return own


# --- the program --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Word:
    """Of a unit: a product of input `source` of a layer; or without a weight, a reading."""

    accumulator: int
    weight: int = 0
    layer: int = 0
    source: int = 0


@dataclass
class _Slot:
    """The words of a cycle, None: padding, and its flags."""

    words: list[_Word | None]
    wait: bool = False
    last: bool = False
    clear: bool = False
    emit: bool = False
    value: int = -1


@dataclass
class _Work:
    """What a group still has to multiply: for each accumulator, (ready, word), the earliest last."""

    waiting: dict[int, list[tuple[int, _Word]]]
    in_order: bool
    done: dict[int, int] = field(default_factory=dict)
    """The latest word so far with a product for each accumulator."""

    @property
    def left(self) -> int:
        return sum(map(len, self.waiting.values()))

    def take(self, slot: int, busy: int | None) -> _Word | None:
        """The most urgent product for this slot, not in the accumulator `busy`."""
        ready = [
            k
            for k, words in self.waiting.items()
            if k != busy and words and words[-1][0] <= slot
        ]
        if not ready:
            return None
        chosen = max(ready, key=lambda k: len(self.waiting[k]))
        if self.in_order and 2 * len(self.waiting[chosen]) <= self.left:
            chosen = ready[0]
        self.done[chosen] = slot
        return self.waiting[chosen].pop()[1]


@dataclass
class _Program:
    """Words so far, and when the codes of a hidden layer can be used: {(layer, output): slot}."""

    groups: int
    units: int
    shape: Shape
    slots: list[_Slot] = field(default_factory=list)
    ready: dict[tuple[int, int], int] = field(default_factory=dict)
    rows: list[HiddenRow] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    def slot(self, number: int) -> _Slot:
        while len(self.slots) <= number:
            self.slots.append(_Slot([None] * (self.groups * self.units)))
        return self.slots[number]

    def read(self, number: int, group: int, accumulator: int) -> None:
        """All units of a group read an accumulator."""
        words = self.slot(number).words
        words[group * self.units : (group + 1) * self.units] = [_Word(accumulator)] * self.units

    def give(self, number: int, group: int, work: _Work) -> None:
        """Products for the units of a group."""
        before, words = self.slots[number - 1].words, self.slot(number).words
        for unit in range(group * self.units, (group + 1) * self.units):
            last = before[unit]
            words[unit] = work.take(number, None if last is None else last.accumulator)

    def fill(self, start: int, works: Sequence[_Work]) -> int:
        """Words from `start` on until all is done; the word after them."""
        number = start
        while any(work.left for work in works):
            for group, work in enumerate(works):
                self.give(number, group, work)
            number += 1
        return number


def schedule(problem: Problem, groups: int, units: int) -> Schedule | None:
    """The program for an engine of this size; None where it is not in time.

    Of the numbers of positions in memory the smallest is taken.
    """
    shape = _shape(problem, groups, units)
    program = _written(problem, shape, _dealt(problem, groups))
    rings = [ring for ring in range(1, problem.positions + 1) if problem.positions % ring == 0]
    for ring in rings:
        found = _finished(problem, replace(shape, ring=ring, slots=len(program.slots)), program)
        try:
            Times(found).require_memory()
        except PlanError:
            continue
        return found
    return None


def _shape(problem: Problem, groups: int, units: int) -> Shape:
    """Without what only the program tells."""
    *hidden, last = problem.layers
    accumulators = max(-(-len(layer.weights) // groups) for layer in problem.layers)
    affines, constants = problem.affines, last.bias + last.missing
    ends = (last.lowest + constants, last.highest + constants, constants)
    codes = last.thresholds is not None
    terms = [x.term for x in (affines or {}).values()]
    return Shape(
        channels=problem.channels,
        code_bits=_code_bits(problem),
        groups=groups,
        units=units,
        ring=1,
        hidden=sum(-(-len(layer.weights) // groups) for layer in hidden),
        slots=0,
        accumulators=max(2, accumulators),
        magnitude_bits=_magnitude_bits(problem),
        acc_bits=_acc_bits(problem),
        hidden_bits=_hidden_bits(problem),
        scaled=affines is not None,
        factor_bits=max(1, max((x.factor for x in (affines or {}).values()), default=0).bit_length()),
        term_bits=Codes(min([-1, *terms]), max([0, *terms])).bits,
        shift=max((x.shift for x in (affines or {}).values()), default=0),
        values=len(last.weights),
        value_bits=_hidden_bits(problem) + 1
        if codes
        else Codes(min(int(x.min()) for x in ends), max(int(x.max()) for x in ends)).bits,
        value_codes=codes,
    )


def _written(problem: Problem, shape: Shape, dealt: list[list[list[int]]]) -> _Program:
    program = _Program(shape.groups, shape.units, shape)
    _clear(program)
    number, works = _positions(problem, program, dealt[0])
    for index, own in enumerate(dealt):
        if index:
            works = [_work(problem, program, index, outputs) for outputs in own]
        if index == len(dealt) - 1:
            _values(program, number, works, own)
        else:
            number = _write_back(program, index, program.fill(number, works), works, own)
    _close(program)
    return program


def _clear(program: _Program) -> None:
    """What is executed after a reset."""
    shape = program.shape
    for number in range(shape.accumulators):
        program.slot(number).clear = True
        for group in range(shape.groups):
            program.read(number, group, number)
    program.slot(shape.accumulators - 2).wait = True


def _positions(
    problem: Problem, program: _Program, own: list[list[int]]
) -> tuple[int, list[_Work]]:
    """Everything up to the last position; the next word, and what that position has to do."""
    start, last = program.shape.accumulators, problem.positions - 1
    for position in range(problem.positions):
        program.starts.append(start)
        program.slot(start)  # is repeated until the position has arrived
        works = [_position_work(problem, program, position, outputs) for outputs in own]
        if position < last:
            start = max(program.fill(start + 1, works), start + 3)
            program.slot(start - 2).wait = True
    return start + 1, works


def _position_work(
    problem: Problem, program: _Program, position: int, outputs: list[int]
) -> _Work:
    shape, start = program.shape, program.starts[position]
    first = position * problem.channels
    own = problem.layers[0].weights[outputs, first : first + problem.channels]
    waiting = {}
    for number, weights in enumerate(own):
        waiting[number] = [
            (shape.arrived(start, c // shape.groups), _Word(number, int(weights[c]), 0, first + c))
            for c in np.flatnonzero(weights).tolist()[::-1]
        ]
    return _Work(waiting, in_order=len(problem.layers) == 1)


def _work(problem: Problem, program: _Program, index: int, outputs: list[int]) -> _Work:
    waiting = {}
    for number, weights in enumerate(problem.layers[index].weights[outputs]):
        words = [
            (program.ready[index - 1, source], _Word(number, int(weights[source]), index, source))
            for source in np.flatnonzero(weights).tolist()
        ]
        waiting[number] = sorted(words, key=lambda pair: -pair[0])
    return _Work(waiting, in_order=index == len(problem.layers) - 1)


def _write_back(
    program: _Program, index: int, end: int, works: list[_Work], own: list[list[int]]
) -> int:
    """Reads the accumulators of all groups, one after another; the word after that."""
    shape, count = program.shape, max(map(len, own))
    least = [slot + 2 - k for work in works for k, slot in work.done.items()]
    clear_of_position = program.starts[-1] + shape.position_words - 2 - shape.coded
    number = max(end, clear_of_position, *least, 0)
    for k in range(count):
        outputs = tuple(group[k] if k < len(group) else None for group in own)
        program.rows.append(HiddenRow(index, outputs))
        slot = program.slot(number + k)
        slot.emit = slot.clear = True
        for group in range(shape.groups):
            program.read(number + k, group, k)
        program.ready |= {(index, o): number + k + shape.written for o in outputs if o is not None}
    return number + count


def _values(
    program: _Program, number: int, works: list[_Work], own: list[list[int]]
) -> None:
    """The last layer: a value leaves as soon as it and those before it are complete."""
    places = {o: (g, k) for g, outputs in enumerate(own) for k, o in enumerate(outputs)}
    for output in range(len(places)):
        group, k = places[output]
        while works[group].waiting[k] or works[group].done.get(k, 0) > number - 2:
            _give_all(program, number, works, except_for=None)
            number += 1
        program.read(number, group, k)
        program.slot(number).value = group
        _give_all(program, number, works, except_for=group)
        number += 1


def _give_all(
    program: _Program, number: int, works: list[_Work], except_for: int | None
) -> None:
    program.slot(number)
    for group, work in enumerate(works):
        if group != except_for:
            program.give(number, group, work)


def _close(program: _Program) -> None:
    """Goes back to where the first position is waited for."""
    emits = [number for number, slot in enumerate(program.slots) if slot.emit]
    written = emits[-1] + program.shape.coded + 3 if emits else 0
    count = max(len(program.slots) + 1, program.starts[-1] + 4, written)
    program.slot(count - 2).wait = True
    program.slot(count - 3).last = True
    program.slot(count - 1)


# --- as numbers ---------------------------------------------------------------------------------


def _finished(problem: Problem, shape: Shape, program: _Program) -> Schedule:
    slots = program.slots
    words = _padded(program)
    places = _places(problem, shape, program)
    table = np.array(
        [[(w.weight, places.get((w.layer - 1, w.source), 0), w.accumulator) for w in row] for row in words]
    )
    factors, terms = _multiplications(problem, shape, program)
    last = problem.layers[-1]
    return Schedule(
        shape=shape,
        positions=problem.positions,
        spacing=problem.spacing,
        weights=table[:, :, 0],
        addresses=table[:, :, 1],
        accumulators=table[:, :, 2],
        wait=np.array([slot.wait for slot in slots]),
        last=np.array([slot.last for slot in slots]),
        clear=np.array([slot.clear for slot in slots]),
        emit=np.array([slot.emit for slot in slots]),
        value=np.array([slot.value for slot in slots]),
        rows=tuple(program.rows),
        factors=factors,
        terms=terms,
        thresholds=_thresholds(problem, shape, program),
        constants=last.bias + last.missing,
    )


def _padded(program: _Program) -> list[list[_Word]]:
    """Padding changes nothing, and must not undo what the word before has changed either."""
    rows: list[list[_Word]] = []
    before = [_Word(0)] * (program.groups * program.units)
    changed = [False] * len(before)
    for slot in program.slots:
        row = []
        for unit, word in enumerate(slot.words):
            number = (before[unit].accumulator + changed[unit]) % program.shape.accumulators
            row.append(word or _Word(number))
        changed = [word is not None for word in slot.words]
        rows.append(row)
        before = row
    return rows


def _places(problem: Problem, shape: Shape, program: _Program) -> dict[tuple[int, int], int]:
    """Address of each code: (layer, output), layer -1 being the input."""
    result = {}
    for position in range(problem.positions):
        first = position % shape.ring * shape.position_words * shape.groups
        for c in range(problem.channels):
            result[-1, position * problem.channels + c] = first + c
    for number, row in enumerate(program.rows):
        first = (shape.ring * shape.position_words + number) * shape.groups
        result |= {(row.layer, o): first + g for g, o in enumerate(row.outputs) if o is not None}
    return result


def _quantized_places(
    problem: Problem, shape: Shape, program: _Program
) -> Iterator[tuple[int, int, DenseLayer, int]]:
    """Row, group, layer and output of everything that is quantized."""
    for number, row in enumerate(program.rows):
        for group, output in enumerate(row.outputs):
            if output is not None:
                yield number, group, problem.layers[row.layer], output
    if shape.value_codes:
        values = [slot.value for slot in program.slots if slot.value >= 0]
        for output, group in enumerate(values):
            yield shape.hidden + output, group, problem.layers[-1], output


def _multiplications(
    problem: Problem, shape: Shape, program: _Program
) -> tuple[Integers, Integers]:
    factors = np.zeros((shape.rows, shape.groups), np.int64)
    terms = np.zeros_like(factors)
    if problem.affines is not None:
        for row, group, layer, output in _quantized_places(problem, shape, program):
            found = problem.affines[layer.name, output]
            factors[row, group], terms[row, group] = found.factor, found.term
    return factors, terms


def _thresholds(problem: Problem, shape: Shape, program: _Program) -> Integers:
    """(rows, groups, levels) for a search: levels that a layer does not have are never reached."""
    never = (1 << (shape.acc_bits - 1)) - 1
    levels = 0 if shape.scaled else 2**shape.hidden_bits - 1
    table = np.full((shape.rows, shape.groups, levels), never, np.int64)
    if not shape.scaled:
        for row, group, layer, output in _quantized_places(problem, shape, program):
            own = layer.raw_thresholds[output]
            table[row, group, : len(own)] = own
    return table
