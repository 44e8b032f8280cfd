"""What all tests share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def networks() -> Path:
    """The folder with the trained networks of other teams, which are not part of the project."""
    folder = ROOT.parent / "shared" / "networks"
    if not folder.is_dir():
        pytest.skip("the trained networks of other teams are not on this machine")
    return folder
