"""The cost model's error, as the benchmark sums it up."""

import pytest

from pipeline.bench.costs import Row, summary
from pipeline.dataflow.costs.cost import Cost


def row(estimated: Cost, measured: Cost) -> Row:
    return Row("case", "layer", estimated, measured)


def test_errors_are_of_what_is_measured() -> None:
    assert row(Cost(90), Cost(100)).error == pytest.approx(-10)
    assert row(Cost(130), Cost(100)).error == pytest.approx(30)


def test_the_summary_has_the_largest_the_median_and_the_total() -> None:
    rows = [
        row(Cost(90, 3, 1), Cost(100, 1, 1)),
        row(Cost(130), Cost(100)),
        row(Cost(202, 0, 2), Cost(200, 0, 2.5)),
    ]
    assert summary(rows) == {
        "layers": 3,
        "largest_lut_percent": 30,
        "median_lut_percent": 10,
        "total_lut_percent": 5.5,
        "largest_dsp": 2,
        "largest_bram36": 0.5,
    }
