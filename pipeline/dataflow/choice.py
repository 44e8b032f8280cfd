"""Which engine computes which layer: what takes less of the board at the rate of its input.

The dense layers at the end are one piece, since they share an engine that skips zeros.  Pieces that
follow each other on that engine are one run; what a run takes at its ends counts too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pipeline.core.errors import UserError
from pipeline.dataflow.costs.cost import Cost
from pipeline.dataflow.integer_model import Codes
from pipeline.dataflow.zeros.convolution import Convolution
from pipeline.dataflow.zeros.dense import Schedule
from pipeline.dataflow.zeros.network import PlanError
from pipeline.dataflow.zeros.run import Arrival, Pace, Planner, Run, convolutions_of

SKIPPING, FOLDED = "zero_skipping", "dense"
ENGINES = (SKIPPING, FOLDED)
"""Of two that take as much the first."""


@dataclass(frozen=True)
class Piece:
    """Layers `first` .. `last` - 1: a convolution, or the dense layers at the end.

    entering: codes that it reads; arrive: when these come; plan: without zeros, None where there is
    none that keeps up.
    """

    first: int
    last: int
    entering: Codes
    arrive: Arrival
    plan: Convolution | Schedule | None


def pieces(planner: Planner) -> Iterator[Piece]:
    """All layers, planned for the rate of the input.  Raises PlanError where groups do not fit."""
    layers, codes, arrive = planner.layers, planner.entering, planner.arrival
    convolutions = convolutions_of(layers, arrive.positions)
    for index, layer in enumerate(layers[:convolutions]):
        yield Piece(index, index + 1, codes, arrive, _convolution(planner, index, codes, arrive))
        codes, arrive = layer.output, arrive.after(layer, arrive.spacing)
    if convolutions < len(layers):
        plan = _engine(planner, convolutions, codes, arrive)
        yield Piece(convolutions, len(layers), codes, arrive, plan)


def _convolution(planner: Planner, index: int, codes: Codes, arrive: Arrival) -> Convolution | None:
    try:
        return planner.convolution(index, codes, arrive, arrive.spacing)
    except PlanError:
        return None


def _engine(planner: Planner, first: int, codes: Codes, arrive: Arrival) -> Schedule | None:
    try:
        return planner.engine(first, codes, arrive.spacing, None)
    except (PlanError, UserError):
        return None


# --- the choice ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """What a piece takes.

    costs: by engine, without those that do not keep up; entered, left: what a run takes that begins
    with this piece, and one that ends with it.
    """

    name: str
    costs: Mapping[str, Cost]
    entered: Cost = field(default_factory=Cost)
    left: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class _Chain:
    """The engines of the first pieces, and the share of the board that they take."""

    engines: tuple[str, ...]
    share: float


def choose(options: Sequence[Option], budget: Cost) -> tuple[str, ...]:
    """The engine of every piece, with the smallest sum of shares of the budget.

    Raises UserError, naming the piece, where no engine keeps up.
    """
    best = {FOLDED: _Chain((), 0.0)}
    last: Option | None = None
    for option in options:
        if not option.costs:
            raise UserError(
                f"{option.name}: no engine keeps up with its input",
                "hardware.samples_per_clock",
                "another rate",
            )
        best = {
            engine: min(
                (_continued(chain, last, option, engine, budget) for chain in best.values()),
                key=lambda chain: chain.share,
            )
            for engine in ENGINES
            if engine in option.costs
        }
        last = option
    ended = (_ended(chain, last, budget) for chain in best.values())
    return min(ended, key=lambda chain: chain.share).engines


def _continued(
    chain: _Chain, last: Option | None, option: Option, engine: str, budget: Cost
) -> _Chain:
    cost, before = option.costs[engine], chain.engines[-1] if chain.engines else FOLDED
    if engine == SKIPPING and before == FOLDED:
        cost += option.entered
    if engine == FOLDED and before == SKIPPING and last is not None:
        cost += last.left
    return _Chain((*chain.engines, engine), chain.share + cost.share(budget))


def _ended(chain: _Chain, last: Option | None, budget: Cost) -> _Chain:
    if last is None or chain.engines[-1] == FOLDED:
        return chain
    return _Chain(chain.engines, chain.share + last.left.share(budget))


# --- runs ---------------------------------------------------------------------------------------


def runs(planner: Planner, own: Sequence[Piece], engines: Sequence[str]) -> dict[int, Run]:
    """Pieces that skip zeros and follow each other, by the number of their first layer."""
    found = {}
    chosen = zip(own, engines, strict=True)
    for engine, group in groupby(chosen, key=lambda pair: pair[1]):
        together = [piece for piece, _ in group]
        if engine == SKIPPING:
            found[together[0].first] = _run(planner, together)
    return found


def _run(planner: Planner, own: Sequence[Piece]) -> Run:
    first = own[0]
    layers = planner.layers[first.first : own[-1].last]
    convolutions = [piece.plan for piece in own if isinstance(piece.plan, Convolution)]
    schedules = [piece.plan for piece in own if isinstance(piece.plan, Schedule)]
    cycles = tuple(layer.cycles for layer in convolutions)
    return Run(
        layers=layers,
        entering=first.entering,
        positions=first.arrive.positions,
        channels=layers[0].weights.shape[2],
        pace=Pace(first.arrive.group, first.arrive.spacing, cycles),
        convolutions=tuple(convolutions),
        schedule=schedules[0] if schedules else None,
    )
