"""Thresholds as a line: equal over the whole range, or refused."""

import numpy as np
import pytest

from pipeline.dataflow.zeros import requantization
from pipeline.dataflow.zeros.requantization import Affine, affine


def thresholds_of(slope: float, offset: float, levels: int, low: int, high: int) -> np.ndarray:
    """Those of code = clip(rint(slope * accumulator + offset), 0, levels), by trying all."""
    accumulators = np.arange(low, high + 1)
    codes = np.clip(np.rint(slope * accumulators + offset), 0, levels)
    return np.array([low + int((codes < k).sum()) for k in range(1, levels + 1)])


def codes_of(thresholds: np.ndarray, accumulators: np.ndarray) -> np.ndarray:
    return (thresholds[:, None] <= accumulators).sum(axis=0)


@pytest.mark.parametrize("levels", [1, 3, 15, 31])
def test_lines_of_any_slope_are_found(levels: int) -> None:
    rng = np.random.default_rng(levels)
    for _ in range(60):
        low, high = -int(rng.integers(1, 800)), int(rng.integers(1, 800))
        slope = float(rng.uniform(0.2, 3) * levels / (high - low))
        thresholds = thresholds_of(slope, float(rng.normal(levels / 2, levels)), levels, low, high)
        found = affine(thresholds, low, high)
        assert found is not None
        accumulators = np.arange(low, high + 1)
        wanted = codes_of(thresholds, accumulators)
        assert np.array_equal(found.codes(accumulators, levels), wanted)


def test_the_shift_is_the_smallest() -> None:
    """By trying all factors and terms of every smaller shift."""
    low, high, levels = -20, 20, 3
    thresholds = np.array([-7, 1, 10])
    found = affine(thresholds, low, high)
    assert found is not None
    accumulators = np.arange(low, high + 1)
    wanted = codes_of(thresholds, accumulators)
    for shift in range(found.shift):
        for factor in range(1 << shift + 2):
            for term in range(-200, 200):
                line = Affine(factor, term, shift)
                assert not np.array_equal(line.codes(accumulators, levels), wanted)


def test_thresholds_out_of_reach_do_not_count() -> None:
    assert affine(np.array([-500, 3, 4000]), -10, 10) is not None


@pytest.mark.parametrize("thresholds", [[-90, -80], [95, 99]])
def test_a_channel_of_one_code_is_a_constant(thresholds: list[int]) -> None:
    found = affine(np.array(thresholds), -50, 50)
    assert found is not None
    assert set(found.codes(np.arange(-50, 51), 2)) == {2 if thresholds[0] < 0 else 0}


def test_thresholds_on_no_line_are_refused() -> None:
    assert affine(np.array([0, 1, 40, 41]), -100, 100) is None


def test_what_is_found_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong line, from wherever, is not taken."""
    monkeypatch.setattr(requantization._Corners, "term", lambda *_: 0)
    assert affine(np.array([3, 8, 13]), -20, 20) is None


def test_a_larger_shift_is_the_same_line() -> None:
    accumulators = np.arange(-300, 300)
    line = Affine(13, -70, 6)
    assert np.array_equal(line.codes(accumulators, 15), line.scaled(11).codes(accumulators, 15))
