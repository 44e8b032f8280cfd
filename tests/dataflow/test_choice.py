"""The engine of every layer: what takes less of the board, with the ends of runs."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import UserError
from pipeline.dataflow.choice import FOLDED, SKIPPING, Option, choose, pieces, runs
from pipeline.dataflow.costs.cost import Cost
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.dataflow.zeros.convolution import Convolution
from pipeline.dataflow.zeros.dense import Schedule
from pipeline.dataflow.zeros.run import Arrival, Planner
from tests.dataflow.zeros.test_run import SHAPES
from tests.random_model import random_model

BUDGET = Cost(1000, 100, 10)


def option(skipping: float | None, folded: float | None, ends: float = 0.0) -> Option:
    both = {SKIPPING: skipping, FOLDED: folded}
    costs = {engine: Cost(lut) for engine, lut in both.items() if lut is not None}
    return Option("layer", costs, Cost(ends), Cost(2 * ends))


def test_what_takes_less_is_chosen() -> None:
    assert choose([option(5, 9), option(9, 5)], BUDGET) == (SKIPPING, FOLDED)


def test_scarce_units_are_dear() -> None:
    """10 of 1000 LUT are less than 2 of 100 DSP."""
    own = Option("layer", {SKIPPING: Cost(dsp=2), FOLDED: Cost(lut=10)})
    assert choose([own], BUDGET) == (FOLDED,)
    assert choose([own], Cost(100, 1000, 10)) == (SKIPPING,)


def test_a_board_without_a_unit_takes_the_engine_that_needs_none() -> None:
    own = Option("layer", {SKIPPING: Cost(dsp=1), FOLDED: Cost(lut=900)})
    assert choose([own], Cost(1000, 0, 10)) == (FOLDED,)


def test_the_only_engine_that_keeps_up_is_taken() -> None:
    assert choose([option(900, None), option(None, 900)], BUDGET) == (SKIPPING, FOLDED)
    with pytest.raises(UserError, match="layer: no engine keeps up"):
        choose([option(1, 1), option(None, None)], BUDGET)


def test_a_run_is_not_left_for_one_layer_that_saves_less_than_the_ends() -> None:
    cheap = [option(5, 90, ends=3), option(20, 15, ends=3), option(5, 90, ends=3)]
    assert choose(cheap, BUDGET) == (SKIPPING, SKIPPING, SKIPPING)
    dear = [option(5, 90, ends=1), option(20, 15, ends=1), option(5, 90, ends=1)]
    assert choose(dear, BUDGET) == (SKIPPING, FOLDED, SKIPPING)


def share(options: list[Option], engines: tuple[str, ...]) -> float:
    """Counted once more, from all engines together."""
    total = Cost()
    for index, (own, engine) in enumerate(zip(options, engines, strict=True)):
        total += own.costs[engine]
        if engine == SKIPPING and (index == 0 or engines[index - 1] == FOLDED):
            total += own.entered
        if engine == SKIPPING and (index + 1 == len(engines) or engines[index + 1] == FOLDED):
            total += own.left
    return total.share(BUDGET)


@given(st.lists(st.tuples(*[st.integers(0, 50)] * 3), min_size=1, max_size=6))
def test_no_other_choice_takes_less(costs: list[tuple[int, int, int]]) -> None:
    options = [option(*own) for own in costs]
    found = share(options, choose(options, BUDGET))
    every = product((SKIPPING, FOLDED), repeat=len(options))
    assert found == pytest.approx(min(share(options, engines) for engines in every))


# --- pieces and runs ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    found, _ = random_model(256, 2, Codes(-8, 7), SHAPES, 5)
    return found


def planner(model: IntegerModel, group: int = 1, spacing: int = 1) -> Planner:
    return Planner(model.layers, model.input, Arrival(model.positions, group, spacing))


def test_dense_layers_are_one_piece(model: IntegerModel) -> None:
    found = list(pieces(planner(model, spacing=4)))
    assert [(own.first, own.last) for own in found] == [(0, 1), (1, 2), (2, 5)]
    assert [type(own.plan) for own in found] == [Convolution, Convolution, Schedule]
    assert [own.arrive for own in found] == [
        Arrival(256, 1, 4),
        Arrival(128, 1, 8),
        Arrival(64, 1, 16),
    ]


def test_pieces_that_follow_each_other_are_a_run(model: IntegerModel) -> None:
    plan = planner(model, spacing=4)
    own = list(pieces(plan))
    (whole,) = runs(plan, own, [SKIPPING] * 3).values()
    assert whole.layers == model.layers
    assert whole.interval == 1024
    apart = runs(plan, own, [SKIPPING, FOLDED, SKIPPING])
    assert list(apart) == [0, 2]
    assert [run.interval for run in apart.values()] == [1024, 1024]
    assert apart[2].positions == 64
    assert apart[2].entering == model.layers[1].output


@pytest.mark.parametrize("engines", [[SKIPPING] * 3, [FOLDED, SKIPPING, SKIPPING]])
def test_a_run_is_what_its_pace_plans(model: IntegerModel, engines: list[str]) -> None:
    """The graph's node has the pace alone, and plans by it again."""
    plan = planner(model, spacing=4)
    for first, run in runs(plan, list(pieces(plan)), engines).items():
        arrival = Arrival(run.positions, run.pace.group, run.pace.spacing)
        again = Planner(model.layers[first:], run.entering, arrival).run(run.pace)
        assert again.convolutions == run.convolutions
        assert again.schedule is not None
        assert run.schedule is not None
        assert again.schedule.shape == run.schedule.shape
        assert np.array_equal(again.schedule.weights, run.schedule.weights)


def test_a_piece_that_cannot_be_planned_is_left_to_the_other_engine(model: IntegerModel) -> None:
    """A convolution whose sums are the output has no codes to give."""
    layer = model.layers[0]
    last = Planner((layer, model.layers[-1]), model.input, Arrival(256, 1, 4))
    assert [own.plan is None for own in pieces(last)] == [False, True]
