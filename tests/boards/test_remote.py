"""Deploying by ssh, with programs in the place of ssh and scp that do on this machine, in a folder
that stands for the board's home, what they would do there."""

import io
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.boards.remote import Host, deploy, remote_command
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.tools import ToolError

FOLDER = "amcflow-toy-pynq_z2"
SCP = """#!/bin/sh
echo "scp $*" >> {record}
for last; do :; done
[ ! -e {home}/no-scp ] || {{ cat {home}/no-scp >&2; exit 1; }}
cp "$6" {home}/"${{last#*:}}"
"""
SSH = """#!/bin/sh
echo "ssh $*" >> {record}
[ ! -e {home}/no-ssh ] || {{ cat {home}/no-ssh >&2; exit 255; }}
cd {home} && PATH={bin}:$PATH exec sh -c "$6"
"""
SUDO = """#!/bin/sh
[ ! -e {home}/no-sudo ] || {{ echo "sudo: a password is required" >&2; exit 1; }}
shift
SUDO_UID=$(/usr/bin/id -u) SUDO_GID=$(/usr/bin/id -g) exec "$@"
"""
ID = """#!/bin/sh
cat {home}/uid
"""


class Board:
    """The folder that stands for a board, and what was called to get there."""

    def __init__(self, folder: Path) -> None:
        self.home, self.bin = folder / "home", folder / "bin"
        self.record, self.log = folder / "record", folder / "deploy.log"
        self.archive = folder / f"{FOLDER}.zip"
        self.home.mkdir()
        self.bin.mkdir()
        self.put("uid", "1000\n")
        for name, text in (("scp", SCP), ("ssh", SSH), ("sudo", SUDO), ("id", ID)):
            program = self.bin / name
            program.write_text(text.format(home=self.home, record=self.record, bin=self.bin))
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def put(self, name: str, text: str) -> None:
        (self.home / name).write_text(text)

    def package(self, validate: str) -> None:
        """A package whose validate.py has this text."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"{FOLDER}/validate.py", validate)
        self.archive.write_bytes(buffer.getvalue())

    def deploy(self) -> list[str]:
        """What the user sees."""
        said: list[str] = []
        deploy(self.archive, FOLDER, Host("me@board", self.log), said.append)
        return said

    @property
    def calls(self) -> list[str]:
        return self.record.read_text().splitlines()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    result = Board(tmp_path)
    monkeypatch.setenv("PATH", f"{result.bin}{os.pathsep}{os.environ['PATH']}")
    return result


def ends(code: int) -> str:
    verdict = "failed: 1 of 9" if code == 1 else "some lines"
    return f"import sys\nprint('{verdict}')\nprint('the last line')\nsys.exit({code})\n"


def test_copies_unpacks_and_validates(board: Board) -> None:
    board.package(ends(0))
    assert board.deploy() == ["some lines", "the last line"]
    assert (board.home / FOLDER / "validate.py").is_file()
    copied, run = board.calls[0], board.calls[1]
    assert copied == (
        f"scp -o BatchMode=yes -o ConnectTimeout=15 -q {board.archive} me@board:{FOLDER}.zip"
    )
    assert run.startswith("ssh -o BatchMode=yes -o ConnectTimeout=15 me@board if ")


def test_what_was_there_is_kept_and_the_package_is_new(board: Board) -> None:
    board.package(ends(1))
    with pytest.raises(VerificationFailed):
        board.deploy()
    (board.home / FOLDER / "mine.py").touch()
    board.package(ends(0))
    board.deploy()
    assert (board.home / FOLDER / "mine.py").is_file()


@pytest.mark.parametrize("uid", ["0", "1000"])
def test_validates_as_root_in_pynqs_environment(board: Board, uid: str) -> None:
    board.put("uid", f"{uid}\n")
    board.package("import os\nprint('SUDO_UID' in os.environ, sorted(os.listdir()))\n")
    assert board.deploy() == [f"{uid != '0'} ['validate.py']"]
    for script in ("pynq_venv.sh", "xrt_setup.sh"):
        assert script in remote_command("a.zip", "a")


def test_a_difference_is_a_failed_verification(board: Board) -> None:
    board.package(ends(1))
    with pytest.raises(VerificationFailed, match=r"me@board does not compute .*: the last line"):
        board.deploy()


def test_a_usage_error_is_the_users(board: Board) -> None:
    board.package(ends(2))
    with pytest.raises(UserError, match=r"validate\.py did not start: the last line"):
        board.deploy()


@pytest.mark.parametrize("text", ["import a_module_that_is_missing", "import sys; sys.exit(70)"])
def test_a_crash_is_shown_with_its_log(board: Board, text: str) -> None:
    board.package(f"print('boom')\n{text}\n")
    with pytest.raises(ToolError, match=r"exit code (1|70)") as caught:
        board.deploy()
    assert "boom" in str(caught.value)


def test_a_sudo_that_asks_is_explained(board: Board) -> None:
    board.put("no-sudo", "")
    board.package(ends(0))
    with pytest.raises(UserError, match="sudo asks for a password") as caught:
        board.deploy()
    assert "HOST=root@board" in str(caught.value)


@pytest.mark.parametrize("program", ["ssh", "scp"])
@pytest.mark.parametrize(
    ("said", "what", "remedy"),
    [
        (
            "me@board: Permission denied (publickey,password).",
            "does not know your key",
            "ssh-copy-id me@board",
        ),
        ("Host key verification failed.", "not known here", "ssh me@board   (once"),
        (
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
            "another than before",
            "ssh-keygen -R board",
        ),
        (
            "ssh: Could not resolve hostname board: Name or service not known",
            "cannot be reached: ssh: Could not resolve hostname board",
            "ping board",
        ),
        ("", "cannot be reached: it says nothing", "ping board"),
    ],
)
def test_a_board_that_cannot_be_reached_is_explained(
    board: Board, program: str, said: str, what: str, remedy: str
) -> None:
    board.put(f"no-{program}", said)
    board.package(ends(0))
    with pytest.raises(UserError) as caught:
        board.deploy()
    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_a_missing_program_is_named(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(board.home))
    board.package(ends(0))
    with pytest.raises(UserError, match="scp is not installed") as caught:
        board.deploy()
    assert "openssh-client" in caught.value.remedy


def test_an_option_is_no_host(board: Board) -> None:
    board.package(ends(0))
    with pytest.raises(UserError, match="this is no host"):
        deploy(board.archive, FOLDER, Host("-oProxyCommand=touch x", board.log), print)
    assert not board.record.exists()


def test_names_with_blanks_and_quotes_stay_names(board: Board) -> None:
    command = remote_command("a b'c.zip", "a b'c")
    with zipfile.ZipFile(board.home / "a b'c.zip", "w") as archive:
        archive.writestr("a b'c/validate.py", "print('here')\n")
    assert run_at_home(board)(command) == "here\n"


def run_at_home(board: Board) -> Callable[[str], str]:
    from pipeline.core.tools import run_tool  # noqa: PLC0415

    path = {"PATH": f"{board.bin}{os.pathsep}{os.environ['PATH']}"}
    return lambda command: run_tool(
        ["sh", "-c", command], cwd=board.home, log=board.log, timeout_s=60, env=path
    )
