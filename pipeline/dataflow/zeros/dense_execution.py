"""Executes a dense engine's program in integers, word by word, with the hardware's delays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.dataflow.zeros.dense import Flags, Integers, Schedule
from pipeline.dataflow.zeros.network import PlanError


@dataclass(frozen=True)
class Trace:
    """hidden: unsigned codes of each layer but the last, (frames, out); values: (frames, out)."""

    hidden: Mapping[int, Integers]
    values: Integers


def run(schedule: Schedule, codes: Integers) -> Trace:
    """What the engine computes for frames of unsigned codes (frames, positions, channels).

    Raises PlanError where a frame leaves something behind in an accumulator.
    """
    machine = _Machine(schedule, codes)
    for slot in schedule.frame:
        machine.step(slot)
    machine.add()
    if machine.sums.any():
        raise PlanError("a frame leaves something behind in an accumulator")
    return Trace(_columns(schedule, machine.hidden), np.stack(machine.values, axis=1))


def _columns(schedule: Schedule, written: list[Integers]) -> dict[int, Integers]:
    """Of each layer, its outputs in order."""
    found: dict[int, dict[int, Integers]] = {}
    for row, codes in zip(schedule.rows, written, strict=True):
        for group, output in enumerate(row.outputs):
            if output is not None:
                found.setdefault(row.layer, {})[output] = codes[:, group]
    return {
        layer: np.stack([columns[o] for o in sorted(columns)], axis=1)
        for layer, columns in found.items()
    }


class _Machine:
    """The engine, for many frames beside each other."""

    def __init__(self, schedule: Schedule, codes: Integers) -> None:
        shape, frames = schedule.shape, len(codes)
        self.plan, self.shape, self.codes = schedule, shape, codes
        self.sums = np.zeros((frames, shape.all_units, shape.accumulators), np.int64)
        self.memory = np.zeros((frames, shape.words, shape.groups), np.int64)
        self.added: tuple[Integers, Integers] | None = None
        self.writes: list[tuple[int, int, Integers]] = []
        self.hidden: list[Integers] = []
        self.values: list[Integers] = []
        self.units = np.arange(shape.all_units)

    def step(self, slot: int) -> None:
        """Executes a word."""
        plan, own = self.plan, self.plan.accumulators[slot]
        if slot in plan.starts:
            self._arrive(slot, plan.starts.index(slot))
        self._write(slot)
        read = self.sums[:, self.units, own]
        kept = np.where(self._cleared(slot), 0, read)
        codes = self.memory.reshape(len(read), -1)[:, plan.addresses[slot]]
        self.add()
        self.added = own, self._wrapped(kept + _products(plan.weights[slot], codes))
        self._emit(slot, read)

    def add(self) -> None:
        """Writes what the word before has accumulated: this one did not see it yet."""
        if self.added is not None:
            self.sums[:, self.units, self.added[0]] = self.added[1]
        self.added = None

    def _arrive(self, slot: int, position: int) -> None:
        """The memory words of a position are there one by one."""
        shape = self.shape
        codes = np.zeros((len(self.codes), shape.position_words * shape.groups), np.int64)
        codes[:, : shape.channels] = self.codes[:, position]
        first = position % shape.ring * shape.position_words
        for number, written in enumerate(np.split(codes, shape.position_words, axis=1)):
            self.writes.append((shape.arrived(slot, number), first + number, written))

    def _write(self, slot: int) -> None:
        for when, word, codes in self.writes:
            if when == slot:
                self.memory[:, word] = codes

    def _cleared(self, slot: int) -> Flags:
        """Per unit."""
        groups = self.units // self.shape.units
        return (groups == self.plan.value[slot]) | self.plan.clear[slot]

    def _wrapped(self, sums: Integers) -> Integers:
        half = 1 << (self.shape.acc_bits - 1)
        return (sums + half) % (2 * half) - half

    def _emit(self, slot: int, read: Integers) -> None:
        shape, plan = self.shape, self.plan
        sums = self._wrapped(read.reshape(len(read), shape.groups, shape.units).sum(axis=2))
        if plan.emit[slot]:
            row = len(self.hidden)
            codes = [plan.quantized(row, g, sums[:, g]) for g in range(shape.groups)]
            self.hidden.append(np.stack(codes, axis=1))
            word = shape.ring * shape.position_words + row
            self.writes.append((slot + shape.written, word, self.hidden[-1]))
        group, count = int(plan.value[slot]), len(self.values)
        if group >= 0 and shape.value_codes:
            self.values.append(plan.quantized(shape.hidden + count, group, sums[:, group]))
        elif group >= 0:
            self.values.append(sums[:, group] + plan.constants[count])


def _products(weights: Integers, codes: Integers) -> Integers:
    """A negative one has its bits inverted."""
    magnitudes = np.abs(weights) * codes
    return np.where(weights < 0, -magnitudes - 1, magnitudes)
