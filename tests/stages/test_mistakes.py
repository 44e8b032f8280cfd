"""Mistakes in what a stage is given: exit code 2, three lines, and nothing half-written."""

from pathlib import Path

import pytest
import torch

from pipeline.core import cli
from pipeline.network.vgg10 import build_vgg10
from tests.small import small_network


def options(project: Path) -> list[str]:
    """What chooses the model; a setting follows."""
    return ["--model", str(project / "models" / "toy"), "--set"]


def results(root: Path) -> list[Path]:
    """All that a stage may have left, apart from what it resumes from."""
    found = (root / "build").glob("*/*")
    return [path for path in found if path.name not in (".lock", ".work", ".cache")]


def test_a_checkpoint_of_another_width(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "narrow.pth"
    narrow = build_vgg10(small_network(filters=8, dense=128, classes=24, frame_length=1024))
    torch.save(narrow.state_dict(), file)
    assert cli.main(["freeze", *options(project), f"export.checkpoint={file}"]) == 2
    what, where, remedy = capsys.readouterr().err.splitlines()
    assert what.startswith("error: the checkpoint does not fit the network: key 'conv0.")
    assert "(8," in what
    assert "expected (64," in what
    assert where == f"where: {file}"
    assert "--model" in remedy
    assert results(project) == []


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("network.weight_bits=9", "must be less than or equal to 8"),
        ("network.weight_bits=1", "must be greater than or equal to 2"),
        ("network.activation_bits=0", "must be greater than or equal to 2"),
        ("network.input_bits=4.5", "must be a valid integer"),
        ("network.input_bits=four", "must be a valid integer"),
    ],
)
@pytest.mark.parametrize("stage", ["train", "freeze"])
def test_unknown_bits(
    project: Path, capsys: pytest.CaptureFixture[str], stage: str, setting: str, reason: str
) -> None:
    assert cli.main([stage, *options(project), setting]) == 2
    what, where, remedy = capsys.readouterr().err.splitlines()
    assert what.startswith(f"error: {setting.partition('=')[0]} = ")
    assert what.endswith(f": {reason}")
    assert where == f"where: --set {setting}"
    assert "= 4 is the default: bits of" in remedy
    assert not (project / "build").exists()
    assert not (project / "data").exists()
