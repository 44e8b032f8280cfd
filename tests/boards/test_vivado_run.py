"""Vivado as a program: found, followed, and explained where it fails; build.sh does the same."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.boards import vivado, vivado_run
from pipeline.boards.vivado import STEPS, read_description
from pipeline.boards.vivado_run import LIMITS, Limits, achievable_mhz, find_vitis_hls, find_vivado
from pipeline.core.errors import UserError
from pipeline.core.tools import Tool, ToolError
from tests.boards.behaviour import Behaviour
from tests.boards.small_project import files_of, install, made_by_hls, target, write

pytest.importorskip("tkinter", reason="no Tcl for the model of Vivado: apt install python3-tk")

MADE = {"accelerator.bit", "accelerator.hwh", "accelerator.json", "reports"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "project", files_of(target()))


def fake(tmp_path: Path, behaviour: Behaviour | None = None) -> Path:
    """The program, where Vivado's installer would put it."""
    place = tmp_path / "Xilinx" / "Vivado" / "2022.2" / "bin"
    return install(place, behaviour or Behaviour(), sys.executable)


def run(folder: Path, behaviour: Behaviour | None = None, limits: Limits = LIMITS) -> None:
    """Build a project with a fake Vivado, as the stage does."""
    tool = find_vivado(str(fake(folder.parent, behaviour)), folder.parent, limits)
    assert tool is not None
    text = (folder / vivado.DESCRIPTION).read_text()
    vivado_run.build(folder, tool, read_description(text), limits)


def failure(folder: Path, behaviour: Behaviour, limits: Limits = LIMITS) -> UserError:
    with pytest.raises(UserError) as error:
        run(folder, behaviour, limits)
    assert not (folder / "output" / "accelerator.bit").exists()
    return error.value


# --- which program ------------------------------------------------------------------------------


def test_vivado_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert find_vivado("", tmp_path) is None
    program = fake(tmp_path, Behaviour(version="2024.1"))
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    assert find_vivado("", tmp_path) == Tool(program, {}, "2024.1")
    assert find_vivado(str(tmp_path / "nowhere"), tmp_path) is None  # what is asked for counts


@pytest.mark.parametrize(
    "version", ["2022.2", "2022.2.2", "2022.2_AR000034948", "2023.1", "2024.2.1", "2025.1"]
)
def test_versions_that_will_do(version: str, tmp_path: Path) -> None:
    tool = find_vivado(str(fake(tmp_path, Behaviour(version=version))), tmp_path)
    assert tool is not None
    assert tool.version == ".".join(version.replace("_", ".").split(".")[:2])


@pytest.mark.parametrize("version", ["2022.1", "2022.1.2", "2020.3", "2019.10"])
def test_a_vivado_that_is_too_old(version: str, tmp_path: Path) -> None:
    program = fake(tmp_path, Behaviour(version=version))
    with pytest.raises(UserError) as error:
        find_vivado(str(program), tmp_path)
    number = ".".join(version.split(".")[:2])
    assert error.value.what.startswith(f"Vivado {number} is older than 2022.2")
    assert error.value.where == str(program)
    assert "bitstream.vivado" in error.value.remedy


@pytest.mark.parametrize(
    ("banner", "said"), [("GNU nano, version 7.2", "'GNU nano, version 7.2'"), ("", "'nothing'")]
)
def test_something_else_called_vivado(banner: str, said: str, tmp_path: Path) -> None:
    program = tmp_path / "vivado"
    program.write_text(f"#!/bin/sh\necho '{banner}'\n")
    program.chmod(0o755)
    with pytest.raises(UserError) as error:
        find_vivado(str(program), tmp_path)
    assert error.value.what == f"this is not Vivado: asked for its version, it says {said}"


def test_a_vivado_that_does_not_even_start(tmp_path: Path) -> None:
    program = tmp_path / "vivado"
    program.write_text("#!/bin/sh\nsleep 600\n")
    program.chmod(0o755)
    with pytest.raises(ToolError, match="time limit of 0"):
        find_vivado(str(program), tmp_path, Limits(version_s=0.2))


# --- a build ------------------------------------------------------------------------------------


def test_a_build_says_what_it_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder)
    assert {path.name for path in (folder / "output").iterdir()} == MADE
    said = capsys.readouterr().out
    assert "note: no files of the board tul.com.tw:pynq-z2" in said
    assert f"Vivado: {len(STEPS)}/{len(STEPS)} steps" in said
    log = (folder / "build.log").read_text()
    assert [x for x in STEPS if f"AMCFLOW step {STEPS.index(x) + 1}/7 {x} done" in log] == [*STEPS]


class Bar:
    """Takes what a progress bar is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def advance(self, n: int = 1, **fields: str) -> None:
        self.told.append((n, fields["at"]))


def test_lines_of_a_log_become_progress(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    follow = vivado_run.Follower(bar)  # type: ignore[arg-type]
    for line in (
        "****** Vivado v2022.2 (64-bit)",
        "AMCFLOW step 1/7 package_ip was done before",
        "AMCFLOW step 4/7 place begins",
        "INFO: [Vivado 12-4464] Starting nothing",
        "Starting Placer Task",
        "Phase 1.2 IO Placement/ Clock Placement/ Build Placer Device",
        "AMCFLOW note: the clock is 99.999 MHz",
        "AMCFLOW step 4/7 place done",
    ):
        follow(line)
    assert bar.told == [
        (1, "package_ip"),
        (0, "place"),
        (0, "place: Placer Task"),
        (0, "place: IO Placement/ Clock Placement/ Build Placer Device"),
        (1, "place"),
    ]
    assert capsys.readouterr().out == "note: the clock is 99.999 MHz\n"


def test_a_build_goes_on_after_a_kill(folder: Path) -> None:
    trace = folder.parent / "trace"
    slow = Behaviour(hang="route_design", trace=str(trace))
    program = fake(folder.parent, slow)
    process = subprocess.Popen(
        [program, *vivado.VIVADO_BUILD[1:]], cwd=folder, stdout=subprocess.DEVNULL
    )
    wait_for((folder / "done" / "place").exists)
    process.kill()
    process.wait(timeout=10)
    run(folder, Behaviour(trace=str(trace)))
    calls = [line.split()[0] for line in trace.read_text().splitlines()]  # of the second alone
    assert "route_design" in calls
    assert {"ipx::create_core", "create_project", "synth_design", "place_design"}.isdisjoint(calls)
    assert {path.name for path in (folder / "output").iterdir()} == MADE


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_failed_build_goes_on_with_its_step(folder: Path) -> None:
    failure(folder, Behaviour(fail={"place_design": "[Place 30-99] Placer failed"}))
    trace = folder.parent / "trace"
    run(folder, Behaviour(trace=str(trace)))
    calls = [line.split()[0] for line in trace.read_text().splitlines()]
    assert "place_design" in calls
    assert "synth_design" not in calls


# --- how it may end -----------------------------------------------------------------------------


def test_a_command_that_fails(folder: Path) -> None:
    message = "[Synth 8-439] module 'StreamFIFO' not found"
    error = failure(folder, Behaviour(fail={"synth_design": message}))
    assert error.what == f"Vivado failed in the step synthesize: {message}"
    assert error.where.endswith("build.log")
    assert "goes on from there" in error.remedy


def test_an_error_of_ours(folder: Path) -> None:
    error = failure(folder, Behaviour(parts=()))
    assert error.what == (
        "Vivado failed: this Vivado does not have the part xc7z020clg400-1: add its family to the "
        "installation"
    )


def test_no_licence(folder: Path) -> None:
    message = (
        "[Common 17-345] A valid license was not found for feature 'Synthesis' and/or device "
        "'xczu28dr'. Please run the Vivado License Manager for assistance in determining"
    )
    error = failure(folder, Behaviour(fail={"synth_design": message}))
    assert error.what == f"Vivado failed in the step synthesize: {message}"
    part = target().board.part
    assert error.remedy == f"a licence of Vivado that covers {part}, in XILINXD_LICENSE_FILE"


def test_a_build_that_hangs(folder: Path) -> None:
    error = failure(folder, Behaviour(hang="create_bd_design"), replace(LIMITS, quiet_s=4))
    assert error.what == "vivado wrote nothing for 4 s and was ended"
    assert "AMCFLOW step 2/7 block_design begins" in error.where
    run(folder)  # the same folder goes on


def test_a_build_that_takes_too_long(folder: Path) -> None:
    error = failure(folder, Behaviour(hang="create_bd_design"), replace(LIMITS, total_s=1.5))
    assert error.what == "vivado was ended after its time limit of 1.5 s"


def test_a_vivado_that_does_nothing_and_is_content(folder: Path) -> None:
    error = failure(folder, Behaviour(silent_exit=True))
    made = "output/accelerator.bit, output/accelerator.hwh, output/accelerator.json"
    assert error.what == f"vivado exited with 0 but did not write {made}"


def test_timing_that_is_not_met(folder: Path) -> None:
    error = failure(folder, Behaviour(setup=-1.25))
    assert error.what == ("timing is not met: the worst setup slack is -1.25 ns at 100 MHz")
    assert "w_q_reg[35]/C -> " in error.where
    assert "10.212ns  (logic 3.914ns (38.327%)  route 6.298ns (61.673%))" in error.where
    assert "worst_path.rpt" in error.where
    assert error.remedy.startswith("--set hardware.clock_mhz=88,")


def test_hold_that_is_not_met(folder: Path) -> None:
    error = failure(folder, Behaviour(hold=-0.02))
    assert error.what == "timing is not met: the worst hold slack is -0.02 ns at 100 MHz"
    assert "worst_hold.rpt" in error.where
    assert "another version" in error.remedy


@pytest.mark.parametrize(
    ("clock", "slack", "possible"),
    [(100, -1.25, 88), (100, -0.001, 99), (250, -4.0, 125), (33.3, -30.0, 16)],
)
def test_the_clock_that_would_be_met(clock: float, slack: float, possible: int) -> None:
    assert achievable_mhz(clock, slack) == possible
    assert 1e3 / possible >= 1e3 / clock - slack


# --- a core that Vitis HLS makes ----------------------------------------------------------------


def vitis(tmp_path: Path, body: str = "") -> Path:
    """A Vitis HLS beside the fake Vivado; it copies what it should make."""
    made = tmp_path / "made"
    made_by_hls(made)
    program = tmp_path / "Xilinx" / "Vitis_HLS" / "2022.2" / "bin" / "vitis_hls"
    program.parent.mkdir(parents=True, exist_ok=True)
    body = body or f"cp -r '{made}/hls/hls_project' ."
    program.write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/asked"\n{body}\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def cpp_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return write(tmp_path / "project", files_of(target(backend="hls")))


def test_vitis_hls_runs_once_and_first(cpp_folder: Path, tmp_path: Path) -> None:
    vitis(tmp_path)
    failure(cpp_folder, Behaviour(fail={"place_design": "[Place 30-99] Placer failed"}))
    run(cpp_folder)
    assert (tmp_path / "asked").read_text() == "-f vitis_hls.tcl\n"
    assert {path.name for path in (cpp_folder / "output").iterdir()} == MADE
    digest = (cpp_folder / "digest").read_text()
    (cpp_folder / "done" / "hls").write_text(digest.replace(digest[0], "?"))  # of other sources
    run(cpp_folder)
    assert (tmp_path / "asked").read_text().count("\n") == 2


def test_vitis_hls_beside_vivado_or_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    beside, tool = vitis(tmp_path), Tool(fake(tmp_path), {}, "2022.2")
    assert find_vitis_hls(tool) == beside
    other = shutil.copy(beside, tmp_path / "vitis_hls")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_vitis_hls(tool) == other


def test_without_vitis_hls(cpp_folder: Path) -> None:
    error = failure(cpp_folder, Behaviour())
    assert error.what == 'hardware.backend = "hls" needs Vitis HLS, which is not on PATH'
    assert "Xilinx/Vitis_HLS/2022.2/bin/vitis_hls" in error.where


@pytest.mark.parametrize(
    ("body", "what"), [("exit 3", "vitis_hls "), ("true", "vitis_hls exited with 0 but did not")]
)
def test_vitis_hls_that_fails(cpp_folder: Path, tmp_path: Path, body: str, what: str) -> None:
    vitis(tmp_path, body)
    error = failure(cpp_folder, Behaviour())
    assert error.what.startswith(what)
    assert not (cpp_folder / "done" / "hls").exists()


# --- build.sh, on another machine ---------------------------------------------------------------


@pytest.mark.parametrize("backend", ["rtl", "hls"])
def test_build_sh(backend: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "a project", files_of(target("kv260", backend)))
    programs = [fake(tmp_path), vitis(tmp_path)]
    path = ":".join(str(program.parent) for program in programs)
    for _ in range(2):  # the second has nothing to do
        done = subprocess.run(
            ["sh", folder / "build.sh"],
            cwd=tmp_path,
            env={"PATH": f"{path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "AMCFLOW step 7/7 bitstream was done before" in done.stdout
    identity = json.loads((folder / "output" / "accelerator.json").read_text())
    assert (identity["board"], identity["backend"]) == ("kv260", backend)
    if backend == "hls":
        assert (tmp_path / "asked").read_text() == "-f vitis_hls.tcl\n"
    else:
        assert not (tmp_path / "asked").exists()


def test_build_sh_ends_with_vivados_failure(tmp_path: Path) -> None:
    folder = write(tmp_path / "project", files_of(target()))
    program = fake(tmp_path, Behaviour(setup=-0.5))
    done = subprocess.run(
        ["sh", "build.sh"],
        cwd=folder,
        env={"PATH": f"{program.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "timing is not met: the worst setup slack is -0.5 ns" in done.stdout
    assert not (folder / "output" / "accelerator.bit").exists()
