"""Consecutive layers on the zero-skipping engine: convolutions, then dense layers in one engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.zeros.convolution import Convolution, convolution
from pipeline.dataflow.zeros.dense import Schedule
from pipeline.dataflow.zeros.dense_planning import plan
from pipeline.dataflow.zeros.grouping import grouped
from pipeline.dataflow.zeros.network import PlanError


@dataclass(frozen=True)
class Pace:
    """How fast a run works.

    group: positions in a beat of its input; spacing: cycles between beats; cycles: that each
    convolution takes for what arrives at once, at most as many as there then are; latency: most
    cycles from the dense layers' last position to their last value, None: as long as the next
    frame leaves.
    """

    group: int
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
        return self.positions // self.pace.group * self.pace.spacing


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


@dataclass(frozen=True)
class Arrival:
    """What a convolution reads: `positions` a frame, `group` at once, so many at least every
    `spacing` cycles."""

    positions: int
    group: int
    spacing: int

    def after(self, layer: Layer, cycles: int) -> Arrival:
        """What the next one reads, if this one takes `cycles` for what arrives at once.

        What its padding adds behind a frame is only as far apart as it needs.
        """
        own = grouped(layer, self.positions, self.group)
        added = min(own.flush, own.pool)
        spacing = (own.pool - added) * self.spacing + added * cycles
        return Arrival(positions_after(layer, self.positions), self.group // own.merged, spacing)


def paced(layers: Sequence[Layer], arrival: Arrival) -> Pace:
    """Every convolution takes all the time there is.  Raises PlanError where groups do not fit."""
    cycles, arrive = [], arrival
    for layer in layers[: convolutions_of(layers, arrival.positions)]:
        cycles.append(arrive.spacing)
        arrive = arrive.after(layer, arrive.spacing)
    return Pace(arrival.group, arrival.spacing, tuple(cycles))


@dataclass
class Planner:
    """Plans a run at one pace or many; what these have in common is planned once.

    arrival: what the first layer reads, codes of the type `entering`.
    """

    layers: tuple[Layer, ...]
    entering: Codes
    arrival: Arrival
    _convolutions: dict[tuple[int, Arrival, int], Convolution] = field(default_factory=dict)
    _engines: dict[tuple[int, int | None], Schedule] = field(default_factory=dict)

    def run(self, pace: Pace) -> Run:
        """Raises PlanError where a convolution is slower than its input or groups do not fit,
        UserError where no engine for the dense layers is in time."""
        if pace.cycles and pace.cycles[0] != self.arrival.spacing:
            name = self.layers[0].name
            raise PlanError(f"layer {name} must keep the run's beats {self.arrival.spacing} apart")
        found, codes, arrive = [], self.entering, self.arrival
        for index, cycles in enumerate(pace.cycles):
            found.append(self.convolution(index, codes, arrive, cycles))
            codes = self.layers[index].output
            arrive = arrive.after(self.layers[index], cycles)
        if arrive.group > 1:
            last = self.layers[max(len(found) - 1, 0)].name
            raise PlanError(f"layer {last} is left with {arrive.group} positions at once")
        schedule = None
        if len(found) < len(self.layers):
            schedule = self.engine(len(found), codes, arrive.spacing, pace.latency)
        return Run(
            layers=self.layers,
            entering=self.entering,
            positions=self.arrival.positions,
            channels=self.layers[0].weights.shape[2],
            pace=pace,
            convolutions=tuple(found),
            schedule=schedule,
        )

    def convolution(self, index: int, codes: Codes, arrive: Arrival, cycles: int) -> Convolution:
        """A layer by itself.  Raises PlanError as `run` does."""
        layer = self.layers[index]
        if cycles > arrive.spacing:
            raise PlanError(
                f"layer {layer.name}: {cycles} cycles, but {arrive.spacing} between positions"
            )
        key = index, arrive, cycles
        if key not in self._convolutions:
            found = convolution(layer, codes, arrive.positions, cycles, arrive.group)
            self._convolutions[key] = found
        return self._convolutions[key]

    def engine(self, first: int, codes: Codes, spacing: int, latency: int | None) -> Schedule:
        """That of all layers from `first` on.  Raises UserError as `run` does."""
        key = spacing, latency
        if key not in self._engines:
            found, _ = plan(self.layers[first:], codes, spacing, latency=latency)
            self._engines[key] = found
        return self._engines[key]
