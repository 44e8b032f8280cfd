"""Bitstream: Vivado builds the project, or one that was built elsewhere is taken."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from pipeline.boards import bitstream, vivado_run
from pipeline.boards.board import load_board, open_tools_hint
from pipeline.boards.finn_project import DEPLOY
from pipeline.boards.vivado import (
    COMMAND,
    DESCRIPTION,
    DIGEST,
    OLDEST,
    OUTPUT,
    REPORTS,
    Description,
    read_description,
)
from pipeline.core.cli import run_alone
from pipeline.core.errors import UserError
from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.stages import vivado_project

FINN = "finn"
"""FINN's own deployment package, where FINN made the bitstream."""
REPORT = "report.json"


def run(context: StageContext) -> None:
    project = context.inputs["vivado-project"] / vivado_project.PROJECT
    description = read_description((project / DESCRIPTION).read_text())
    made = context.config.bitstream.made
    output = Path(made) if made else _build(context, project, description)
    identity = bitstream.read_bitstream(output, description)
    for name in bitstream.FILES:
        shutil.copyfile(output / name, context.out / name)
    reports = output / REPORTS
    (context.out / REPORTS).mkdir()
    for file in sorted(reports.glob("*.rpt")):
        shutil.copyfile(file, context.out / REPORTS / file.name)
    (context.out / FINN).mkdir()
    if (output / DEPLOY).is_dir():
        shutil.copytree(output / DEPLOY, context.out / FINN, dirs_exist_ok=True)
    report = bitstream.report(identity, description, reports)
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def _build(context: StageContext, project: Path, description: Description) -> Path:
    """Vivado in a copy of the project that survives a kill; the folder of what it made."""
    tool = vivado_run.find_vivado(context.config.bitstream.vivado, context.scratch)
    if tool is None:
        raise _no_vivado(context, project, description)
    say(f"Vivado {tool.version}: {tool.path}")
    folder = context.work / vivado_project.PROJECT
    if not (folder / DIGEST).is_file() or not _is_same(folder, project):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(project, context.scratch / "copy")
        (context.scratch / "copy").rename(folder)
    say(
        f"building in {shown(folder)}: half an hour to hours; the same command goes on after a kill"
    )
    vivado_run.build(folder, tool, description)
    return folder / OUTPUT


def _is_same(folder: Path, project: Path) -> bool:
    return (folder / DIGEST).read_bytes() == (project / DIGEST).read_bytes()


def _no_vivado(context: StageContext, project: Path, description: Description) -> UserError:
    """What to do without Vivado."""
    configured, board = context.config.bitstream.vivado, load_board(description.board)
    again = f"make bitstream MODEL={shown(context.model_dir)} BOARD={board.key}"
    remedies = [
        f"in {shown(project)}, on a machine that has Vivado {OLDEST} or newer: {COMMAND}",
        f"then here, with what it made: {again} BITSTREAM=<its {OUTPUT}>",
        open_tools_hint(),
    ]
    return UserError(
        f"there is no Vivado, which makes bitstreams for {board.name}",
        f"bitstream.vivado = {configured}"
        if configured
        else "PATH (or bitstream.vivado = its path)",
        "\n       ".join(line for line in remedies if line),
    )


def show(folder: Path) -> None:
    """Prints what the bitstream takes, layer by layer, and its timing."""
    report = json.loads((folder / REPORT).read_text())
    if report["total"] is not None:
        columns = ("lut", "ff", "dsp", "bram36", "cycles")
        rows = [(x["name"], *(x[name] for name in columns)) for x in report["layers"]]
        total = report["total"]
        rows.append(("total", *(total[name] for name in columns[:-1]), None))
        board = load_board(report["board"])
        rows.append((board.name, board.lut, board.ff, board.dsp, board.bram36, None))
        print_table(
            f"bitstream for {board.name}", ("layer", "LUT", "FF", "DSP", "BRAM36", "cycles"), rows
        )
        say(f"{report['power']['total']:.2f} W estimated")
    slack = "no report of its timing"
    if report["wns"] is not None:
        slack = f"worst setup slack {report['wns']:.3f} ns"
    say(f"{report['board']}, {report['clock_mhz']:.6g} MHz, by {report['tool']}: {slack}")
    if report["backend"] == "finn":
        say(f"its driver is FINN's, not ours: in {shown(folder / FINN)}")
    else:
        say(f"hash {report['hash'][:16]}..., which the accelerator's registers hold")


STAGE = Stage(
    name="bitstream",
    summary="build the bitstream with Vivado, or take one that was built elsewhere",
    sections=("bitstream",),
    needs=("vivado-project",),
    outputs=(*bitstream.FILES, f"{REPORTS}/", f"{FINN}/", REPORT),
    run=run,
    show=show,
    version=1,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
