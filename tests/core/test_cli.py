"""The command line: exit codes, messages, help."""

import errno
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from pipeline.core import cli
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.runner import Build
from pipeline.core.stage import Command, StageContext
from pipeline.core.tools import run_tool
from pipeline.stages import COMMANDS, STAGES, find_command, find_stage, module_name
from tests.core.toy import DIG, DOUBLE, changed_stage, make_build


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that choose the model of a project which has the toy stages only."""
    found = {"dig": DIG, "double": DOUBLE}
    model_dir = make_build(tmp_path).model_dir
    monkeypatch.setattr(cli, "STAGES", tuple(found))
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    monkeypatch.setattr(cli, "find_stage", found.__getitem__)
    monkeypatch.setattr(cli, "Build", partial(Build, root=tmp_path))
    return ["--model", str(model_dir)]


def test_runs_a_stage(toy, capsys, tmp_path):
    assert cli.main(["double", *toy, "--set", "verify.seed=50", "train.epochs=2"]) == 0
    double = tmp_path / "build" / "toy" / "double"
    assert (double / "results" / "double.txt").read_text() == "10"
    assert '"python -m pipeline double --model' in (double / "manifest.json").read_text()
    out = capsys.readouterr().out
    assert out.startswith("dig            running ... (no earlier result)\ndig            done in ")
    assert cli.main(["double", *toy, "--set", "verify.seed=50", "--force"]) == 0
    assert "double         running ... (forced)" in capsys.readouterr().out


def test_status_tells_stale_from_missing(toy, capsys):
    assert cli.main(["status", *toy]) == 0
    assert capsys.readouterr().out.count("missing") == 2
    assert cli.main(["double", *toy]) == 0
    assert cli.main(["status", *toy]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["double", "up", "to"]
    assert cli.main(["status", *toy, "--set", "verify.seed=9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split()[:2] == ["dig", "stale"]
    assert "configuration changed: verify.seed 1 -> 9" in lines[3]
    assert lines[4].split()[:2] == ["double", "stale"]
    assert "dig is not up to date" in lines[4]


def test_clean_deletes_the_build_folder(toy, tmp_path):
    assert cli.main(["double", *toy]) == 0
    assert cli.main(["clean", *toy]) == 0
    assert not (tmp_path / "build" / "toy").exists()
    assert cli.main(["clean", *toy]) == 0


def test_command(toy, monkeypatch):
    seen: list[str] = []
    ship = Command("ship", "toy", ("dig",), lambda context: seen.extend(context.inputs))
    monkeypatch.setattr(cli, "find_command", {"ship": ship}.__getitem__)
    assert cli.main(["ship", *toy]) == 0
    assert seen == ["dig"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("a", "b", "c"), 2, "error: a\nwhere: b\n  try: c\n"),
        (VerificationFailed("pool0 differs"), 1, "verification failed: pool0 differs\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted; the same command goes on\n"),
    ],
)
def test_exit_codes(capsys, error, code, message):
    def fail() -> None:
        raise error

    assert cli.guarded(fail, debug=False) == code
    assert capsys.readouterr().err == message
    assert cli.guarded(fail, debug=True) == code
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "make room"), (errno.EDQUOT, "make room"), (errno.EACCES, "get the right")],
)
def test_a_disk_that_refuses_is_named(toy, capsys, tmp_path, monkeypatch, number, remedy):
    def fail(context: StageContext) -> None:
        (context.out / "number.txt").write_text("half")
        raise OSError(number, os.strerror(number))

    assert cli.main(["double", *toy]) == 0
    before = (tmp_path / "build" / "toy" / "dig" / "number.txt").read_text()
    failing = {"dig": changed_stage(DIG, run=fail)}
    monkeypatch.setattr(cli, "find_stage", failing.__getitem__)
    assert cli.main(["dig", *toy, "--force"]) == 2
    what, where, last = capsys.readouterr().err.splitlines()
    assert what == f"error: the disk refuses: {os.strerror(number)}"
    assert where == f"where: {tmp_path}/build/toy/dig"
    assert last.startswith(f"  try: {remedy}")
    assert (tmp_path / "build" / "toy" / "dig" / "number.txt").read_text() == before
    assert sorted(path.name for path in (tmp_path / "build" / "toy").iterdir()) == [
        ".cache",
        ".lock",
        ".work",
        "dig",
        "double",
    ]


def test_a_file_that_may_not_be_read_is_named(capsys):
    def fail() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/some/file")

    assert cli.guarded(fail, debug=False) == 2
    assert "\nwhere: /some/file\n" in capsys.readouterr().err


def test_other_errors_of_the_system_are_bugs(capsys):
    def fail() -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    assert cli.guarded(fail, debug=False) == 70
    assert "this is a bug of amcflow" in capsys.readouterr().err


def test_a_bug_shows_its_traceback(capsys):
    assert cli.guarded(lambda: {}["a"], debug=False) == 70
    err = capsys.readouterr().err
    assert "KeyError" in err
    assert err.endswith("this is a bug of amcflow: please report it\n")


@pytest.mark.parametrize(
    ("words", "what", "remedy"),
    [
        (["doublet"], "there is no stage 'doublet'", "python -m pipeline double"),
        ([], "no stage is named", "python -m pipeline --help"),
        (["lower", "--foo"], "unrecognized arguments: --foo", "python -m pipeline --help"),
        (["status", "--set", "x"], "'x' is not of the form", "for example --set verify.frames=32"),
    ],
)
def test_misuse_is_three_lines(toy, capsys, words, what, remedy):
    assert cli.main([*words, *toy]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"error: {what}")
    assert lines[2] == f"  try: {remedy}"


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run the real command line."""
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)


def test_help_lists_the_stages_in_order_without_importing_them():
    started = time.monotonic()
    answer = run("pipeline", "--help")
    assert time.monotonic() - started < 5  # importing torch alone takes longer on a busy machine
    assert answer.returncode == 0
    words = [line.split()[0] for line in answer.stdout.splitlines() if line.strip()]
    assert [word for word in words if word in STAGES] == list(STAGES)


def test_help_of_a_stage_lists_its_keys(capsys):
    assert cli.main(["train", "--help"]) == 0
    out = capsys.readouterr().out
    assert "\ntrain: train the network" in out
    assert "\n  train.epochs = 10: passes over the training split\n" in out
    assert "verify.frames" not in out


def test_terminated_run_ends_its_tool_and_leaves_nothing(tmp_path):
    script = (
        "import sys; from pathlib import Path; from pipeline.core import cli;"
        "from tests.core.test_cli import start_sleeping; from tests.core.toy import *;"
        "from pipeline.core.runner import run_stage;"
        "build = make_build(Path(sys.argv[1]), dig=changed_stage(DIG, run=start_sleeping));"
        "sys.exit(cli.guarded(lambda: run_stage('dig', build), debug=False))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT_ROOT) as process:
        pid_file = tmp_path / "models" / "toy" / "pid"
        while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
    assert process.returncode == 128 + 15
    assert sorted(path.name for path in (tmp_path / "build" / "toy").iterdir()) == [
        ".cache",
        ".lock",
        ".work",
    ]
    status = Path(f"/proc/{int(pid_file.read_text())}/stat")
    assert not status.exists() or status.read_text().split(")")[1].split()[0] == "Z"


def start_sleeping(context: StageContext) -> None:
    """A stage whose tool writes its number to the model's folder and hangs."""
    script = f"echo $$ > '{context.model_dir}/pid'; sleep 600"
    log = context.scratch / "log"
    run_tool(["sh", "-c", script], cwd=context.scratch, log=log, timeout_s=600)


def test_every_listed_stage_and_command_is_there():
    for name in STAGES:
        assert find_stage(name).name == name
    for name in COMMANDS:
        assert find_command(name).name == name


def test_stage_module_runs_alone():
    answer = run("pipeline.stages.data", "--help")
    assert answer.returncode == 0, answer.stderr
    assert "\ndata: " in answer.stdout
    assert "data.frames_per_cell" in answer.stdout


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_module_can_run_alone(name):
    text = (PROJECT_ROOT / "pipeline" / "stages" / f"{module_name(name)}.py").read_text()
    assert text.endswith('\nif __name__ == "__main__":\n    sys.exit(run_alone(STAGE))\n')


def test_makefile_has_a_target_for_every_stage():
    text = (PROJECT_ROOT / "Makefile").read_text().replace(" \\\n  ", " ")
    assert f"\nSTAGES := {' '.join(STAGES)}\n" in text
    for name in [*COMMANDS, "status", "clean"]:
        assert name in text.split("\nCOMMANDS := ")[1].splitlines()[0].split()


def test_make_variables_become_settings(tmp_path):
    values = {"FRAMES": "32", "BOARD": "pynq_z2", "CHECKPOINT": "a b.pth", "SET": "train.epochs=3"}
    words = [
        "make",
        "--no-print-directory",
        "--dry-run",
        "lower",
        *(f"{name}={value}" for name, value in values.items()),
    ]
    answer = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1].strip() == (
        ".venv/bin/python -m pipeline lower --model 'models/vgg10_w4a4_fmp' --set "
        "'verify.frames=32' 'hardware.board=pynq_z2' 'export.checkpoint=a b.pth' train.epochs=3"
    )


@pytest.mark.parametrize("target", ["demo", "emulate", "pynq-package", "deploy"])
def test_frames_of_a_package_are_golden_ones(target: str) -> None:
    words = ["make", "--no-print-directory", "--dry-run", target, "FRAMES=32", "HOST=me@board"]
    answer = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1].strip() == (
        f".venv/bin/python -m pipeline {target} --model 'models/vgg10_w4a4_fmp' --set "
        "'deploy.frames=32' 'deploy.host=me@board'"
    )
