"""A project of its own for every test: nothing is written to the real `build` or `data`."""

from functools import partial
from pathlib import Path

import pytest

from pipeline.core import cli
from pipeline.core.runner import Build


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the project's, with one model that has all defaults."""
    model = tmp_path / "models" / "toy"
    model.mkdir(parents=True)
    (model / "model.toml").touch()
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    monkeypatch.setattr(cli, "Build", partial(Build, root=tmp_path))
    return tmp_path
