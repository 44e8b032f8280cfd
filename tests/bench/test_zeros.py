"""The benchmark of zeros measures what it says."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.bench import zeros
from pipeline.bench.zeros import columns, figure, measure, rows, weights_with


@pytest.mark.parametrize("share", [0.0, 0.9, 0.995])
def test_weights_have_the_share_of_zeros_that_they_should(share: float) -> None:
    weights = weights_with(share)
    assert weights.shape == (64, 192)
    assert np.abs(weights).max() == 7
    assert (weights == 0).mean() == pytest.approx(share, abs=1e-4)


def test_fewer_weights_and_more_cycles_take_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeros, "of_da4ml", lambda weights: int(np.count_nonzero(weights)))
    result = measure(shares=(0.95, 0.995), cycles=(1, 8))
    most, least = (row["lut"] for row in result["rows"])
    assert most["1"] > most["8"] > least["8"]
    assert most["1"] > least["1"] > 0
    assert columns(result)[2:4] == ("1 cycles", "8 cycles")
    assert list(rows(result))[1] == ("99.5%", 61, least["1"], least["8"], 61)
    file = tmp_path / "zeros.png"
    figure(result).savefig(file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_without_da4ml_its_column_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeros.importlib.util, "find_spec", lambda _: None)
    result = measure(shares=(0.995,), cycles=(1,))
    assert next(iter(rows(result)))[-1] == "not installed"
    assert len(figure(result).axes[0].lines) == 1
