"""Dense engines: their programs compute the layers, and the check knows when one does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.dataflow.zeros.dense import Schedule
from pipeline.dataflow.zeros.dense_check import check
from pipeline.dataflow.zeros.dense_execution import run
from pipeline.dataflow.zeros.dense_planning import plan
from pipeline.dataflow.zeros.dense_timing import Times
from pipeline.dataflow.zeros.network import PlanError
from tests.dataflow.zeros.dense_cases import CASES, Case, Dense

BASE = CASES["three layers"]


def expected(case: Case, codes: np.ndarray, seed: int) -> list[np.ndarray]:
    """Outputs (frames, out) of every layer by the integer model, counted from their lowest code."""
    found = []
    for layer in case.made(seed):
        codes = layer.quantized(layer.accumulators(codes))
        shift = layer.output.low if layer.thresholds is not None else 0
        found.append(codes[:, 0] - shift)
    return found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_program_computes_its_layers(name: str, seed: int) -> None:
    case = CASES[name]
    schedule = case.schedule(seed)
    report = check(schedule, case.problem(seed).layers)
    codes = case.frames(40, seed)
    trace = run(schedule, codes - case.entering.low)
    *hidden, values = expected(case, codes, seed)
    assert sorted(trace.hidden) == list(range(len(hidden)))
    for index, wanted in enumerate(hidden):
        assert np.array_equal(trace.hidden[index], wanted), index
    assert np.array_equal(trace.values, values)
    assert report.products == sum(np.count_nonzero(layer.weights) for layer in case.made(seed))
    assert report.products + report.reads + report.padded == report.slots


def test_a_unit_is_found_for_the_real_size() -> None:
    """The dense layers of VGG10, about as sparse as published ones, at one sample a clock."""
    shapes = (Dense(128, share=0.1), Dense(128, share=0.11), Dense(24, None, share=0.36))
    case = Case(shapes, 8, 64, 1, 1, 128)
    schedule, report = plan(case.made(), case.entering, case.spacing, latency=300)
    assert report.after_last <= 300
    assert schedule.shape.all_units <= 24
    assert report.words <= report.interval == 1024
    codes = case.frames(10)
    assert np.array_equal(run(schedule, codes).values, expected(case, codes, 1)[-1])


def test_more_cycles_need_fewer_units() -> None:
    case = BASE
    units = []
    for spacing in (25, 50, 200):
        schedule, report = plan(case.made(), case.entering, spacing)
        assert report.words <= spacing * case.positions
        units.append(schedule.shape.all_units)
    assert units[0] > units[1] > units[2]


def test_what_is_not_in_time_is_refused() -> None:
    with pytest.raises(UserError, match="do not go through 4 units in 160 cycles"):
        plan(BASE.made(), BASE.entering, 40, most_units=4)
    with pytest.raises(UserError, match="latency of 20"):
        plan(BASE.made(), BASE.entering, 40, latency=20, most_units=16)


@pytest.mark.parametrize(
    ("number", "change", "problem"),
    [
        (0, {"padding": 1}, "padding"),
        (0, {"pool": 2}, "max-pool"),
        (1, {"weights": np.zeros((18, 2, 10), np.int64)}, "spans 2 positions"),
        (1, {"thresholds": None}, "no quantizer"),
    ],
)
def test_what_is_no_dense_layer_is_refused(number: int, change: dict, problem: str) -> None:
    layers = BASE.made()
    layers[number] = replace(layers[number], **change)
    with pytest.raises(UserError, match=problem):
        plan(layers, BASE.entering, 40)


# --- the check ----------------------------------------------------------------------------------


def products(schedule: Schedule, address_from: int = 0) -> list[tuple[int, int]]:
    """Words and units with a product of a code at this address or above."""
    found = (schedule.weights != 0) & (schedule.addresses >= address_from)
    return [(int(s), int(u)) for s, u in np.argwhere(found)]


def hidden(schedule: Schedule) -> int:
    """The first address of codes that were written back."""
    shape = schedule.shape
    return shape.ring * shape.position_words * shape.groups


def padding(schedule: Schedule, unit: int, words: range) -> int:
    """A word between these that is padding for a unit."""
    idle = (schedule.weights[:, unit] == 0) & ~schedule.clear & (schedule.value < 0)
    return next(s for s in words if idle[s] and s not in schedule.starts)


def changed(schedule: Schedule, name: str, place: object, value: object) -> Schedule:
    array = getattr(schedule, name).copy()
    array[place] = value
    return replace(schedule, **{name: array})


def moved(schedule: Schedule, place: tuple[int, int], to: tuple[int, int]) -> Schedule:
    for name in ("weights", "addresses", "accumulators"):
        schedule = changed(schedule, name, to, getattr(schedule, name)[place])
    return changed(schedule, "weights", place, 0)


def missing(schedule: Schedule) -> Schedule:
    return changed(schedule, "weights", products(schedule)[20], 0)


def twice(schedule: Schedule) -> Schedule:
    slot, unit = place = products(schedule)[20]
    idle = padding(schedule, unit, range(slot + 2, schedule.starts[1]))
    return changed(moved(schedule, place, (idle, unit)), "weights", place, schedule.weights[place])


def other_weight(schedule: Schedule) -> Schedule:
    place = products(schedule)[30]
    return changed(schedule, "weights", place, schedule.weights[place] - 1)


def other_accumulator(schedule: Schedule) -> Schedule:
    place = products(schedule)[40]
    number = (schedule.accumulators[place] + 2) % schedule.shape.accumulators
    return changed(schedule, "accumulators", place, number)


def other_group(schedule: Schedule) -> Schedule:
    """To a unit that adds to another output."""
    slot, unit = place = products(schedule)[0]
    other = (unit + schedule.shape.units) % schedule.shape.all_units
    return moved(schedule, place, (padding(schedule, other, range(slot, 999)), other))


def other_code(schedule: Schedule) -> Schedule:
    place = products(schedule)[25]
    return changed(schedule, "addresses", place, schedule.addresses[place] ^ 1)


def before_it_is_written(schedule: Schedule) -> Schedule:
    slot, unit = place = products(schedule, hidden(schedule))[0]
    emit = int(np.flatnonzero(schedule.emit)[0])
    early = padding(schedule, unit, range(emit + schedule.shape.hidden // 2, slot))
    return moved(schedule, place, (early, unit))


def before_its_position(schedule: Schedule) -> Schedule:
    start = schedule.starts[2]
    for slot, unit in products(schedule):
        early = start - 2
        if slot > start and not schedule.weights[early, unit]:
            return moved(schedule, (slot, unit), (early, unit))
    raise AssertionError


def after_its_position(schedule: Schedule) -> Schedule:
    _, unit = place = products(schedule)[3]
    return moved(schedule, place, (padding(schedule, unit, range(schedule.starts[1], 999)), unit))


def of_the_frame_before(schedule: Schedule) -> Schedule:
    """Codes of a hidden layer are used where those of the last frame are still there."""
    _, unit = place = products(schedule, hidden(schedule))[0]
    return moved(schedule, place, (padding(schedule, unit, schedule.frame), unit))


def padding_undoes(schedule: Schedule) -> Schedule:
    for slot, unit in products(schedule):
        if not schedule.weights[slot + 1, unit] and not schedule.clear[slot + 1]:
            number = schedule.accumulators[slot, unit]
            return changed(schedule, "accumulators", (slot + 1, unit), number)
    raise AssertionError


def too_soon_after(schedule: Schedule) -> Schedule:
    """A product in the same accumulator as the one just before it."""
    for slot, unit in products(schedule):
        same = np.flatnonzero(schedule.accumulators[:, unit] == schedule.accumulators[slot, unit])
        for later in (s for s in same.tolist() if s > slot + 1 and schedule.weights[s, unit]):
            if not schedule.weights[slot + 1, unit] and slot + 1 not in schedule.starts:
                return moved(schedule, (later, unit), (slot + 1, unit))
    raise AssertionError


def not_cleared(schedule: Schedule) -> Schedule:
    return changed(schedule, "clear", np.flatnonzero(schedule.emit)[1], value=False)


def not_cleared_after_a_reset(schedule: Schedule) -> Schedule:
    return changed(schedule, "clear", 1, value=False)


def read_too_soon(schedule: Schedule) -> Schedule:
    """The value's accumulator, while its last product is on its way."""
    value = int(np.flatnonzero(schedule.value >= 0)[0])
    units = range(schedule.value[value] * 3, schedule.value[value] * 3 + 3)
    slot, unit = max(
        p
        for p in products(schedule, hidden(schedule))
        if p[0] < value
        and p[1] in units
        and schedule.accumulators[p] == schedule.accumulators[value, p[1]]
    )
    return moved(schedule, (slot, unit), (value - 1, unit))


def one_row_less(schedule: Schedule) -> Schedule:
    last = np.flatnonzero(schedule.emit)[-1]
    return changed(schedule, "emit", last, value=False)


def rows_exchanged(schedule: Schedule) -> Schedule:
    first, second, *rest = schedule.rows
    return replace(schedule, rows=(second, first, *rest))


def other_value(schedule: Schedule) -> Schedule:
    values = np.flatnonzero(schedule.value >= 0)
    groups = schedule.value[values]
    place = int(np.flatnonzero(groups != groups[0])[0])
    return changed(schedule, "value", values[place], groups[0])


def other_factor(schedule: Schedule) -> Schedule:
    return changed(schedule, "factors", (1, 1), schedule.factors[1, 1] * 2)


def other_term(schedule: Schedule) -> Schedule:
    return changed(schedule, "terms", (2, 0), schedule.terms[2, 0] + (1 << schedule.shape.shift))


def other_constant(schedule: Schedule) -> Schedule:
    return changed(schedule, "constants", 4, schedule.constants[4] + 1)


def reshaped(**fields: int) -> Callable[[Schedule], Schedule]:
    def change(schedule: Schedule) -> Schedule:
        shape = schedule.shape
        less = {name: getattr(shape, name) - by for name, by in fields.items()}
        return replace(schedule, shape=replace(shape, **less))

    return change


def repeated_word_adds(schedule: Schedule) -> Schedule:
    place = products(schedule)[0]
    return moved(schedule, place, (schedule.starts[0], place[1]))


def repeated_word_undoes(schedule: Schedule) -> Schedule:
    start = schedule.starts[1]
    unit = next(u for u in range(12) if schedule.weights[start - 1, u])
    number = schedule.accumulators[start - 1, unit]
    return changed(schedule, "accumulators", (start, unit), number)


def no_wait(schedule: Schedule) -> Schedule:
    return changed(schedule, "wait", schedule.starts[1] - 2, value=False)


def no_wait_after_a_reset(schedule: Schedule) -> Schedule:
    return changed(schedule, "wait", schedule.frame.start - 2, value=False)


def waits_too_close(schedule: Schedule) -> Schedule:
    early = changed(schedule, "wait", schedule.starts[1] - 2, value=False)
    return changed(early, "wait", schedule.starts[0], value=True)


def ends_early(schedule: Schedule) -> Schedule:
    last = schedule.shape.slots - 3
    return changed(changed(schedule, "last", last, value=False), "last", last - 1, value=True)


FAULTS = {
    missing: "has the weight 0, not",
    twice: "more than once",
    other_weight: "has the weight",
    other_accumulator: "has the weight",
    other_group: "has the weight",
    other_code: "has the weight|more than once",
    before_it_is_written: "nothing is at address|frame 0 in a",
    before_its_position: "nothing is at address|has the weight 0, not",
    after_its_position: "nothing is at address|more than once",
    of_the_frame_before: "nothing is at address|frame",
    padding_undoes: "has the weight 0, not",
    too_soon_after: "has the weight 0, not|more than once",
    not_cleared: "a sum of layer|has the weight",
    not_cleared_after_a_reset: "a sum of layer",
    read_too_soon: "has the weight 0, not",
    one_row_less: "nothing is at address",
    rows_exchanged: "has the weight",
    other_value: "has the weight",
    other_factor: "another code",
    other_term: "another code",
    other_constant: "other constants",
    reshaped(acc_bits=2): "overflows",
    reshaped(magnitude_bits=1): "a weight has more than",
    reshaped(code_bits=1): "a code has more than",
    reshaped(factor_bits=1): "factor: .* is not within",
    reshaped(term_bits=4): "term: .* is not within",
    reshaped(value_bits=3): "values need more than",
    reshaped(accumulators=-1): "before a frame's first word|accumulator",
    repeated_word_adds: "is repeated and does something",
    repeated_word_undoes: "is repeated and undoes",
    no_wait: "3 positions are waited for",
    no_wait_after_a_reset: "the first position is not waited for",
    waits_too_close: "closer together",
    ends_early: "the last word is not marked",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: Callable[[Schedule], Schedule]) -> None:
    schedule = BASE.schedule()
    with pytest.raises(PlanError, match=FAULTS[fault]):
        check(fault(schedule), BASE.problem().layers)


# --- time ---------------------------------------------------------------------------------------


def refusal(schedule: Schedule) -> str:
    with pytest.raises(PlanError) as caught:
        Times(schedule).require_memory()
    return str(caught.value)


def test_positions_that_come_too_fast_are_found() -> None:
    schedule = BASE.schedule()
    words = len(schedule.frame)
    assert "too fast" in refusal(replace(schedule, spacing=words // 4 - 1))
    # the last position's words and the layers after it leave no time for the first one's
    assert "overwritten before their use" in refusal(replace(schedule, spacing=words // 4 + 1))


def test_a_larger_ring_takes_what_a_smaller_one_cannot() -> None:
    close = replace(BASE, spacing=len(BASE.schedule().frame) // 4 + 1)
    assert BASE.schedule().shape.ring < close.schedule().shape.ring
    check(close.schedule(), close.problem().layers)


def test_a_position_that_is_not_written_in_time_is_found() -> None:
    few = Dense(2, share=0.03)
    case = Case((few, replace(few, bits=None)), 3, 60, 1, 1, 62)
    assert case.schedule().shape.position_words + case.schedule().shape.hidden == 62
    assert "60 cycles to write" in refusal(replace(case.schedule(), spacing=61))


@pytest.mark.parametrize("where", ["just before", "soon after"])
def test_codes_that_are_written_in_the_way_of_a_position_are_found(where: str) -> None:
    schedule = CASES["wide positions"].schedule()
    start = schedule.starts[1]
    emit = start - 1 if where == "just before" else start + 1
    early = changed(schedule, "emit", np.flatnonzero(schedule.emit)[0], value=False)
    assert "in the way of a position" in refusal(changed(early, "emit", emit, value=True))


def test_a_ring_that_is_no_part_of_a_frame_is_found() -> None:
    schedule = BASE.schedule()
    uneven = replace(schedule, shape=replace(schedule.shape, ring=3))
    assert "no multiple of the ring" in refusal(uneven)
