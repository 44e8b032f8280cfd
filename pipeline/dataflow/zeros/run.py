"""Consecutive layers on the zero-skipping engine: convolutions, then dense layers in one engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.zeros.convolution import Convolution, convolution
from pipeline.dataflow.zeros.dense import Schedule
from pipeline.dataflow.zeros.dense_planning import plan
from pipeline.dataflow.zeros.network import PlanError


@dataclass(frozen=True)
class Pace:
    """How fast a run works.

    spacing: cycles between the positions that enter it; cycles: that each convolution takes for
    a position, at most the spacing that it then has; latency: most cycles from the dense layers'
    last position to their last value, None: as long as the next frame leaves.
    """

    spacing: int
    cycles: tuple[int, ...]
    latency: int | None = None


@dataclass(frozen=True)
class Run:
    """Layers as planned.

    layers: of the integer model; entering: codes of its input, `positions` of `channels` a frame;
    convolutions: of the first layers; schedule: of the others, None where there are none.
    """

    layers: tuple[Layer, ...]
    entering: Codes
    positions: int
    channels: int
    pace: Pace
    convolutions: tuple[Convolution, ...]
    schedule: Schedule | None

    @property
    def dense(self) -> tuple[Layer, ...]:
        return self.layers[len(self.convolutions) :]

    @property
    def interval(self) -> int:
        """Cycles between frames."""
        return self.positions * self.pace.spacing


def convolutions_of(layers: Sequence[Layer], positions: int) -> int:
    """How many layers come before the first that takes all positions of a frame at once.

    positions: that enter the first layer.
    """
    for index, layer in enumerate(layers):
        if layer.weights.shape[1] == positions and layer.padding == 0 and layer.pool == 1:
            return index
        positions = positions_after(layer, positions)
    return len(layers)


def positions_after(layer: Layer, positions: int) -> int:
    return (positions + 2 * layer.padding - layer.weights.shape[1] + 1) // layer.pool


def spacing_after(layer: Layer, spacing: int, cycles: int) -> int:
    """Least cycles between the positions that leave a convolution.

    The positions that its padding adds behind a frame are only as far apart as it needs.
    """
    added = min(layer.padding, layer.pool)
    return (layer.pool - added) * spacing + added * cycles


def paced(layers: Sequence[Layer], positions: int, spacing: int) -> Pace:
    """Every convolution takes all the time there is."""
    cycles, arrive = [], spacing
    for layer in layers[: convolutions_of(layers, positions)]:
        cycles.append(arrive)
        arrive = spacing_after(layer, arrive, arrive)
    return Pace(spacing, tuple(cycles))


def planned(layers: Sequence[Layer], entering: Codes, positions: int, pace: Pace) -> Run:
    """The plan of a run whose input is `positions` of these codes.

    Raises PlanError where a convolution is slower than its input, UserError where no engine for
    the dense layers is in time.
    """
    channels = layers[0].weights.shape[2]
    found, codes, arrive, left = [], entering, pace.spacing, positions
    count = convolutions_of(layers, positions)
    for layer, cycles in zip(layers[:count], pace.cycles, strict=True):
        if cycles > arrive:
            raise PlanError(f"layer {layer.name}: {cycles} cycles, but {arrive} between positions")
        found.append(convolution(layer, codes, left, cycles))
        arrive, left = spacing_after(layer, arrive, cycles), positions_after(layer, left)
        codes = layer.output
    schedule = None
    if count < len(layers):
        schedule, _ = plan(layers[count:], codes, arrive, latency=pace.latency)
    return Run(tuple(layers), entering, positions, channels, pace, tuple(found), schedule)
