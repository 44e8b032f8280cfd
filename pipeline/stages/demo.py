"""Demo: what a user of a board sees, on the emulated one.

The package's own programs run one after the other in a copy of it, as they would on a board.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.core.errors import VerificationFailed
from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Command, CommandContext
from pipeline.core.tools import ToolError, run_tool
from pipeline.stages import emulate

FOLDER = "demo"
TIMEOUT_S = 4 * 3600.0
BENCHMARK_FRAMES = 64
PROGRAMS: Sequence[Sequence[str]] = (
    ("classify.py",),
    ("validate.py",),
    ("benchmark.py", "--frames", str(BENCHMARK_FRAMES)),
)


def run(context: CommandContext) -> None:
    folder = context.build / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(context.inputs["emulate"] / emulate.PACKAGE, folder)
    say(f"the board's folder is {shown(folder)}; its clock is simulated, some 1,000 times slower")
    for program in PROGRAMS:
        say(f"\n$ python {' '.join(program)}")
        run_program(program, folder, context.build / f"{FOLDER}.log")


def run_program(program: Sequence[str], folder: Path, log: Path) -> None:
    """Run a program of the package; what it prints is shown as it comes."""
    command = [sys.executable, "-u", *program]
    try:
        run_tool(command, cwd=folder, log=log, timeout_s=TIMEOUT_S, watch=say)
    except ToolError as error:
        if error.returncode != 1:
            raise
        lines = log.read_text(errors="replace").strip().splitlines()
        said = lines[-1] if lines else "it says nothing"
        raise VerificationFailed(f"{program[0]} on the emulated board: {said}") from error


COMMAND = Command(
    name="demo",
    summary="run the PYNQ package on an emulated board: classify, validate, benchmark",
    needs=("emulate",),
    run=run,
)
