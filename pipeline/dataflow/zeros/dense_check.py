"""Proves a dense engine's program to be the layers it was made for.

The program is executed with symbols: a code is which output it is of, an accumulator a sum of
weighted symbols.  Nothing of the planner's is believed but the program and its constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.dataflow.zeros.dense import DenseLayer, Integers, Schedule
from pipeline.dataflow.zeros.dense_timing import Times
from pipeline.dataflow.zeros.network import PlanError

FRAMES = 2
"""Executed: the first begins after a reset, the second after the first."""

Code = tuple[int, int, int]
"""Frame, layer that gave it (-1: the input), and which of its outputs."""


@dataclass(frozen=True)
class Sum:
    """What an accumulator holds: a product, added to what it held before; None is 0."""

    before: Sum | None
    code: Code
    weight: int


UNKNOWN = Sum(None, (-1, -2, 0), 0)
"""What an accumulator holds after a reset."""


@dataclass(frozen=True)
class DenseReport:
    """words: of the program that a frame takes; slots: those, times units; products: slots with a
    nonzero weight; reads: with an accumulator that is read; padded: the rest; after_last: cycles
    from a frame's last position to its last value, where frames follow each other without a gap;
    interval: cycles between frames then."""

    words: int
    slots: int
    products: int
    reads: int
    padded: int
    after_last: int
    interval: int

    @property
    def utilisation(self) -> float:
        """The part of the units' time that nonzero weights take."""
        return self.products / (self.interval * self.slots / self.words)


def check(schedule: Schedule, layers: Sequence[DenseLayer]) -> DenseReport:
    """Raises PlanError unless every value is what the layers give, each product exactly once."""
    _require_flow(schedule)
    _require_widths(schedule, layers)
    _Symbols(schedule, layers).execute()
    _require_codes(schedule, layers)
    times = Times(schedule)
    times.require_memory()
    return _report(schedule, layers, times)


def _report(schedule: Schedule, layers: Sequence[DenseLayer], times: Times) -> DenseReport:
    shape = schedule.shape
    words = len(schedule.frame)
    slots = words * shape.all_units
    products = sum(layer.nonzeros for layer in layers)
    reads = shape.hidden * shape.all_units + shape.values * shape.units
    return DenseReport(
        words=words,
        slots=slots,
        products=products,
        reads=reads,
        padded=slots - products - reads,
        after_last=times.after_last(),
        interval=schedule.positions * schedule.spacing,
    )


# --- the order of words -------------------------------------------------------------------------


def _require_flow(schedule: Schedule) -> None:
    """Waits and the jump back are where the sequencer can do them, and repeating is harmless."""
    slots, frame = schedule.shape.slots, schedule.frame
    last = np.flatnonzero(schedule.last).tolist()
    if last != [slots - 3]:
        raise PlanError(f"the last word is not marked by word {slots - 3} alone, but by {last}")
    starts, before = schedule.starts, np.flatnonzero(schedule.wait[: frame.start]).tolist()
    if before != [frame.start - 2] or not starts or starts[0] != frame.start:
        raise PlanError("the first position is not waited for before a frame's first word")
    if len(starts) != schedule.positions:
        raise PlanError(f"{len(starts)} positions are waited for, not {schedule.positions}")
    gaps = np.diff([*starts, slots])
    if gaps.min() < 3 or gaps[-1] < 4:
        raise PlanError("waits are closer together than three words")
    for start in starts:
        _require_repeatable(schedule, start)


def _require_repeatable(schedule: Schedule, start: int) -> None:
    flags = schedule.emit | schedule.clear | schedule.last | schedule.wait | (schedule.value >= 0)
    if schedule.weights[start].any() or flags[start]:
        raise PlanError(f"word {start} is repeated and does something")
    own = schedule.accumulators[start]
    for before in _before(schedule, start):
        if (_changing(schedule, before) & (schedule.accumulators[before] == own)).any():
            raise PlanError(f"word {start} is repeated and undoes what word {before} adds")


def _before(schedule: Schedule, slot: int) -> set[int]:
    """The words that may be executed just before this one."""
    first = schedule.frame.start
    return {slot - 1, schedule.shape.slots - 1} if slot == first else {slot - 1}


def _changing(schedule: Schedule, slot: int) -> Integers:
    """Which units change an accumulator."""
    groups = np.arange(schedule.shape.all_units) // schedule.shape.units
    cleared = (groups == schedule.value[slot]) | schedule.clear[slot]
    return cleared | (schedule.weights[slot] != 0)


# --- what is computed ---------------------------------------------------------------------------


@dataclass
class _Symbols:
    """The engine's state.  sums: by unit and accumulator; memory: codes by
    address; added: what the word before has accumulated; writes: (when, address, code)."""

    schedule: Schedule
    layers: Sequence[DenseLayer]
    sums: dict[tuple[int, int], Sum | None] = field(default_factory=dict)
    memory: dict[int, Code] = field(default_factory=dict)
    added: dict[tuple[int, int], Sum | None] = field(default_factory=dict)
    writes: list[tuple[int, int, Code]] = field(default_factory=list)
    frame: int = 0
    emitted: int = 0
    values: int = 0

    def execute(self) -> None:
        plan = self.schedule
        for slot in range(plan.frame.start):
            self._step(slot)
        for frame in range(FRAMES):
            self.frame, self.emitted, self.values, self.writes = frame, 0, 0, []
            for slot in plan.frame:
                if slot in plan.starts:
                    self._arrive(slot, plan.starts.index(slot))
                self._step(slot)
            self._require_complete()

    def _arrive(self, slot: int, position: int) -> None:
        """Codes of other positions may be overwritten from now on: they are not to be read."""
        shape = self.schedule.shape
        ring = shape.ring * shape.position_words * shape.groups
        self.memory = {a: code for a, code in self.memory.items() if a >= ring}
        first = position % shape.ring * shape.position_words * shape.groups
        for c in range(shape.channels):
            code = (self.frame, -1, position * shape.channels + c)
            self.writes.append((shape.arrived(slot, c // shape.groups), first + c, code))

    def _step(self, slot: int) -> None:
        plan, shape = self.schedule, self.schedule.shape
        for when, address, code in self.writes:
            if when == slot:
                self.memory[address] = code
        places = list(enumerate(plan.accumulators[slot].tolist()))
        added = {place: self._accumulated(slot, *place) for place in places}
        if plan.emit[slot]:
            for group in range(shape.groups):
                self._require_row(slot, group)
            self._write_back(slot)
        if plan.value[slot] >= 0:
            self._require_value(slot, int(plan.value[slot]))
        self.sums.update(self.added)
        self.added = added

    def _accumulated(self, slot: int, unit: int, number: int) -> Sum | None:
        plan = self.schedule
        weight, before = int(plan.weights[slot, unit]), self.sums.get((unit, number), UNKNOWN)
        if plan.clear[slot] or plan.value[slot] == unit // plan.shape.units:
            if weight:
                raise PlanError(f"word {slot}, unit {unit}: a product where an accumulator is read")
            return None
        if not weight:
            return before
        address = int(plan.addresses[slot, unit])
        if address not in self.memory:
            raise PlanError(f"word {slot}, unit {unit}: nothing is at address {address} yet")
        return Sum(before, self.memory[address], weight)

    def _form(self, slot: int, group: int, layer: int) -> Integers:
        """Weights of a layer's inputs in the sum of a group's accumulators."""
        plan, shape = self.schedule, self.schedule.shape
        form = np.zeros(self.layers[layer].weights.shape[1], np.int64)
        products = 0
        for unit in range(group * shape.units, (group + 1) * shape.units):
            total = self.sums.get((unit, int(plan.accumulators[slot, unit])), UNKNOWN)
            for code, weight in _products(total):
                if code[:2] != (self.frame, layer - 1):
                    raise PlanError(
                        f"word {slot}, unit {unit}: a code of layer {code[1]}, frame {code[0]} "
                        f"in a sum of layer {layer}, frame {self.frame}"
                    )
                form[code[2]] += weight
                products += 1
        if products != np.count_nonzero(form):
            raise PlanError(f"word {slot}, group {group}: an input more than once in a sum")
        return form

    def _require_form(self, slot: int, group: int, layer: int, output: int | None) -> None:
        form = self._form(slot, group, layer)
        wanted = self.layers[layer].weights[output] if output is not None else np.zeros_like(form)
        if not np.array_equal(form, wanted):
            place = int(np.flatnonzero(form != wanted)[0])
            raise PlanError(
                f"layer {layer}, output {output}, word {slot}: input {place} has the weight "
                f"{form[place]}, not {wanted[place]}"
            )

    def _require_row(self, slot: int, group: int) -> None:
        if self.emitted >= len(self.schedule.rows):
            raise PlanError(f"word {slot}: more codes are written than there is memory for")
        row = self.schedule.rows[self.emitted]
        self._require_form(slot, group, row.layer, row.outputs[group])

    def _write_back(self, slot: int) -> None:
        shape, row = self.schedule.shape, self.schedule.rows[self.emitted]
        first = (shape.ring * shape.position_words + self.emitted) * shape.groups
        for group, output in enumerate(row.outputs):
            if output is not None:
                code = (self.frame, row.layer, output)
                self.writes.append((slot + shape.written, first + group, code))
        self.emitted += 1

    def _require_value(self, slot: int, group: int) -> None:
        layer = len(self.layers) - 1
        if self.values >= len(self.layers[layer].weights):
            raise PlanError(f"word {slot}: more values than the last layer has outputs")
        self._require_form(slot, group, layer, self.values)
        self.values += 1

    def _require_complete(self) -> None:
        rows = self.schedule.rows
        for index, layer in enumerate(self.layers[:-1]):
            found = sorted(o for r in rows if r.layer == index for o in r.outputs if o is not None)
            if found != list(range(len(layer.weights))):
                raise PlanError(f"layer {index}: its outputs are not computed once each")
        if self.emitted != len(rows) or self.values != len(self.layers[-1].weights):
            raise PlanError(f"a frame gives {self.emitted} rows and {self.values} values")


def _products(total: Sum | None) -> Iterator[tuple[Code, int]]:
    while total is not None:
        yield total.code, total.weight
        total = total.before


# --- numbers ------------------------------------------------------------------------------------


def _require_widths(schedule: Schedule, layers: Sequence[DenseLayer]) -> None:
    shape = schedule.shape
    half = 1 << (shape.acc_bits - 1)
    for layer in layers:
        if layer.lowest.min() < -half or layer.highest.max() >= half:
            raise PlanError(f"{layer.name}: an accumulator of {shape.acc_bits} bits overflows")
        if layer.most >= 1 << shape.code_bits:
            raise PlanError(f"{layer.name}: a code has more than {shape.code_bits} bits")
        if np.abs(layer.weights).max(initial=0) >= 1 << shape.magnitude_bits:
            raise PlanError(f"{layer.name}: a weight has more than {shape.magnitude_bits} bits")
    _require_bits("address", schedule.addresses, 0, shape.words * shape.groups - 1)
    _require_bits("accumulator", schedule.accumulators, 0, shape.accumulators - 1)
    _require_bits("weight", abs(schedule.weights), 0, (1 << shape.magnitude_bits) - 1)
    _require_bits("threshold", schedule.thresholds, -half, half - 1)
    _require_bits("factor", schedule.factors, 0, (1 << shape.factor_bits) - 1)
    half = 1 << (shape.term_bits - 1)
    _require_bits("term", schedule.terms, -half, half - 1)


def _require_bits(name: str, numbers: Integers, low: int, high: int) -> None:
    least, most = int(numbers.min(initial=high)), int(numbers.max(initial=low))
    if least < low or most > high:
        raise PlanError(f"{name}: {least} .. {most} is not within {low} .. {high}")


def _require_codes(schedule: Schedule, layers: Sequence[DenseLayer]) -> None:
    """Constants give the right code for every accumulator that is within reach."""
    for number, row in enumerate(schedule.rows):
        for group, output in enumerate(row.outputs):
            if output is not None:
                _require_quantizer(schedule, number, group, layers[row.layer], output)
    last, shape = layers[-1], schedule.shape
    if (last.thresholds is not None) != shape.value_codes:
        raise PlanError("values are codes where they should be sums, or the other way round")
    groups = schedule.value[schedule.value >= 0].tolist()
    for output, group in enumerate(groups):
        if shape.value_codes:
            _require_quantizer(schedule, shape.hidden + output, group, last, output)
    if not shape.value_codes:
        _require_constants(schedule, last)


def _require_quantizer(
    schedule: Schedule, row: int, group: int, layer: DenseLayer, output: int
) -> None:
    """At every threshold and just below it, which is everywhere: codes never fall as sums rise."""
    thresholds = layer.raw_thresholds[output]
    low, high = int(layer.lowest[output]), int(layer.highest[output])
    tried = np.unique(np.clip([low, *thresholds, *(thresholds - 1), high], low, high))
    found = schedule.quantized(row, group, tried)
    wanted = np.searchsorted(thresholds, tried, side="right")
    rising = not schedule.shape.scaled or schedule.factors[row, group] >= 0
    if not rising or not np.array_equal(found, wanted):
        raise PlanError(f"{layer.name}, output {output}: its quantizer gives another code")
    table = schedule.thresholds[row, group] if not schedule.shape.scaled else np.zeros(1)
    if (np.diff(table) < 0).any():
        raise PlanError(f"{layer.name}, output {output}: thresholds are not in order")


def _require_constants(schedule: Schedule, last: DenseLayer) -> None:
    if not np.array_equal(schedule.constants, last.bias + last.missing):
        raise PlanError(f"{last.name}: other constants than its own are added to its values")
    half = 1 << (schedule.shape.value_bits - 1)
    low, high = last.lowest + schedule.constants, last.highest + schedule.constants
    if (
        min(low.min(), schedule.constants.min()) < -half
        or max(high.max(), schedule.constants.max()) >= half
    ):
        raise PlanError(f"{last.name}: values need more than {schedule.shape.value_bits} bits")
