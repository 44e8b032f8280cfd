"""The fidelity report, and that the signals are as real as they are said to be."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.paths import PROJECT_ROOT
from pipeline.network.metrics import Predictions
from pipeline.radio.fidelity import (
    BASELINE_ON_REAL_SET,
    SyntheticFrames,
    class_row,
    main,
    off_curve,
    recognise,
)
from pipeline.radio.modulations import MODULATIONS
from pipeline.radio.synthetic import SNRS_DB, Generator

SURE = (
    *("OOK", "8ASK", "BPSK", "QPSK", "8PSK", "16APSK", "32APSK", "16QAM"),
    *("AM-DSB-WC", "AM-DSB-SC", "FM", "GMSK"),
)
"""Classes of which both networks are sure, with a margin for 13 SNRs of few frames."""


def test_frames_are_numbered_as_in_radioml() -> None:
    data = SyntheticFrames(3, seed=5)
    cells = data.cells()
    assert len(cells) == 24 * 26
    cell = cells[2 * 26 + 4]
    assert set(data.labels(cell)) == {2}
    assert set(data.snrs_db(cell)) == {-12}
    assert np.array_equal(data.frames(cell), Generator(5).cell(2, -12, 0, 3))


def perfect() -> Predictions:
    labels = np.repeat(np.arange(24), 26 * 4)
    return Predictions(labels.copy(), labels, np.tile(np.repeat(SNRS_DB, 4), 24))


def test_mistakes_are_named() -> None:
    predictions = perfect()
    psk8 = (predictions.labels == 5) & (predictions.snrs_db >= 10)
    predictions.predicted[np.flatnonzero(psk8)[:11]] = 6
    assert class_row(predictions, 5) == ("8PSK", 0.75, "16PSK 0.25")
    assert class_row(predictions, 4) == ("QPSK", 1.0, "")


def test_a_curve_that_is_too_good_is_off() -> None:
    assert set(off_curve(perfect())) == {s for s, a in BASELINE_ON_REAL_SET.items() if a < 0.9} - {
        s for s, a in BASELINE_ON_REAL_SET.items() if 1 - a <= 0.1
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("published_w8a8", "itu_baseline_vgg10_w8a8.pth"),
        ("published_w4a4", "amc_team_vgg10_w4a4_imp.pth"),
    ],
)
def test_networks_trained_on_the_real_set_know_the_signals(
    model: str, file: str, networks: Path
) -> None:
    data = SyntheticFrames(8, seed=3)
    predictions = recognise(PROJECT_ROOT / "models" / model, networks / file, data)
    if model == "published_w8a8":
        assert off_curve(predictions) == {}
    weak = {name: class_row(predictions, MODULATIONS.index(name)) for name in SURE}
    assert {name: row for name, row in weak.items() if row[1] < 0.88} == {}


def test_a_missing_checkpoint_is_the_users_to_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--checkpoint", str(tmp_path / "none.pth")]) == 2
    assert "there is no such checkpoint" in capsys.readouterr().err
