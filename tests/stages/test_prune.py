"""The prune stage: what the criterion is a share of, and what it starts from."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core import cli
from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.network.trainer import Splits
from pipeline.network.vgg10 import build_vgg10
from pipeline.radio.radioml import split_frames
from pipeline.stages import prune, train
from pipeline.stages.prune import REFERENCES
from tests.radio.noise_set import write_noise_set


def criterion_of(kind: str, **keys: Any) -> float:
    plan = Config.from_dict({"prune": {"criterion_of": kind, **keys}}).prune
    value: float = REFERENCES[kind](None, None, plan)  # type: ignore[arg-type]
    return value


def test_the_criterion_is_a_share_of_what_it_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accuracy = {"validation": {"accuracy": 0.6}, "test": {"accuracy": 0.9}}
    (tmp_path / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))
    monkeypatch.setattr(prune, "validation_accuracy", lambda *_: 0.5)
    assert criterion_of("absolute") == 1.0
    assert criterion_of("unpruned") == 0.5
    assert criterion_of("reference", reference=str(tmp_path / "metrics.json")) == 0.6


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"accuracy": {"validation": {}}}'])
def test_a_reference_without_an_accuracy_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match="it holds no validation accuracy") as raised:
        criterion_of("reference", reference=str(tmp_path / "metrics.json"))
    assert raised.value.where == str(tmp_path / "metrics.json")


@pytest.mark.parametrize("keys", [{"criterion_of": "reference"}, {"reference": "metrics.json"}])
def test_a_reference_and_its_path_go_together(keys: dict[str, str]) -> None:
    with pytest.raises(UserError, match="goes with the path of a reference"):
        Config.from_dict({"prune": keys})


def pruned(project: Path, *settings: str) -> int:
    """Run the stage on noise; its exit code."""
    given = write_noise_set(project / "given.hdf5")
    words = ["prune", "--model", str(project / "models" / "toy"), "--set", f"data.path={given}"]
    return cli.main([*words, *settings])


@pytest.mark.parametrize("stage", [train, prune])
def test_decisions_never_look_at_the_test_split(
    stage: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What training and pruning are given to decide by, at the published seed."""
    given: list[Splits] = []

    def stop(*arguments: object) -> None:
        given.extend(one for one in arguments if isinstance(one, Splits))
        raise UserError("stopped", "here", "nothing")

    torch.save(build_vgg10(Config.from_dict({}).network).state_dict(), project / "start.pt")
    name = stage.STAGE.name
    monkeypatch.setattr(stage, name, stop)
    data = write_noise_set(project / "given.hdf5")
    settings = [f"data.path={data}", "prune.method=imp", f"prune.start={project / 'start.pt'}"]
    settings += ["prune.criterion_of=absolute"]
    model = str(project / "models" / "toy")
    assert cli.main([name, "--model", model, "--set", *settings]) == 2
    split = split_frames(3, 2018)
    assert np.array_equal(given[0].train, split.train)
    assert np.array_equal(given[0].validation, split.validation)
    assert not np.intersect1d(split.test, [*split.train, *split.validation]).size


@pytest.mark.parametrize(
    ("settings", "what", "remedy"),
    [
        ((), "no method of pruning is chosen", "prune.method=fmp"),
        (("prune.method=fmp",), "there is no trained network to prune", "make train"),
        (("prune.method=fmp", "prune.start=nowhere.pt"), "does not exist", "check the path"),
        (("prune.method=best",), "must be", "prune.method"),
    ],
)
def test_mistakes_are_explained(
    settings: tuple[str, ...],
    what: str,
    remedy: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pruned(project, *settings) == 2
    error = capsys.readouterr().err
    assert what in error
    assert remedy in error
    assert not (project / "build" / "toy" / "prune").exists()
