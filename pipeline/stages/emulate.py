"""Emulate: the PYNQ package for an emulated board, whose bitstream is the Verilated shell."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.boards import package
from pipeline.boards.board import BOARDS, load_board
from pipeline.boards.emulator.emulated import STAND_IN, emulated_bitstream
from pipeline.boards.emulator.library import HARNESS
from pipeline.codegen.shell import load_shell
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.progress import busy, say
from pipeline.core.stage import Stage, StageContext
from pipeline.dataflow import integer_model
from pipeline.stages import codegen, fold, freeze
from pipeline.verify.rungs import RTL_CACHE

REPORT = "report.json"
PACKAGE = "package"
HOW = "On this computer, with the python of the project's `.venv` for `python3`"


def run(context: StageContext) -> None:
    hardware, generated = context.config.hardware, context.inputs["codegen"]
    board = load_board(hardware.board)
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    rtl, shell = generated / codegen.RTL, generated / codegen.SHELL
    with busy("building the emulated board"):
        made = emulated_bitstream(rtl, shell, board, hardware.clock_mhz, RTL_CACHE)
    interval = json.loads((context.inputs["fold"] / fold.REPORT).read_text())["predicted_interval"]
    facts = package.Facts(
        context.model_dir.name,
        board.key,
        f"an emulated {board.name}",
        hardware.clock_mhz,
        interval,
        HOW,
    )
    golden = package.golden(model, context.config.deploy.frames)
    files = package.package(model, load_shell(shell), made, golden, facts)
    package.write(files, context.out / PACKAGE)
    report = {
        "stage": "emulate",
        "model": context.model_dir.name,
        "board": board.key,
        "frames": len(golden.codes),
        "files": len(files),
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def show(folder: Path) -> None:
    """Says where the package is."""
    report = json.loads((folder / REPORT).read_text())
    say(
        f"package for an emulated {report['board']} in its folder {PACKAGE}: "
        f"{report['frames']:,} golden frames, {report['files']} files"
    )


def sources(_: Config) -> Mapping[str, Path]:
    stand_in = {f"pynq/{x.relative_to(STAND_IN)}": x for x in STAND_IN.rglob("*.py")}
    return {"boards": BOARDS, "harness": HARNESS, **package.sources(), **stand_in}


STAGE = Stage(
    name="emulate",
    summary="make the PYNQ package for an emulated board: its bitstream is the Verilated shell",
    sections=("hardware", "deploy"),
    needs=("freeze", "fold", "codegen"),
    outputs=(f"{PACKAGE}/", REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
