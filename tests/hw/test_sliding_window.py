"""The sliding window against numpy, for every kind of kernel, stride, dilation and folding."""

import pytest

from tests.hw.bank import Port
from tests.hw.examples import Example, Taps, window
from tests.hw.matrix import STALLS, Matrix, build_matrix

WORDS = 120


def example(port: Port, folds: int, taps: Taps, windows: int, rest: int = 0) -> Example:
    return window(port, folds, taps, windows, rest, WORDS)


CASES = {
    "a word a position": example(Port(4, 2), 1, Taps(3), 8),
    "four words a position": example(Port(3, 1), 4, Taps(3), 10),
    "two taps": example(Port(7, 3), 3, Taps(2), 20),
    "one tap": example(Port(1, 1), 1, Taps(1), 12),
    "one tap of two": example(Port(5, 1), 5, Taps(1, 2), 8, 1),
    "a window a frame": example(Port(4, 4), 2, Taps(5), 1),
    "a deep memory": example(Port(8, 1), 40, Taps(3), 1),
    "stride 2, one is left over": example(Port(4, 1), 2, Taps(3, 2), 5, 1),
    "side by side": example(Port(9, 2), 3, Taps(2, 2), 4),
    "apart, two are left over": example(Port(2, 1), 1, Taps(2, 3), 6, 2),
    "far apart": example(Port(4, 2), 2, Taps(2, 7, 3), 5, 6),
    "dilation 2": example(Port(4, 1), 2, Taps(3, 1, 2), 4),
    "dilation 4, stride 3": example(Port(6, 1), 5, Taps(4, 3, 4), 6, 2),
    "stride above dilation": example(Port(4, 3), 1, Taps(5, 3, 2), 8, 1),
    "stride as long as a window": example(Port(4, 3), 2, Taps(3, 5, 2), 5),
}
WAITING = [name for name, case in CASES.items() if case.instance.parameters["Dilation"] != 1]
"""Taps that lie apart are waited for."""
FAULTS = {
    "what is left over begins the next frame": (
        "stride 2, one is left over",
        ("Rest * Words + 1", "1"),
    ),
    "what is read again is overwritten": ("a word a position", ("room_t'(Depth);", "'1;")),
    "a word is read before it came": ("two taps", ("ahead_q > 0", "ahead_q >= 0")),
    "taps lie side by side": ("dilation 2", ("(int'(Dilation) - 1) * Words + 1;", "1;")),
    "windows lie side by side": ("apart, two are left over", ("ahead_t'(NextWindow)", "'0")),
    "nothing is held back": ("a word a position", ("= !out0_V_TVALID || out0_V_TREADY", "= 1'b1")),
    "the last window keeps its words": (
        "four words a position",
        ("leaving || last_window", "leaving"),
    ),
}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return build_matrix(tmp_path_factory.mktemp("windows"), WORDS, CASES, FAULTS)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stalls", STALLS)
def test_windows_are_those_of_numpy(matrix: Matrix, name: str, stalls: str) -> None:
    assert matrix.agrees(name, stalls)


@pytest.mark.parametrize("name", [name for name in CASES if name not in WAITING])
def test_a_word_a_cycle_comes_or_leaves(matrix: Matrix, name: str) -> None:
    assert matrix.interval(name) == CASES[name].cycles


@pytest.mark.parametrize("name", WAITING)
def test_a_frame_waits_for_no_more_than_its_first_window(matrix: Matrix, name: str) -> None:
    case = CASES[name]
    p = {key: int(value) for key, value in case.instance.parameters.items()}
    apart = case.shape[0] * (p["Kernel"] - 1) * (p["Dilation"] - 1) * p["Folds"]
    assert case.cycles <= matrix.interval(name) <= case.cycles + apart


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_noticed(matrix: Matrix, fault: str) -> None:
    assert matrix.notices(fault, "random 40")
