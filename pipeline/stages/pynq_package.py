"""Pynq-package: the folder and the zip that a board gets, around a bitstream for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.boards import package
from pipeline.boards.board import BOARDS, load_board
from pipeline.codegen.shell import load_shell
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.dataflow import integer_model
from pipeline.stages import codegen, fold, freeze

PACKAGE, ARCHIVE, REPORT = "package", "package.zip", "report.json"
HOW = "As root in PYNQ's environment (`sudo -s`, then `. /etc/profile.d/pynq_venv.sh`)"


def run(context: StageContext) -> None:
    if context.config.hardware.backend == codegen.FINN:
        raise UserError(
            "FINN's accelerator has no AXI shell of ours, so this driver and package do not fit it",
            'hardware.backend = "finn"',
            f"FINN's own package, in {shown(context.inputs['bitstream'] / 'finn')}",
        )
    board = load_board(context.config.hardware.board)
    if board.vivado is None:
        raise UserError(
            f"{board.name} has no processor that PYNQ runs on",
            "hardware.board (BOARD=)",
            "another board, for example BOARD=pynq_z2",
        )
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    shell = load_shell(context.inputs["codegen"] / codegen.SHELL)
    bitstream, clock_mhz = package.made_bitstream(context.inputs["bitstream"])
    interval = json.loads((context.inputs["fold"] / fold.REPORT).read_text())["predicted_interval"]
    name = context.model_dir.name
    facts = package.Facts(name, board.key, board.name, clock_mhz, interval, HOW)
    golden = package.golden(model, context.config.deploy.frames)
    files = package.package(model, shell, bitstream, golden, facts)
    folder = f"amcflow-{name}-{board.key}"
    package.write(files, context.out / PACKAGE)
    (context.out / ARCHIVE).write_bytes(package.zipped(files, folder))
    report = {
        "stage": "pynq-package",
        "model": name,
        "board": board.key,
        "frames": len(golden.codes),
        "folder": folder,
        "clock_mhz": clock_mhz,
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def show(folder: Path) -> None:
    """Says where the package is."""
    report = json.loads((folder / REPORT).read_text())
    say(
        f"PYNQ package for {report['board']}, {report['clock_mhz']:g} MHz, {report['frames']:,} "
        f"golden frames, in its folder {PACKAGE} and in {ARCHIVE}"
    )


def sources(_: Config) -> Mapping[str, Path]:
    return {"boards": BOARDS, **package.sources()}


STAGE = Stage(
    name="pynq-package",
    summary="make the folder and the zip for a board: bitstream, driver, golden frames",
    sections=("hardware", "deploy"),
    needs=("freeze", "fold", "codegen", "bitstream"),
    outputs=(f"{PACKAGE}/", ARCHIVE, REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
