"""Dense layers in a few multipliers, each of which takes a nonzero weight a cycle: as a program.

An engine has groups of units.  An output belongs to a group, and each unit of the group has an
accumulator for it.  The first layer is computed position by position as these arrive; then the
accumulators are read out, quantized and written back, and the next layer follows.  Every word of
the program says for every unit which weight meets which code in which accumulator; zeros are not
in it.  `hw/rtl/sparse_engine.sv` executes it.

Codes are unsigned here, counted from their type's lowest.  A negative product is accumulated as the
inverted bits of its magnitude, so it is one too low: an accumulator misses the number of negative
weights of its output, which its quantizer makes up for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UserError
from pipeline.dataflow.integer_model import Codes, Layer

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

POSITION_ARRIVES = 2
"""Cycles from a position's arrival to the word that waited for it."""


@dataclass(frozen=True)
class DenseLayer:
    """A layer on unsigned codes.

    weights: (out, inputs), the inputs of a position side by side; most: the largest input code;
    thresholds: (out, levels), code = how many of them are <= sum of products; or None, and the
    layer gives the sums plus `bias` (out,).
    """

    name: str
    weights: Integers
    most: int
    thresholds: Integers | None
    bias: Integers

    @property
    def nonzeros(self) -> int:
        """Weights other than 0."""
        return int(np.count_nonzero(self.weights))

    @property
    def levels(self) -> int:
        """Thresholds of an output."""
        return 0 if self.thresholds is None else self.thresholds.shape[1]

    @property
    def missing(self) -> Integers:
        """(out,): what accumulators are too low by."""
        return (self.weights < 0).sum(axis=1)

    @property
    def lowest(self) -> Integers:
        """(out,): the lowest value that accumulators reach."""
        return np.minimum(self.weights, 0).sum(axis=1) * self.most - self.missing

    @property
    def highest(self) -> Integers:
        return np.maximum(self.weights, 0).sum(axis=1) * self.most - self.missing

    @property
    def raw_thresholds(self) -> Integers:
        """Of accumulators: (out, levels), none further away than just out of their reach."""
        assert self.thresholds is not None
        raw = self.thresholds - self.missing[:, None]
        return np.clip(raw, self.lowest[:, None], self.highest[:, None] + 1)

    def codes(self, sums: Integers) -> Integers:
        """Unsigned codes of sums of products (..., out); or the sums and biases."""
        if self.thresholds is None:
            return sums + self.bias
        return (sums[..., None] >= self.thresholds).sum(axis=-1)


def dense_layers(layers: Sequence[Layer], entering: Codes) -> tuple[DenseLayer, ...]:
    """These layers on unsigned codes, where the first reads codes of type `entering`.

    Raises UserError where one of them is no dense layer.
    """
    result = []
    for index, layer in enumerate(layers):
        _require_dense(layer, first=index == 0, last=index == len(layers) - 1)
        weights = layer.weights.reshape(len(layer.weights), -1)
        shift = entering.low * weights.sum(axis=1)
        bias = shift if layer.bias is None else shift + layer.bias
        thresholds = None if layer.thresholds is None else layer.thresholds - shift[:, None]
        result.append(
            DenseLayer(layer.name, weights, entering.high - entering.low, thresholds, bias)
        )
        entering = layer.output
    return tuple(result)


def _require_dense(layer: Layer, *, first: bool, last: bool) -> None:
    problem = ""
    if layer.padding or layer.pool != 1:
        problem = "it has padding or a max-pool"
    elif layer.weights.shape[1] != 1 and not first:
        problem = f"its kernel spans {layer.weights.shape[1]} positions of what one layer gave"
    elif layer.thresholds is None and not last:
        problem = "it has no quantizer"
    if problem:
        raise UserError(
            f"not a dense layer: {problem}",
            layer.name,
            "let the engine begin after it",
        )


# --- the engine ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """The engine's parameters, as `hw/rtl/sparse_engine.sv` names them.

    channels: of a position; ring: positions in memory; hidden: words of quantized codes that a
    frame writes back; slots: words of the program; accumulators: of a unit; hidden_bits: of a
    quantized code; scaled: quantized by one multiplication, else by search; values: outputs of the
    last layer.
    """

    channels: int
    code_bits: int
    groups: int
    units: int
    ring: int
    hidden: int
    slots: int
    accumulators: int
    magnitude_bits: int
    acc_bits: int
    hidden_bits: int
    scaled: bool
    factor_bits: int
    term_bits: int
    shift: int
    values: int
    value_bits: int
    value_codes: bool

    @property
    def all_units(self) -> int:
        return self.groups * self.units

    @property
    def position_words(self) -> int:
        """Memory words of a position, `groups` codes each."""
        return -(-self.channels // self.groups)

    @property
    def words(self) -> int:
        return self.ring * self.position_words + self.hidden

    @property
    def rows(self) -> int:
        """Of the quantizers' constants: one for each time that sums are quantized."""
        return self.hidden + (self.values if self.value_codes else 0)

    @property
    def levels(self) -> int:
        """Of adders with three operands that sum the accumulators of a group."""
        return next(n for n in range(1, 9) if 3**n >= self.units)

    @property
    def coded(self) -> int:
        """Cycles from a word that reads accumulators to their codes."""
        return 2 + self.levels + (2 if self.scaled else 2 * self.hidden_bits)

    @property
    def written(self) -> int:
        """Words from one that reads accumulators to the first that can use their codes."""
        return self.coded + 2

    def arrived(self, start: int, number: int) -> int:
        """The first word that can use the codes of memory word `number` of the position that the
        word `start` has waited for."""
        return start + max(number - 1, 1)

    @property
    def leaves(self) -> int:
        """Cycles from when a word's address is there to when its value is."""
        return self.coded + 3 if self.value_codes else self.levels + 6


@dataclass(frozen=True)
class HiddenRow:
    """What one word of quantized codes is: an output (or None) of a layer for each group."""

    layer: int
    outputs: tuple[int | None, ...]


@dataclass(frozen=True)
class Schedule:
    """A program, and its constants.

    spacing: least cycles between positions.  Per word and unit, (slots, all units): weights (0:
    none), addresses (of codes, group by group within a memory word), accumulators.  Per word: flags
    as the engine has them; value: the group whose sum is a value of the last layer, or -1.  Per
    row: what it is, and factors and terms (rows, groups), or thresholds (rows, groups, levels).
    constants: what is added to each value.
    """

    shape: Shape
    positions: int
    spacing: int
    weights: Integers
    addresses: Integers
    accumulators: Integers
    wait: Flags
    last: Flags
    clear: Flags
    emit: Flags
    value: Integers
    rows: tuple[HiddenRow, ...]
    factors: Integers
    terms: Integers
    thresholds: Integers
    constants: Integers

    @property
    def frame(self) -> range:
        """The words that are executed for every frame."""
        return range(self.shape.accumulators, self.shape.slots)

    @property
    def starts(self) -> tuple[int, ...]:
        """The word that is repeated until a position has arrived, for each position."""
        waiting = np.flatnonzero(self.wait[self.frame.start :])
        return tuple(sorted(int(w + 2) % len(self.frame) + self.frame.start for w in waiting))

    def quantized(self, row: int, group: int, sums: Integers) -> Integers:
        """The code of accumulators that are read for this row."""
        most = 2**self.shape.hidden_bits - 1
        if self.shape.scaled:
            total = self.factors[row, group] * sums + self.terms[row, group]
            return np.clip(total >> self.shape.shift, 0, most)
        return np.searchsorted(self.thresholds[row, group], sums, side="right")
