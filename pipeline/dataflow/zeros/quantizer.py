"""Codes from sums, lane by lane: by one multiplication, or by comparison with thresholds.

A channel may be multiplied where a line is proved to be equal to its thresholds (`requantization`);
a lane may where all channels are that it serves by turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.dataflow.integer_model import Codes, Layer, reachable
from pipeline.dataflow.zeros.network import PlanError
from pipeline.dataflow.zeros.requantization import Affine, affine

Order = tuple[tuple[int | None, ...], ...]
"""By slot and lane: which output is there; None: there is none."""


@dataclass(frozen=True)
class Steps:
    """The codes of a channel's sums: how many of its thresholds each has reached.

    thresholds: ascending, from the lowest sum to `beyond`, which is above the highest; line: equal
    to them, None where there is none.
    """

    thresholds: tuple[int, ...]
    beyond: int
    line: Affine | None

    def moved(self, by: int) -> Steps:
        """The same of sums that are larger by so much."""
        line = self.line
        if line is not None:
            line = Affine(line.factor, line.term - line.factor * by, line.shift)
        return Steps(tuple(t + by for t in self.thresholds), self.beyond + by, line)


def channel_steps(layer: Layer, codes: Codes) -> list[Steps]:
    """Of every channel of a layer with thresholds, whose input has these codes."""
    if layer.thresholds is None:
        raise PlanError(f"layer {layer.name} has no thresholds")
    found = []
    lows, highs = reachable(layer.weights, codes)
    for own, low, high in zip(layer.thresholds, lows.tolist(), highs.tolist(), strict=True):
        within = np.clip(own, low, high + 1).tolist()
        found.append(Steps(tuple(within), high + 1, affine(own, low, high)))
    return found


@dataclass(frozen=True)
class Requantizer:
    """code = clamp((factor * sum + term) >> shift, 0, levels) of some lanes.

    lanes: numbers of them; factors, terms: by slot and lane of these, 0 where no output is.
    """

    lanes: tuple[int, ...]
    factors: tuple[tuple[int, ...], ...]
    terms: tuple[tuple[int, ...], ...]
    shift: int
    levels: int

    @property
    def factor_bits(self) -> int:
        return max(1, max(map(max, self.factors)).bit_length())

    @property
    def term_bits(self) -> int:
        """Signed."""
        largest = max(max(t, -t - 1) for row in self.terms for t in row)
        return int(largest).bit_length() + 1


@dataclass(frozen=True)
class Comparators:
    """code = how many thresholds the sum has reached, of some lanes.

    lanes: numbers of them; thresholds: by slot and lane of these, ascending, as many as a code of
    code_bits has steps.
    """

    lanes: tuple[int, ...]
    thresholds: tuple[tuple[tuple[int, ...], ...], ...]
    code_bits: int

    @property
    def threshold_bits(self) -> int:
        """Unsigned."""
        largest = max(t for row in self.thresholds for own in row for t in own)
        return max(1, largest.bit_length())

    def decisive(self, place: int, bit: int) -> list[int]:
        """The thresholds that may decide a bit of a lane's codes, slot by slot, ascending."""
        first, every = (1 << bit) - 1, 2 << bit
        return [t for row in self.thresholds for t in row[place][first::every]]


@dataclass(frozen=True)
class Quantizer:
    """Codes of all lanes; None: no lane is of this kind."""

    order: Order
    requantizer: Requantizer | None
    comparators: Comparators | None

    @property
    def lines(self) -> int:
        """Channels whose codes are multiplied."""
        return self._channels(self.requantizer)

    @property
    def compared(self) -> int:
        """Channels whose sums are compared with thresholds."""
        return self._channels(self.comparators)

    def _channels(self, kind: Requantizer | Comparators | None) -> int:
        lanes = () if kind is None else kind.lanes
        return sum(row[lane] is not None for row in self.order for lane in lanes)


def quantizer(steps: Sequence[Steps], order: Order) -> Quantizer:
    """steps: of every output, as its sums are in hardware."""
    no_line = {output for output, own in enumerate(steps) if own.line is None}
    compared = tuple(
        lane for lane in range(len(order[0])) if any(row[lane] in no_line for row in order)
    )
    multiplied = tuple(lane for lane in range(len(order[0])) if lane not in compared)
    return Quantizer(
        order=order,
        requantizer=_requantizer(steps, order, multiplied) if multiplied else None,
        comparators=_comparators(steps, order, compared) if compared else None,
    )


def _requantizer(steps: Sequence[Steps], order: Order, lanes: tuple[int, ...]) -> Requantizer:
    own = [[_line(steps, row[lane]) for lane in lanes] for row in order]
    shift = max(line.shift for row in own for line in row)
    moved = [[line.scaled(shift) for line in row] for row in own]
    return Requantizer(
        lanes=lanes,
        factors=tuple(tuple(line.factor for line in row) for row in moved),
        terms=tuple(tuple(line.term for line in row) for row in moved),
        shift=shift,
        levels=len(steps[0].thresholds),
    )


def _line(steps: Sequence[Steps], output: int | None) -> Affine:
    line = Affine(0, 0, 0) if output is None else steps[output].line
    assert line is not None, "the lane is compared"
    return line


def _comparators(steps: Sequence[Steps], order: Order, lanes: tuple[int, ...]) -> Comparators:
    code_bits = max(1, len(steps[0].thresholds).bit_length())
    count = (1 << code_bits) - 1

    def filled(output: int | None) -> tuple[int, ...]:
        if output is None:
            return (0,) * count
        own = steps[output]
        return own.thresholds + (own.beyond,) * (count - len(own.thresholds))

    thresholds = tuple(tuple(filled(row[lane]) for lane in lanes) for row in order)
    return Comparators(lanes, thresholds, code_bits)
