"""Several positions a beat: on groups of positions a convolution is a convolution again.

    group 2, kernel 3, padding 1        positions  | 0 1 | 2 3 | 4 5 |
    evaluations 2 and 3, of one group              |   x | x x |           weights of number 2
                                                   |     | x x | x |       and of number 3

An evaluation of groups gives `group` evaluations of positions, whose weights are the same but for
where they stand.  Where a pool follows, it takes the largest of some of them right away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.integer_model import Layer
from pipeline.dataflow.zeros.network import PlanError

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Grouped:
    """A layer on groups of `group` positions.

    weights: (sums, groups of the window, inputs of a group), the first position's inputs first;
    groups: of a frame; first: the number of the frame's group with which its first evaluation is
    complete; flush: evaluations after the last group; merged: as many sums have one maximum, which
    are a multiple of `outputs` apart; outputs: maxima, those of the first position first; pool: of
    evaluations, what is left of it.
    """

    weights: Integers
    groups: int
    first: int
    flush: int
    merged: int
    outputs: int
    pool: int


def grouped(layer: Layer, positions: int, group: int) -> Grouped:
    """The layer on frames of `positions` positions.  Raises PlanError where groups do not fit."""
    channels, kernel, _ = layer.weights.shape
    evaluations = positions + 2 * layer.padding - kernel + 1
    merged = min(group, layer.pool)
    _require_multiple(layer, "positions of a frame", positions, group)
    _require_multiple(layer, "sums of a channel", evaluations, group)
    _require_multiple(layer, "positions of a group", group, merged)
    _require_multiple(layer, "positions of the pool", layer.pool, merged)
    first = (group - 2 - layer.padding + kernel) // group
    return Grouped(
        weights=_weights(layer, group, merged),
        groups=positions // group,
        first=first,
        flush=first + (evaluations - positions) // group,
        merged=merged,
        outputs=channels * group // merged,
        pool=layer.pool // merged,
    )


def _require_multiple(layer: Layer, what: str, count: int, of: int) -> None:
    if count % of:
        raise PlanError(f"layer {layer.name}: {count} {what} are no multiple of {of}")


def _weights(layer: Layer, group: int, merged: int) -> Integers:
    outputs, kernel, inputs = layer.weights.shape
    lead = -(-layer.padding // group)
    window = lead + (group - 2 - layer.padding + kernel) // group + 1
    found = np.zeros((merged, group // merged, outputs, window * group, inputs), np.int64)
    for evaluation in range(group):
        start = lead * group - layer.padding + evaluation
        place = found[evaluation % merged, evaluation // merged]
        place[:, start : start + kernel] = layer.weights
    return found.reshape(group * outputs, window, group * inputs)
