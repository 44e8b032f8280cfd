"""Mutation runs: faults are planted in every rung of the ladder, and each has to be caught.

A mutant is caught where the first stream that differs is one in which its fault can be seen first.
One that nothing differs for has survived: either that can be argued from the integers alone (an
*equivalent*: a weight whose input is always zero, a threshold that no accumulator lies beside), or
the verification has a hole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.tools import ToolError
from pipeline.dataflow.integer_model import IntegerModel, Integers, Layer
from pipeline.verify.compare import LayerResult

REFUSED = "refused"
"""Where a fault is found before anything is compared: the compiler, a table's reader, a hang."""

Argument = Callable[[], str]


def must_be_seen() -> str:
    """The argument for a fault that has none."""
    return ""


@dataclass(frozen=True)
class Mutant:
    """A planted fault.

    rung, kind: for the report's table; what: the fault itself; where: streams of which one has to
    be the first that differs, or `REFUSED`; run: compares the faulty rung, given an empty folder;
    argument: why nothing can differ, from the integers; empty where something must.
    """

    rung: str
    kind: str
    what: str
    where: tuple[str, ...]
    run: Callable[[Path], Sequence[LayerResult]]
    argument: Argument = must_be_seen


@dataclass(frozen=True)
class Outcome:
    """verdict: "caught", "misplaced" (seen, but first at a wrong place), "equivalent" (argued) or
    "survived"; detail: the first difference, the refusal or the argument."""

    rung: str
    kind: str
    what: str
    verdict: str
    detail: str


def judge(mutant: Mutant, scratch: Path) -> Outcome:
    """Runs a mutant in `scratch`, an empty folder."""

    def outcome(verdict: str, detail: str) -> Outcome:
        return Outcome(mutant.rung, mutant.kind, mutant.what, verdict, detail)

    try:
        results = mutant.run(scratch)
    except (VerificationFailed, UserError) as refusal:
        what = refusal.what if isinstance(refusal, UserError) else str(refusal)
        ended = isinstance(refusal, ToolError) and refusal.returncode is None  # by us
        found = REFUSED in mutant.where and not ended
        return outcome("caught" if found else "misplaced", what)
    first = next((x.first for x in results if x.first is not None), None)
    if first is not None:
        return outcome("caught" if first.layer in mutant.where else "misplaced", str(first))
    argument = mutant.argument()
    return outcome("equivalent", argument) if argument else outcome("survived", "nothing differs")


# --- single integers ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One integer of a layer, `array` being "weights", "thresholds" or "bias"."""

    layer: int
    array: str
    index: tuple[int, ...]
    old: int
    new: int

    def describe(self, model: IntegerModel) -> str:
        name = model.layers[self.layer].name
        return f"{name}: {self.array}{list(self.index)} {self.old} -> {self.new}"

    def applied(self, model: IntegerModel) -> IntegerModel:
        """The model with this integer changed."""
        layer = model.layers[self.layer]
        values = getattr(layer, self.array).copy()
        assert values[self.index] == self.old
        values[self.index] = self.new
        layers = list(model.layers)
        layers[self.layer] = replace(layer, **{self.array: values})
        return replace(model, layers=tuple(layers))

    def seen_at(self, model: IntegerModel) -> tuple[str, ...]:
        """The stream in which it is seen first."""
        layer = model.layers[self.layer]
        return (layer.accumulator_name if self.array == "weights" else layer.boundary,)

    def argument(self, model: IntegerModel, streams: Mapping[str, Integers]) -> str:
        """Why the change cannot be seen in frames with these streams; empty where it can."""
        layer = model.layers[self.layer]
        if self.array == "weights":
            return self._of_weight(model, streams)
        if self.array == "thresholds":
            return self._of_threshold(layer, streams[layer.accumulator_name])
        return ""

    def _of_weight(self, model: IntegerModel, streams: Mapping[str, Integers]) -> str:
        if self.layer == 0:
            return ""
        entering = streams[model.layers[self.layer - 1].boundary]
        _, tap, channel = self.index
        layer = model.layers[self.layer]
        positions = entering.shape[1]
        low, high = (
            max(0, tap - layer.padding),
            positions + min(0, tap + layer.padding + 1 - layer.weights.shape[1]),
        )
        if entering[:, low:high, channel].any():
            return ""
        return f"its input, channel {channel}, is 0 wherever it is multiplied"

    def _of_threshold(self, layer: Layer, sums: Integers) -> str:
        low, high = sorted((self.old, self.new))
        own = sums[..., self.index[0]]
        between = (own >= low) & (own < high)
        if not between.any():
            reach = f"{int(own.min())}..{int(own.max())}"
            return f"no accumulator of its channel ({reach}) is from {low} to {high - 1}"
        pooled = layer.pooled(between[..., None].astype(np.int64))
        if pooled.shape[1] * layer.pool < between.shape[1] and not pooled.any():
            return "the accumulators that it decides are dropped by the max-pool"
        return self._hidden_by_pool(layer, sums)

    def _hidden_by_pool(self, layer: Layer, sums: Integers) -> str:
        """A maximum may hide it: the other position of its window has the larger code."""
        values = layer.thresholds
        assert values is not None
        changed = values.copy()
        changed[self.index] = self.new
        other = replace(layer, thresholds=changed)
        if (layer.pooled(layer.quantized(sums)) != other.pooled(other.quantized(sums))).any():
            return ""
        return "where it decides a code, another position of the max-pool has a larger one"


def random_changes(model: IntegerModel, each: int, seed: int) -> Iterator[Change]:
    """`each` changes of every array of every layer, at random places.

    A weight has one bit flipped; a threshold and a bias move by one.
    """
    rng = np.random.default_rng(seed)
    for index, layer in enumerate(model.layers):
        for array in ("weights", "thresholds", "bias"):
            values = getattr(layer, array)
            if values is None:
                continue
            for _ in range(each):
                yield _change(index, layer, array, values, rng)


def _change(
    index: int, layer: Layer, array: str, values: Integers, rng: np.random.Generator
) -> Change:
    where = tuple(int(rng.integers(size)) for size in values.shape)
    old = int(values[where])
    if array == "weights":
        return Change(index, array, where, old, _flipped(old, layer.weight_bits, rng))
    step = int(rng.choice([-1, 1]))
    if array == "thresholds":
        where = (where[0], _end_of_run(values[where[0]], where[1], step))
    return Change(index, array, where, old, old + step)


def _flipped(value: int, bits: int, rng: np.random.Generator) -> int:
    """A two's complement number with one of its bits flipped."""
    field = (value ^ (1 << int(rng.integers(bits)))) & ((1 << bits) - 1)
    return field - (1 << bits) if field >= 1 << (bits - 1) else field


def _end_of_run(steps: Integers, level: int, step: int) -> int:
    """The first or the last of the thresholds that equal one: moving it leaves them in order.

    A search, which hardware may do, needs that.
    """
    side: Literal["left", "right"] = "left" if step < 0 else "right"
    return int(np.searchsorted(steps, steps[level], side)) - (step > 0)
