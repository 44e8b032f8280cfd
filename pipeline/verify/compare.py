"""Comparison of integers with `==`: counts and the first difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import VerificationFailed

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """The first differing value of a stream, in the order the hardware sends it."""

    layer: str
    frame: int
    position: int
    channel: int
    expected: int
    actual: int

    def __str__(self) -> str:
        return (
            f"layer {self.layer}, frame {self.frame}, position {self.position}, "
            f"channel {self.channel}: expected {self.expected}, got {self.actual}"
        )


@dataclass(frozen=True)
class LayerResult:
    """Values compared and how many differ; `first` is None where none does."""

    name: str
    values: int
    mismatches: int
    first: Difference | None


def compare(name: str, expected: Integers, actual: Integers) -> LayerResult:
    """Compares (frames, positions, channels) arrays.

    Raises VerificationFailed where there is nothing to compare or the shapes differ: a
    comparison of no frames proves nothing.
    """
    if expected.size == 0:
        raise VerificationFailed(f"layer {name}: 0 values compared, so nothing is shown")
    if expected.shape != actual.shape:
        raise VerificationFailed(f"layer {name}: expected {_shape(expected)}, got {_shape(actual)}")
    wrong = np.argwhere(expected != actual)
    first = None
    if len(wrong):
        frame, position, channel = (int(i) for i in wrong[0])
        where = (frame, position, channel)
        first = Difference(name, *where, int(expected[where]), int(actual[where]))
    return LayerResult(name, int(expected.size), len(wrong), first)


def _shape(values: Integers) -> str:
    return "{} frames of {} positions and {} channels".format(*values.shape)


def require_equal(results: Sequence[LayerResult]) -> None:
    """Raises VerificationFailed naming the first layer, in the order given, that differs."""
    if not results:
        raise VerificationFailed("0 layers compared, so nothing is shown")
    for result in results:
        if result.first is not None:
            raise VerificationFailed(
                f"{result.mismatches} of {result.values} values differ; first: {result.first}"
            )
