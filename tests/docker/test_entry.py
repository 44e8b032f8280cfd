"""The entry script of the image for Vivado: what is missing is said, and nothing runs then."""

import re
from pathlib import Path

import pytest

from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.tools import ToolError, run_tool

ENTRY = PROJECT_ROOT / "docker" / "vivado" / "entry.sh"
LICENCE = {"XILINXD_LICENSE_FILE": "2100@nowhere"}
NEW, OLD = "Vivado/{}", "{}/Vivado"


def vivado(root: Path, version: str = "2022.2", layout: str = NEW) -> Path:
    """A folder that looks like an installed Vivado: its program prints its arguments."""
    folder = root / "Xilinx" / layout.format(version)
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "vivado"
    program.write_text('#!/bin/sh\necho "vivado $* preloads $LD_PRELOAD"\n')
    program.chmod(0o755)
    settings = f'echo "$UNSET" >/dev/null\nfalse\nexport PATH={folder}/bin:$PATH\n'
    (folder / "settings64.sh").write_text(settings)
    return folder


def run(root: Path, *command: str, **environment: str) -> tuple[int, str]:
    """Exit code and all that is printed, with nothing of this machine's Vivado around."""
    env = {"XILINX_VIVADO": "", "XILINXD_LICENSE_FILE": "", "LM_LICENSE_FILE": ""}
    env |= {"PATH": "/usr/bin:/bin"} | environment
    log = root / "log"
    try:
        run_tool(["bash", ENTRY, *command], cwd=root, log=log, timeout_s=20, env=env)
        return 0, log.read_text()
    except ToolError as error:
        return error.returncode or 0, log.read_text()


def test_the_script_is_a_program_that_shells_can_read(tmp_path: Path) -> None:
    assert ENTRY.stat().st_mode & 0o111
    for shell in ("sh", "bash"):
        run_tool([shell, "-n", ENTRY], cwd=tmp_path, log=tmp_path / "log", timeout_s=20)


@pytest.mark.parametrize("layout", [NEW, OLD], ids=["before 2025", "since"])
@pytest.mark.parametrize("version", ["2022.2", "2023.1", "2025.1"])
def test_vivado_is_on_path_for_the_command(tmp_path: Path, version: str, layout: str) -> None:
    folder = vivado(tmp_path, version, layout)
    command = ["vivado", "-mode", "batch", "two words"]
    code, printed = run(tmp_path, *command, XILINX_VIVADO=f"{folder}/", **LICENCE)
    assert code == 0
    assert re.fullmatch(r"vivado -mode batch two words preloads (\S*/libudev\.so\.1)?\n", printed)


def test_the_commands_exit_code_is_the_containers(tmp_path: Path) -> None:
    folder = vivado(tmp_path)
    assert run(tmp_path, "sh", "-c", "exit 7", XILINX_VIVADO=str(folder))[0] == 7


@pytest.mark.parametrize("name", ["XILINXD_LICENSE_FILE", "LM_LICENSE_FILE"])
def test_a_missing_licence_is_noted_but_no_error(tmp_path: Path, name: str) -> None:
    folder = str(vivado(tmp_path))
    code, printed = run(tmp_path, "true", XILINX_VIVADO=folder)
    assert (code, printed.startswith("note: no licence is named")) == (0, True)
    assert run(tmp_path, "true", XILINX_VIVADO=folder, **{name: "27000@host"}) == (0, "")


def nothing_said(root: Path) -> str:
    vivado(root)
    return ""


def not_mounted(root: Path) -> str:
    return str(root / "Xilinx" / "Vivado" / "2022.2")


def a_folder_too_high(root: Path) -> str:
    return str(vivado(root).parent)


def too_old(root: Path) -> str:
    return str(vivado(root, "2022.1"))


def much_too_old(root: Path) -> str:
    return str(vivado(root, "2019.2"))


def settings_without_a_program(root: Path) -> str:
    folder = vivado(root)
    (folder / "bin" / "vivado").unlink()
    return str(folder)


MISSING = {
    nothing_said: "nothing says where Vivado is",
    not_mounted: "there is no folder .*/Vivado/2022.2 in this container",
    a_folder_too_high: ".*/Xilinx/Vivado has no settings64.sh",
    too_old: "Vivado 2022.1 is too old",
    much_too_old: "Vivado 2019.2 is too old",
    settings_without_a_program: ".*/settings64.sh puts no vivado on PATH",
}


@pytest.mark.parametrize("make", MISSING, ids=lambda make: make.__name__)
def test_what_is_missing_is_said_and_nothing_runs(tmp_path: Path, make) -> None:
    code, printed = run(tmp_path, "touch", "ran", XILINX_VIVADO=make(tmp_path), **LICENCE)
    assert code == 2
    what, where, remedy = printed.splitlines()
    assert re.fullmatch(f"error: {MISSING[make]}", what)
    assert where.startswith("where: ")
    assert remedy.startswith("  try: ")
    assert not (tmp_path / "ran").exists()
