"""Fold's engines, its estimate, and what it says where the board is too small."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.boards.board import load_board
from pipeline.core.config import Config
from pipeline.dataflow.costs.cost import Cost
from pipeline.stages import fold
from tests.dataflow.lowered import lowered, model_of, prepare

KIND = "power of two"
BOARD = load_board("pynq_z2")
PLENTY = Cost(BOARD.lut, BOARD.dsp, BOARD.bram36)


@pytest.fixture
def subject(tmp_path: Path) -> fold.Subject:
    prepare(tmp_path)
    graph = tmp_path / "graph.onnx"
    lowered(KIND).graph.save(str(graph))
    return fold.Subject(model_of(KIND), graph, Config().hardware, PLENTY)


def with_keys(subject: fold.Subject, **keys: object) -> fold.Subject:
    hardware = Config.from_dict({"hardware": keys}).hardware
    return replace(subject, hardware=hardware)


def shown(subject: fold.Subject, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    found = fold.accelerator(subject)
    report = fold.report_of(subject, BOARD, found)
    (folder / fold.REPORT).write_text(json.dumps(report))
    fold.show(folder)
    names = {layer.name for layer in subject.model.layers}
    told = {x for name in fold.cycles(folder) for x in name.split(", ")}
    assert told == names
    return capsys.readouterr().out


def test_a_network_that_fits(
    subject: fold.Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(with_keys(subject, engine="dense"), tmp_path, capsys)
    assert "estimated for PYNQ-Z2" in text
    assert "is what limits: " in text
    assert "DOES NOT FIT" not in text


@pytest.mark.parametrize(
    ("keys", "slower"),
    [
        ({"engine": "dense", "target_fps": 8000}, "at hardware.target_fps = 4000: "),
        ({"engine": "zero_skipping"}, "at hardware.samples_per_clock = 0.5: "),
        ({"engine": "auto", "samples_per_clock": 0.5}, "at hardware.samples_per_clock = 0.25: "),
    ],
)
def test_a_network_that_does_not_fit(
    keys: dict[str, object],
    slower: str,
    subject: fold.Subject,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is folded all the same; the total at half the rate says what that would help."""
    small = replace(with_keys(subject, **keys), budget=Cost(400, 4, 1))
    text = shown(small, tmp_path, capsys)
    assert "DOES NOT FIT PYNQ-Z2: an estimate of " in text
    assert slower in text
    assert " of 400 LUT, " in text


def test_where_no_slower_rate_is_known_that_is_said(
    subject: fold.Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slowest = with_keys(subject, engine="auto", samples_per_clock=0.25)
    text = shown(replace(slowest, budget=Cost(400, 4, 1)), tmp_path, capsys)
    assert "0.25 samples a clock is the slowest rate" in text
