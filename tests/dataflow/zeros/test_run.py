"""Runs of layers at a pace: what arrives where, how fast, and what does not fit."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.dataflow.zeros.dense_timing import Times
from pipeline.dataflow.zeros.network import PlanError
from pipeline.dataflow.zeros.pacing import ANY, in_time, latency, rows
from pipeline.dataflow.zeros.run import (
    Arrival,
    Pace,
    Planner,
    convolutions_of,
    paced,
    positions_after,
)
from tests.random_model import Shape, random_model

FOLDING = LayerFolding(1, 1, 1)
FOUR = Codes(0, 15)
SHAPES = [
    Shape(6, 3, 1, 2, FOUR, 4, FOLDING),
    Shape(3, 3, 1, 2, FOUR, 4, FOLDING),
    Shape(3, 64, 0, 1, FOUR, 4, FOLDING),
    Shape(7, 1, 0, 1, FOUR, 4, FOLDING),
    Shape(4, 1, 0, 1, None, 4, FOLDING, bias=True),
]
"""Two convolutions on 256 positions, then dense layers on the 64 that are left."""


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    found, _ = random_model(256, 2, Codes(-8, 7), SHAPES, 5)
    return found


def planner(model: IntegerModel, group: int = 1, spacing: int = 1) -> Planner:
    return Planner(model.layers, model.input, Arrival(model.positions, group, spacing))


def test_dense_layers_begin_where_one_takes_all_positions(model: IntegerModel) -> None:
    assert convolutions_of(model.layers, 256) == 2
    assert convolutions_of(model.layers[2:], 64) == 0
    assert convolutions_of(model.layers[:2], 256) == 2
    assert positions_after(model.layers[0], 256) == 128


@pytest.mark.parametrize(
    ("group", "spacing", "cycles", "interval"),
    [(1, 1, (1, 2), 256), (1, 2, (2, 4), 512), (1, 4, (4, 8), 1024), (2, 2, (2, 2), 256)],
)
def test_every_layer_takes_all_the_time_there_is(
    model: IntegerModel, group: int, spacing: int, cycles: tuple[int, ...], interval: int
) -> None:
    plan = planner(model, group, spacing)
    pace = paced(model.layers, plan.arrival)
    assert pace == Pace(group, spacing, cycles)
    run = plan.run(pace)
    assert run.interval == interval
    assert [x.cycles for x in run.convolutions] == list(cycles)
    assert run.dense == model.layers[2:]
    assert run.schedule is not None
    assert run.schedule.spacing * run.schedule.positions == interval


def test_padding_behind_a_frame_is_only_as_far_apart_as_a_layer_needs(model: IntegerModel) -> None:
    """Of a pool of two, one position comes when it comes; the last one 3 cycles later."""
    arrival = Arrival(32, 1, 8)
    assert arrival.after(model.layers[0], 8) == Arrival(16, 1, 16)
    assert arrival.after(model.layers[0], 3) == Arrival(16, 1, 11)
    unpooled = replace(model.layers[0], pool=1, padding=0)
    assert arrival.after(unpooled, 3) == Arrival(30, 1, 8)


def test_a_layer_that_is_slower_than_its_input(model: IntegerModel) -> None:
    with pytest.raises(PlanError, match=r"layer layer\.1: 3 cycles, but 2 between positions"):
        planner(model).run(Pace(1, 1, (1, 3)))


def test_a_first_layer_that_does_not_keep_its_beats_apart(model: IntegerModel) -> None:
    with pytest.raises(PlanError, match=r"layer layer\.0 must keep the run's beats 4 apart"):
        planner(model, spacing=4).run(Pace(1, 4, (2, 4)))


def test_groups_that_are_left_at_the_end(model: IntegerModel) -> None:
    with pytest.raises(PlanError, match=r"layer layer\.1 is left with 2 positions at once"):
        planner(model, group=8).run(Pace(8, 1, (1, 1)))


def test_groups_that_do_not_fit(model: IntegerModel) -> None:
    with pytest.raises(PlanError, match="are no multiple of 3"):
        paced(model.layers, Arrival(32, 3, 1))


def test_a_dense_engine_that_cannot_be_in_time(model: IntegerModel) -> None:
    with pytest.raises(UserError, match="nonzero weights do not go through"):
        planner(model).run(Pace(1, 1, (1, 2), latency=3))


def test_plans_that_two_paces_share_are_made_once(model: IntegerModel) -> None:
    plan = planner(model, spacing=4)
    one, other = plan.run(Pace(1, 4, (4, 8))), plan.run(Pace(1, 4, (4, 4)))
    assert one.convolutions[0] is other.convolutions[0]
    assert one.convolutions[1] is not other.convolutions[1]


def test_the_plan_does_not_depend_on_what_was_planned_before(model: IntegerModel) -> None:
    plan, pace = planner(model, spacing=4), Pace(1, 4, (4, 4))
    plan.run(Pace(1, 4, (4, 8)))
    again = planner(model, spacing=4).run(pace)
    assert [x.sums for x in plan.run(pace).convolutions] == [x.sums for x in again.convolutions]


def test_layers_are_made_faster_until_the_label_is_in_time(model: IntegerModel) -> None:
    plan = planner(model, spacing=4)
    cheapest = in_time(plan, ANY)
    assert cheapest.pace == paced(model.layers, plan.arrival)
    wanted = latency(cheapest) - 10
    faster = in_time(plan, wanted)
    assert latency(faster) <= wanted
    assert faster.pace.spacing == 4
    assert faster.interval == cheapest.interval


def test_where_nothing_more_can_be_made_faster_the_fastest_run_is_given(
    model: IntegerModel,
) -> None:
    plan = Planner(model.layers[:2], model.input, Arrival(256, 1, 4))
    fastest = in_time(plan, 1)
    assert latency(fastest) > 1
    assert latency(fastest) < latency(in_time(plan, ANY))


def test_the_report_counts_weights_and_what_idles(model: IntegerModel) -> None:
    run = planner(model, spacing=4).run(paced(model.layers, Arrival(256, 1, 4)))
    found = list(rows(run))
    assert [row.layer for row in found] == ["layer.0", "layer.1", "layer.2, layer.3, layer.4"]
    assert [row.nonzeros for row in found[:2]] == [
        int(np.count_nonzero(layer.weights)) for layer in model.layers[:2]
    ]
    assert [row.lines + row.compared for row in found] == [6, 3, 3 + 7]
    assert run.schedule is not None
    shape = run.schedule.shape
    places = (shape.slots - shape.accumulators) * shape.all_units
    assert found[2].padded + found[2].nonzeros == places
    assert Times(run.schedule).after_last() < run.interval
