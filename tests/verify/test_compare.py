"""Comparison: the first difference is named, and nothing compared is a failure."""

import numpy as np
import pytest

from pipeline.core.errors import VerificationFailed
from pipeline.verify.compare import compare, require_equal

VALUES = np.arange(2 * 3 * 4).reshape(2, 3, 4)


def test_equal_values_are_counted() -> None:
    result = compare("pool0", VALUES, VALUES.copy())
    assert (result.values, result.mismatches, result.first) == (24, 0, None)
    require_equal([result])


def test_the_first_difference_in_stream_order_is_named() -> None:
    other = VALUES.copy()
    other[1, 2, 0] = 0
    other[1, 0, 3] = -5
    result = compare("pool0", VALUES, other)
    assert result.mismatches == 2
    message = "layer pool0, frame 1, position 0, channel 3: expected 15, got -5"
    assert str(result.first) == message
    with pytest.raises(VerificationFailed, match=f"2 of 24 values differ; first: {message}"):
        require_equal([compare("input", VALUES, VALUES), result])


def test_the_earliest_layer_is_the_one_named() -> None:
    results = [compare(name, VALUES, VALUES + 1) for name in ("conv0.accumulator", "pool0")]
    with pytest.raises(VerificationFailed, match=r"layer conv0\.accumulator"):
        require_equal(results)


def test_a_difference_of_one_far_from_zero_counts() -> None:
    large = np.full((1, 1, 1), 2**53)
    assert compare("dense9", large, large + 1).mismatches == 1


def test_no_values_no_layers_and_other_shapes_are_failures() -> None:
    with pytest.raises(VerificationFailed, match="0 values compared"):
        compare("pool0", VALUES[:0], VALUES[:0])
    with pytest.raises(VerificationFailed, match="0 layers compared"):
        require_equal([])
    with pytest.raises(VerificationFailed, match="expected 2 frames of 3 positions and 4 channels"):
        compare("pool0", VALUES, VALUES[:1])
