"""Weights in files: whole or not at all, and a full disk is told from a bug."""

import errno
from pathlib import Path

import pytest
import torch

from pipeline.core import atomic
from pipeline.core.errors import UserError
from pipeline.core.folders import disk_errors_explained
from pipeline.network.checkpoint import read_state_dict, save_atomically


def full(_: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    save_atomically({"a": torch.arange(3)}, tmp_path / "weights.pt")
    assert read_state_dict(tmp_path / "weights.pt")["a"].tolist() == [0, 1, 2]


def test_a_full_disk_leaves_the_earlier_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "weights.pt"
    save_atomically({"a": torch.ones(1)}, file)
    before = file.read_bytes()
    monkeypatch.setattr(atomic, "sync", full)
    with pytest.raises(UserError, match="No space left on device"), disk_errors_explained(tmp_path):
        save_atomically({"a": torch.zeros(1)}, file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
