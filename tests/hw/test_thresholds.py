"""Codes of accumulators against numpy, for any number of thresholds of any width."""

import numpy as np
import pytest

from pipeline.dataflow.integer_model import Codes
from pipeline.dataflow.operators import full_thresholds, search_tables
from tests.hw.bank import Port
from tests.hw.examples import Example, coder
from tests.hw.matrix import STALLS, Matrix, build_matrix

WORDS = 24
NEVER, ALWAYS = 10**6, -(10**6)


def steps(channels: int, levels: int, low: int, high: int) -> list[list[int]]:
    """Thresholds all over the reach of the accumulators, some of them equal."""
    rng = np.random.default_rng(levels)
    return rng.integers(low, high + 1, (channels, levels)).tolist()


def example(
    channels: int, pe: int, entering: Port, thresholds: list[list[int]], low: int = 0
) -> Example:
    return coder(channels, pe, entering, thresholds, low, WORDS)


CASES = {
    "four bits": example(6, 2, Port(9, 2, signed=True), steps(6, 15, -200, 200)),
    "all channels at once": example(8, 8, Port(10, 8, signed=True), steps(8, 15, -512, 511)),
    "one channel at a time": example(12, 1, Port(7, 1, signed=True), steps(12, 15, -64, 63)),
    "no sign": example(6, 3, Port(6, 3), steps(6, 7, 0, 63)),
    "one threshold": example(3, 1, Port(5, 1, signed=True), steps(3, 1, -16, 15)),
    "not as many as bits can count": example(
        4, 2, Port(8, 2, signed=True), steps(4, 14, -90, 90), -7
    ),
    "one more than bits can count": example(2, 1, Port(8, 1), steps(2, 16, 0, 255)),
    "eight bits": example(3, 1, Port(20, 1, signed=True), steps(3, 255, -500_000, 500_000), -128),
    "narrow thresholds": example(4, 4, Port(24, 4, signed=True), steps(4, 7, -3, 3)),
    "never and always": example(
        4, 2, Port(5, 2, signed=True), [[NEVER] * 3, [ALWAYS] * 3, [-16, 15, NEVER], [ALWAYS, 0, 0]]
    ),
    "never, without a sign": example(2, 2, Port(4, 2), [[NEVER] * 3, [0, 15, NEVER]]),
}
FAULTS = {
    "a threshold is not reached by its equal": ("four bits", (") >= wide_t", ") > wide_t")),
    "accumulators without a sign": ("four bits", ("Signed && x[InBits-1]", "1'b0")),
    "thresholds without a sign": ("narrow thresholds", ("Signed && x[ThresholdBits-1]", "1'b0")),
    "the lowest code is 0": ("eight bits", ("OutBits'(Low) +", "OutBits'(0) +")),
    "all channels are the first": ("four bits", ("= AddressBits'(fold_q)", "= '0")),
    "channels are not in turns": ("no sign", ("fold_t'(Folds - 1)) ? '0", "'0) ? '0")),
    "a channel's codes come with the next": (
        "one channel at a time",
        ("{folds_q[s-1], count", "{fold_q, count"),
    ),
    "a bit counts as another": ("eight bits", ("<< (Stages - 1 - s)", "<< s")),
    "nothing is held back": ("four bits", ("= !out0_V_TVALID || out0_V_TREADY", "= 1'b1")),
}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return build_matrix(tmp_path_factory.mktemp("thresholds"), WORDS, CASES, FAULTS)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stalls", STALLS)
def test_codes_are_those_of_numpy(matrix: Matrix, name: str, stalls: str) -> None:
    assert matrix.agrees(name, stalls)


@pytest.mark.parametrize("name", CASES)
def test_a_word_a_cycle(matrix: Matrix, name: str) -> None:
    assert matrix.interval(name) == WORDS


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_noticed(matrix: Matrix, fault: str) -> None:
    assert matrix.notices(fault, "random 40")


def test_a_threshold_in_a_table_is_that_of_one_channel_and_level(matrix: Matrix) -> None:
    """Number 3 of channel 3: lane 1, fold 1, the last stage's word 1."""
    name = "four bits"
    case, number, values = CASES[name], list(CASES).index(name), CASES[name].inputs(40, 1)
    prefix = case.instance.parameters["TablePrefix"]
    table = matrix.bank.folder / f"{prefix}_lane1_stage3.mem"
    text = table.read_text()
    lines = text.splitlines()
    lines[9] = format(int(lines[9], 16) + 20, "03x")
    try:
        table.write_text("\n".join([*lines, ""]))
        found = matrix.bank.run(number, 40, values, "none").values
    finally:
        table.write_text(text)
    expected = case.result(values)
    wrong = np.argwhere(found.reshape(expected.shape) != expected)
    assert set(wrong[:, 2]) == {3}
    assert set(expected[tuple(wrong.T)]) == {3}


def test_thresholds_are_no_wider_than_accumulators_need() -> None:
    codes = Codes(-8, 7)
    assert full_thresholds(np.array([[-100, 3, 100]]), codes).tolist() == [[-8, 3, 8]]
    assert full_thresholds(np.array([[-1, 3]]), codes).tolist() == [[-1, 3, 8]]
    assert full_thresholds(np.array([[2, 3, 3]]), codes).tolist() == [[2, 3, 3]]


def test_tables_hold_the_middles_of_what_is_left() -> None:
    """Two lanes, two channels each, seven thresholds that say which they are."""
    thresholds = np.array([[16 * channel + k for k in range(1, 8)] for channel in range(4)])
    tables = search_tables(thresholds, 2, 8, "t")
    assert len(tables) == 2 * 3
    assert tables["t_lane0_stage0.mem"].split() == ["04", "24"]
    assert tables["t_lane1_stage0.mem"].split() == ["14", "34"]
    assert tables["t_lane0_stage1.mem"].split() == ["02", "06", "22", "26"]
    last = ["11", "13", "15", "17", "31", "33", "35", "37"]
    assert tables["t_lane1_stage2.mem"].split() == last
