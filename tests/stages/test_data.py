"""The data stage at the command line: files of others, and a disk that is full."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import cli
from pipeline.core.paths import PROJECT_ROOT
from pipeline.radio.radioml import open_radioml
from tests.radio.noise_set import BROKEN, NOT_FINITE, write_noise_set, written

LINKED = Path("data") / "linked_given" / "set.hdf5"


@pytest.fixture
def given(project: Path) -> Path:
    """A file of the user's."""
    return write_noise_set(project / "given.hdf5")


def make_data(project: Path, setting: str) -> int:
    """Run the stage; its exit code."""
    return cli.main(["data", "--model", str(project / "models" / "toy"), "--set", setting])


def sets(project: Path) -> list[str]:
    """What is in the folder of data sets, apart from locks."""
    names = (path.name for path in (project / "data").iterdir())
    return [name for name in names if not name.endswith(".lock")]


def test_a_given_file_is_read_once_and_linked(
    project: Path, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_data(project, f"data.path={given}") == 0
    assert "checking: 1,872/1,872 frames" in capsys.readouterr().out
    assert (project / LINKED).stat().st_size < 10_000
    numbers = np.array([1, 1000])
    with open_radioml(project / LINKED) as linked, open_radioml(given) as original:
        assert (linked.frames(numbers) == original.frames(numbers)).all()
    assert make_data(project, f"data.path={given}") == 0
    assert capsys.readouterr().out == "data           up to date\n"


@pytest.mark.parametrize("kind", [*BROKEN, *NOT_FINITE])
def test_a_broken_file_is_the_users_error_and_leaves_nothing(
    project: Path, given: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    spoil, message = {**BROKEN, **NOT_FINITE}[kind]
    spoil(given)
    assert make_data(project, f"data.path={given}") == 2
    what, where, remedy = capsys.readouterr().err.splitlines()
    assert re.search(message, what)
    assert where == f"where: {given}"
    assert remedy.startswith("  try: ")
    assert sets(project) == []


def test_a_file_that_changes_later_is_checked_again(
    project: Path, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_data(project, f"data.path={given}") == 0
    written("X", 3, np.nan)(given)
    assert make_data(project, f"data.path={given}") == 2
    assert "frame 3 of X holds NaN or infinity" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named_with_its_key(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_data(project, f"data.path={project}/gone.hdf5") == 2
    assert capsys.readouterr().err.startswith("error: the file of data.path does not exist\n")


SCRIPT = (
    "import resource, sys; from functools import partial; from pathlib import Path;"
    "from pipeline.core import cli; from pipeline.core.runner import Build;"
    "resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (int(sys.argv[1]),));"
    "cli.Build = partial(Build, root=Path(sys.argv[2]));"
    "sys.exit(cli.main(sys.argv[3:]))"
)
"""The command line with a limit on the size of files: writing beyond fails as on a full disk."""


@pytest.mark.parametrize(
    ("room", "setting"),
    [
        (15_000_000, "data.frames_per_cell=3"),
        (100_000, "data.frames_per_cell=3"),
        (1_000, "data.frames_per_cell=3"),
        (500, "data.path={given}"),
    ],
)
def test_a_full_disk_is_said_and_leaves_nothing(
    project: Path, given: Path, room: int, setting: str
) -> None:
    words = ["data", "--model", str(project / "models" / "toy"), "--set"]
    command = [sys.executable, "-c", SCRIPT, str(room), str(project), *words]
    answer = subprocess.run(
        [*command, setting.format(given=given)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2, answer.stderr
    what, where, remedy = answer.stderr.splitlines()
    assert what == "error: the disk refuses: File too large"
    assert where.startswith(f"where: {project}/data/")
    assert remedy == "  try: make room there, then give the same command again"
    assert sets(project) == []
