"""Writes a dense engine's program word by word.

Outputs are dealt to groups so that these have equally much to do.  Then every unit takes in each
word the product that is most urgent of those whose code is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.dataflow.zeros.dense import HiddenRow, Integers, Shape
from pipeline.dataflow.zeros.dense_problem import Problem

# --- dealing outputs to groups ------------------------------------------------------------------


def dealt(problem: Problem, groups: int) -> list[list[list[int]]]:
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
class Word:
    """Of a unit: a product of input `source` of a layer; or without a weight, a reading."""

    accumulator: int
    weight: int = 0
    layer: int = 0
    source: int = 0


@dataclass
class Slot:
    """The words of a cycle, None: padding, and its flags."""

    words: list[Word | None]
    wait: bool = False
    last: bool = False
    clear: bool = False
    emit: bool = False
    value: int = -1


@dataclass
class _Work:
    """What a group has to multiply: for each accumulator (ready, word), the earliest last."""

    waiting: dict[int, list[tuple[int, Word]]]
    in_order: bool

    @property
    def left(self) -> int:
        """Products."""
        return sum(map(len, self.waiting.values()))

    def take(self, slot: int, busy: int | None) -> Word | None:
        """The most urgent product for this slot, not in the accumulator `busy`."""
        ready = [
            k for k, words in self.waiting.items() if k != busy and words and words[-1][0] <= slot
        ]
        if not ready:
            return None
        chosen = max(ready, key=lambda k: len(self.waiting[k]))
        if self.in_order and 2 * len(self.waiting[chosen]) <= self.left:
            chosen = ready[0]
        return self.waiting[chosen].pop()[1]


@dataclass
class Program:
    """Words so far, and when the codes of a hidden layer can be used: {(layer, output): slot}."""

    shape: Shape
    slots: list[Slot] = field(default_factory=list)
    ready: dict[tuple[int, int], int] = field(default_factory=dict)
    rows: list[HiddenRow] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    def slot(self, number: int) -> Slot:
        """This one, and all before it, are there."""
        while len(self.slots) <= number:
            self.slots.append(Slot([None] * self.shape.all_units))
        return self.slots[number]

    def read(self, number: int, group: int, accumulator: int) -> None:
        """All units of a group read an accumulator."""
        words, units = self.slot(number).words, self.shape.units
        words[group * units : (group + 1) * units] = [Word(accumulator)] * units

    def can_read(self, number: int, group: int, accumulator: int) -> bool:
        """Whether no unit of a group changes an accumulator in the word just before this one."""
        before, units = self.slot(number - 1).words, self.shape.units
        own = before[group * units : (group + 1) * units]
        return all(word is None or word.accumulator != accumulator for word in own)

    def give(self, number: int, group: int, work: _Work) -> None:
        """Products for the units of a group."""
        before, words = self.slots[number - 1].words, self.slot(number).words
        units = self.shape.units
        for unit in range(group * units, (group + 1) * units):
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


def written(problem: Problem, shape: Shape, dealt: list[list[list[int]]]) -> Program:
    """All words, where the outputs of each layer are dealt to groups like this."""
    program = Program(shape)
    _clear(program)
    number, works = _positions(problem, program, dealt[0])
    for index, own in enumerate(dealt):
        if index:
            works = [_work(problem, program, index, outputs) for outputs in own]
        if index == len(dealt) - 1:
            _values(program, number, works, own)
        else:
            number = _write_back(program, index, program.fill(number, works), own)
    _close(program)
    return program


def _clear(program: Program) -> None:
    """What is executed after a reset."""
    shape = program.shape
    for number in range(shape.accumulators):
        program.slot(number).clear = True
        for group in range(shape.groups):
            program.read(number, group, number)
    program.slot(shape.accumulators - 2).wait = True


def _positions(problem: Problem, program: Program, own: list[list[int]]) -> tuple[int, list[_Work]]:
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


def _position_work(problem: Problem, program: Program, position: int, outputs: list[int]) -> _Work:
    shape, start = program.shape, program.starts[position]
    first = position * problem.channels
    own = problem.layers[0].weights[outputs, first : first + problem.channels]
    waiting = {}
    for number, weights in enumerate(own):
        waiting[number] = [
            (shape.arrived(start, c // shape.groups), Word(number, int(weights[c]), 0, first + c))
            for c in np.flatnonzero(weights).tolist()[::-1]
        ]
    return _Work(waiting, in_order=len(problem.layers) == 1)


def _work(problem: Problem, program: Program, index: int, outputs: list[int]) -> _Work:
    waiting = {}
    for number, weights in enumerate(problem.layers[index].weights[outputs]):
        words = [
            (program.ready[index - 1, source], Word(number, int(weights[source]), index, source))
            for source in np.flatnonzero(weights).tolist()
        ]
        waiting[number] = sorted(words, key=lambda pair: -pair[0])
    return _Work(waiting, in_order=index == len(problem.layers) - 1)


def _write_back(program: Program, index: int, number: int, own: list[list[int]]) -> int:
    """Reads the accumulators of all groups, one after another; the word after that.

    Not before the codes would be written after the last position's words.
    """
    shape, count = program.shape, max(map(len, own))
    number = max(number, program.starts[-1] + shape.position_words - 2 - shape.coded)
    while not all(program.can_read(number, group, 0) for group in range(shape.groups)):
        number += 1
    for k in range(count):
        outputs = tuple(group[k] if k < len(group) else None for group in own)
        program.rows.append(HiddenRow(index, outputs))
        slot = program.slot(number + k)
        slot.emit = slot.clear = True
        for group in range(shape.groups):
            program.read(number + k, group, k)
        program.ready |= {(index, o): number + k + shape.written for o in outputs if o is not None}
    return number + count


def _values(program: Program, number: int, works: list[_Work], own: list[list[int]]) -> None:
    """The last layer: a value leaves as soon as it and those before it are complete."""
    places = {o: (g, k) for g, outputs in enumerate(own) for k, o in enumerate(outputs)}
    for output in range(len(places)):
        group, k = places[output]
        while works[group].waiting[k] or not program.can_read(number, group, k):
            _give_all(program, number, works, except_for=None)
            number += 1
        program.read(number, group, k)
        program.slot(number).value = group
        _give_all(program, number, works, except_for=group)
        number += 1


def _give_all(program: Program, number: int, works: list[_Work], except_for: int | None) -> None:
    program.slot(number)
    for group, work in enumerate(works):
        if group != except_for:
            program.give(number, group, work)


def _close(program: Program) -> None:
    """Goes back to where the first position is waited for."""
    emits = [number for number, slot in enumerate(program.slots) if slot.emit]
    written = emits[-1] + program.shape.coded + 3 if emits else 0
    count = max(len(program.slots) + 1, program.starts[-1] + 4, written)
    program.slot(count - 2).wait = True
    program.slot(count - 3).last = True
    program.slot(count - 1)
