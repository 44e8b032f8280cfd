"""Runs Vivado in a project's folder: finds it, follows its log, and explains how it ended."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.boards import vivado, vivado_reports
from pipeline.boards.vivado import Description
from pipeline.core.errors import UserError
from pipeline.core.paths import shown
from pipeline.core.progress import Progress, progress, say
from pipeline.core.tools import Tool, ToolError, find_program, first_on_path, run_tool

REPORTS = Path(vivado.OUTPUT) / vivado.REPORTS
OUTPUTS = tuple(
    Path(vivado.OUTPUT) / name for name in (vivado.BITSTREAM, vivado.HANDOFF, vivado.IDENTITY)
)
LOG = "build.log"
MARK = re.compile(r"AMCFLOW step \d+/\d+ (\w+) (begins|done|was done before)$")
FAILED = re.compile(r"^AMCFLOW step \d+/\d+ (\w+) failed: (.*)$", re.MULTILINE)
NOTE = "AMCFLOW note: "
FINN_STEP = "Running step: "
PHASE = re.compile(r"(?:Starting|Phase [\d.]+) (\S.*)$")
ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)
LICENCE = ("[Common 17-345]", "[Common 17-348]")
"""Of Vivado's errors: no licence for a feature or a part."""


@dataclass(frozen=True)
class Limits:
    """Seconds that a build may take, that it may be silent, and that `-version` may take."""

    total_s: float = 12 * 3600
    quiet_s: float = 45 * 60
    version_s: float = 120


LIMITS = Limits()


def find_vivado(configured: str, scratch: Path, limits: Limits = LIMITS) -> Tool | None:
    """Vivado, at the path `configured` or on PATH; None where it is in neither place.

    Raises UserError where what is there is no Vivado, or too old.  `scratch` takes its log.
    """
    program = find_program("vivado", configured)
    if program is None:
        return None
    answer = run_tool(
        [program, "-version"],
        cwd=scratch,
        log=scratch / "vivado_version.log",
        timeout_s=limits.version_s,
    )
    found = re.search(r"vivado v(\d+)\.(\d+)", answer, flags=re.IGNORECASE)
    if found is None:
        first = next(iter(answer.strip().splitlines()), "nothing")
        raise UserError(
            f"this is not Vivado: asked for its version, it says {first!r}",
            str(program),
            "bitstream.vivado = the path of the program `vivado`",
        )
    version = f"{found[1]}.{found[2]}"
    if _number(version) < _number(vivado.OLDEST):
        raise UserError(
            f"Vivado {version} is older than {vivado.OLDEST}, the oldest that is supported",
            str(program),
            "a newer one first on PATH, or bitstream.vivado = its path",
        )
    return Tool(program, {}, version)


def find_vitis_hls(of_vivado: Tool) -> Path:
    """Vitis HLS on PATH, or where it is installed beside that Vivado.  UserError without it."""
    version = of_vivado.path.resolve().parents[1]
    beside = version.parents[1] / "Vitis_HLS" / version.name / "bin" / "vitis_hls"
    for place in ("", str(beside)):
        found = find_program("vitis_hls", place)
        if found is not None:
            return found
    raise UserError(
        'hardware.backend = "hls" needs Vitis HLS, which is not on PATH',
        f"PATH, {beside}",
        'source its settings64.sh, then run again; or hardware.backend = "rtl"',
    )


def build(folder: Path, tool: Tool, description: Description, limits: Limits = LIMITS) -> None:
    """Run what is left of the build in a project's folder.

    Raises UserError where Vivado fails, does not end, or does not meet the timing.
    """
    if description.backend == "finn":
        _run_finn(folder, tool, limits)
        return
    if description.backend == "hls":
        _run_hls(folder, find_vitis_hls(tool), limits)
    command: list[str | Path] = [tool.path, *vivado.VIVADO_BUILD[1:]]
    with progress("Vivado", len(description.steps), "steps") as bar:
        try:
            run_tool(
                command,
                cwd=folder,
                log=folder / LOG,
                timeout_s=limits.total_s,
                quiet_s=limits.quiet_s,
                outputs=OUTPUTS,
                watch=Follower(bar),
            )
        except ToolError as error:
            raise _explained(error, folder, description) from error


class Follower:
    """Shows what a build is doing, from the lines of its log."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._step = ""

    def __call__(self, line: str) -> None:
        """Take the next line."""
        mark = MARK.match(line)
        if mark is not None:
            self._step = mark[1]
            self._bar.advance(0 if mark[2] == "begins" else 1, at=self._step)
        elif line.startswith(NOTE):
            say(line.removeprefix("AMCFLOW "))
        elif (phase := PHASE.match(line)) is not None:
            self._bar.advance(0, at=f"{self._step}: {phase[1]}")


def _run_hls(folder: Path, program: Path, limits: Limits) -> None:
    """Once for a project: the mark is the one that build.sh leaves."""
    mark, digest = folder / vivado.DONE / "hls", folder / vivado.DIGEST
    if mark.is_file() and mark.read_bytes() == digest.read_bytes():
        return
    say("Vitis HLS: C++ to Verilog ...")
    hls = folder / vivado.HLS_FOLDER
    run_tool(
        [program, *vivado.HLS_COMMAND[1:]],
        cwd=hls,
        log=folder / "hls.log",
        timeout_s=limits.total_s,
        quiet_s=limits.quiet_s,
        outputs=[Path(*vivado.HLS_VERILOG)],
    )
    mark.parent.mkdir(exist_ok=True)
    mark.write_bytes(digest.read_bytes())


def _run_finn(folder: Path, tool: Tool, limits: Limits) -> None:
    """With the FINN of this Python; its steps may be silent for as long as they take."""

    def follow(line: str) -> None:
        if line.startswith(FINN_STEP):
            say(f"FINN: {line.removeprefix(FINN_STEP)}")

    run_tool(
        ["sh", "build.sh"],
        cwd=folder,
        log=folder / LOG,
        timeout_s=limits.total_s,
        outputs=OUTPUTS,
        env={"PYTHON": sys.executable, "PYTHONUNBUFFERED": "1", **first_on_path(tool.path.parent)},
        watch=follow,
    )


# --- how it ended -------------------------------------------------------------------------------


def _explained(error: ToolError, folder: Path, description: Description) -> UserError:
    """What the log says of a failure, in the user's words."""
    log = error.log.read_text(errors="replace")
    failed = FAILED.search(log)
    where, message = ("", "") if failed is None else (f" in the step {failed[1]}", failed[2])
    if message.startswith("timing is not met"):
        return _timing(folder, description, message)
    first = ([found[1] for found in ERROR.finditer(log)] or [message])[0]
    if error.returncode is None or not first:
        return error  # it was ended, or says nothing
    remedy = "mend the cause that the log names; the same command goes on from there"
    if any(code in first for code in LICENCE):
        remedy = f"a licence of Vivado that covers {description.part}, in XILINXD_LICENSE_FILE"
    return UserError(f"Vivado failed{where}: {first}", shown(error.log), remedy)


def _timing(folder: Path, description: Description, message: str) -> UserError:
    """The worst path, and a clock that it would allow."""
    file = folder / REPORTS / ("worst_hold.rpt" if "hold" in message else "worst_path.rpt")
    path = vivado_reports.worst_path(file.read_text())
    remedy = "another version of Vivado: hold is met by routing, whatever the clock"
    if "hold" not in message:
        clock = achievable_mhz(description.clock_mhz, path.slack)
        remedy = f"--set hardware.clock_mhz={clock}, or a lower hardware.target_fps"
    return UserError(
        f"{message} at {description.clock_mhz:g} MHz",
        f"{path}   ({shown(file)})",
        remedy,
    )


def achievable_mhz(clock_mhz: float, slack_ns: float) -> int:
    """The clock, in whole MHz, at which a path with this slack would just be met."""
    return math.floor(1e3 / (1e3 / clock_mhz - slack_ns))


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
