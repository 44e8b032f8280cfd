"""Runs Yosys: its commands, in a folder, as a program of its own."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path

from pipeline.core.tools import ToolError, run_tool, yosys

PROGRAM = Path(__file__).with_name("run_yosys.py")
SCRIPT, LOG = "commands.ys", "yosys.log"
TIMEOUT_S = 7200.0
_ERROR = re.compile(r"^(?:(?P<place>[^\s:]+:\d+): )?ERROR: (?P<what>.+)$", re.MULTILINE)


def run(
    commands: Sequence[str],
    folder: Path,
    outputs: Sequence[str] = (),
    stop: threading.Event | None = None,
) -> str:
    """Runs the commands in `folder`, where `outputs` have to be afterwards; what Yosys printed.

    Raises ToolError, with Yosys's own first error where there is one.
    """
    (folder / SCRIPT).write_text("".join(f"{command}\n" for command in commands))
    tool = yosys()
    try:
        return run_tool(
            [tool.path, PROGRAM, SCRIPT],
            cwd=folder,
            log=folder / LOG,
            timeout_s=TIMEOUT_S,
            outputs=[Path(name) for name in outputs],
            env=tool.env,
            stop=stop,
        )
    except ToolError as error:
        found = _ERROR.search((folder / LOG).read_text(errors="replace"))
        if found is None or error.returncode is None:
            raise
        place = f"{Path(found['place']).name}: " if found["place"] else ""
        raise ToolError(
            f"Yosys does not take the HDL: {place}{found['what']}",
            folder / LOG,
            "mend it there; if codegen wrote it, this is a bug of amcflow",
            error.returncode,
        ) from error
