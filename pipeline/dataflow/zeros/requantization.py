"""Thresholds as one multiplication: code = clamp((A * accumulator + B) >> s).

BatchNorm and quantizer are a line and a rounding, so their thresholds lie evenly, but for the
rounding.  Where a line with short integers passes between all of them, it takes the place of the
comparisons; every accumulator that the channel can reach is then tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

LARGEST_SHIFT = 24
STEPS_OF_SEARCH = 120
"""Of an interval that shrinks by a third: to the last digit of a float."""


@dataclass(frozen=True)
class Affine:
    """code = clamp((factor * accumulator + term) >> shift, 0, levels), for one channel."""

    factor: int
    term: int
    shift: int

    def codes(self, accumulators: Integers, levels: int) -> Integers:
        """Codes from 0 to `levels`."""
        return np.clip((self.factor * accumulators + self.term) >> self.shift, 0, levels)

    def scaled(self, shift: int) -> Affine:
        """The same with a larger shift."""
        more = shift - self.shift
        return Affine(self.factor << more, self.term << more, shift)


def affine(thresholds: Integers, low: int, high: int) -> Affine | None:
    """The line with the smallest shift that gives the codes of these thresholds.

    thresholds: (levels,), ascending: the code is the number of them <= accumulator; low, high: what
    the accumulator can reach.  None where there is no such line.
    """
    corners = _corners(thresholds, low, high)
    slope = corners.widest_slope()
    for shift in range(LARGEST_SHIFT + 1):
        nearest = int(np.floor(slope * 2.0**shift))
        for factor in (nearest, nearest + 1):
            term = corners.term(factor, shift)
            if term is not None:
                found = Affine(factor, term, shift)
                return found if _is_proved(found, thresholds, low, high) else None
    return None


def _is_proved(found: Affine, thresholds: Integers, low: int, high: int) -> bool:
    """Whether the codes are equal for every accumulator from `low` to `high`."""
    accumulators = np.arange(low, high + 1, dtype=np.int64)
    wanted = np.searchsorted(thresholds, accumulators, side="right")
    return bool(np.array_equal(found.codes(accumulators, len(thresholds)), wanted))


@dataclass(frozen=True)
class _Corners:
    """What the line has to pass: at or above a level here, below a level there."""

    at: Integers
    reaches: Integers
    under: Integers
    stays_below: Integers

    def room(self, slope: float) -> float:
        """By how much a line of this slope can be moved up and down; negative: there is none."""
        least = np.max(self.reaches - slope * self.at, initial=-np.inf)
        most = np.min(self.stays_below - slope * self.under, initial=np.inf)
        return float(most - least)

    def widest_slope(self) -> float:
        """The slope with the most room, which is concave in it: so if an integer factor has room,
        then one of the two beside this slope has."""
        if not len(self.at) or not len(self.under):
            return 0.0
        first, last = 0.0, float(len(self.at) + len(self.under))
        for _ in range(STEPS_OF_SEARCH):
            third = (last - first) / 3
            if self.room(first + third) < self.room(last - third):
                first += third
            else:
                last -= third
        return (first + last) / 2

    def term(self, factor: int, shift: int) -> int | None:
        """The smallest term of a line with this factor."""
        least = (self.reaches << shift) - factor * self.at
        most = (self.stays_below << shift) - factor * self.under - 1
        if not len(least):
            return int(most.min(initial=0))
        term = int(least.max())
        return term if not len(most) or term <= most.min() else None


def _corners(thresholds: Integers, low: int, high: int) -> _Corners:
    levels = np.arange(1, len(thresholds) + 1)
    reached = np.clip(thresholds, low, high + 1)
    met, missed = reached <= high, reached > low
    return _Corners(reached[met], levels[met], reached[missed] - 1, levels[missed])
