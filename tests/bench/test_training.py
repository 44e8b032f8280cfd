"""The training benchmark measures what it says, on a network too small to tell anything."""

import json
from pathlib import Path

import pytest
import torch

from pipeline.bench import __main__ as command
from pipeline.bench import training
from pipeline.bench.training import Effort, measure, rows, stock, training_rate
from pipeline.network.light import LightPath
from tests.small import settled, small_network

NETWORK = small_network()


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict:
    monkeypatch.setattr(training, "as_found", lambda *_: 10.0)
    monkeypatch.setattr(training, "BATCH", 8)
    return measure(NETWORK, Effort(turns=2, steps=1), tmp_path)


def test_both_paths_compute_the_same() -> None:
    model = settled(NETWORK).double()
    frames = torch.randn(5, NETWORK.frame_length, 2, dtype=torch.float64)
    assert torch.equal(stock(model)(frames), LightPath(model)(frames))


def test_ratios_are_those_of_the_medians(result: dict) -> None:
    rates = result["frames_per_second"]
    assert result["ratio_as_found"] == pytest.approx(rates["ours"] / 10.0, rel=0.01)
    assert result["ratio_like_with_like"] == pytest.approx(rates["ours"] / rates["stock"], rel=0.02)
    assert [row[1] for row in rows(result)[:2]] == [f"{rates['ours']:.0f}"] * 2


def test_steps_train() -> None:
    """Every parameter has a gradient and moves, on both paths."""
    seen = []

    def watched(model: torch.nn.Sequential):
        seen.append((model, {k: v.clone() for k, v in model.named_parameters()}))
        return stock(model)

    assert training_rate(watched, NETWORK, 8, 1) > 0
    model, before = seen[0]
    moved = [k for k, v in model.named_parameters() if not torch.equal(v, before[k])]
    assert len(moved) > 0.8 * len(before)


def test_the_command_writes_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "as_found", lambda *_: 10.0)
    monkeypatch.setattr(training, "BATCH", 8)
    monkeypatch.setattr(command, "Network", lambda: NETWORK)
    command.bench(Effort(turns=1, steps=1), tmp_path / "bench")
    written = json.loads((tmp_path / "bench" / "training.json").read_text())
    assert f"{written['ratio_as_found']:.2f}" in capsys.readouterr().out


@pytest.mark.slow
def test_stock_as_found_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert training.as_found(1, tmp_path) > 0
