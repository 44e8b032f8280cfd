"""Vivado-project: all that Vivado needs for a bitstream, in a folder that builds anywhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.boards.board import BOARDS, Board, load_board
from pipeline.boards.hierarchy import layer_cells
from pipeline.boards.hls_adapter import FILE as ADAPTER
from pipeline.boards.hls_adapter import adapter
from pipeline.boards.vivado import COMMAND, Target, project
from pipeline.codegen import rtl
from pipeline.codegen.shell import SHARED, Shell, load_shell
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.stages import codegen, fold

SCRIPTS = PROJECT_ROOT / "hw" / "vivado"
PROJECT = "project"
REPORT = "report.json"


def run(context: StageContext) -> None:
    board = load_board(context.config.hardware.board)
    generated = context.inputs["codegen"]
    target = _target(context, board, load_shell(generated / codegen.SHELL))
    scripts = {path.name: path.read_bytes() for path in sorted(SCRIPTS.glob("*.tcl"))}
    notice = (generated / codegen.RTL / "NOTICE").read_bytes()
    hls_folder = _read(generated / codegen.HLS) if target.with_hls else {}
    files = project(target, _sources(generated, target), scripts, notice, hls_folder)
    for name, content in files.items():
        path = context.out / PROJECT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    report = {
        "stage": "vivado-project",
        "model": target.model,
        "board": board.key,
        "part": board.part,
        "backend": target.backend,
        "clock_mhz": target.clock_mhz,
        "recommended_mhz": target.vivado.clock_mhz,
        "files": len(files),
        "bytes": sum(len(content) for content in files.values()),
        "checked": "against a model of Vivado's commands; not yet run by Vivado itself",
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def _target(context: StageContext, board: Board, shell: Shell) -> Target:
    """Which sources, in which order, and what their cells are."""
    hardware = context.config.hardware
    design = rtl.load_design(context.inputs["codegen"] / codegen.RTL)
    sources: tuple[str, ...] = (*design.sources, *shell.sources)
    tables = tuple(design.tables)
    nodes = json.loads((context.inputs["fold"] / fold.REPORT).read_text())["nodes"]
    layers = layer_cells([stream.name for stream in design.streams], nodes)
    if hardware.backend == "hls":
        missing = [name for name in SHARED if name not in shell.sources]  # the RTL core has them
        sources, tables, layers = (*missing, ADAPTER, *shell.sources), (), ()
    return Target(
        model=re.sub(r"[^\w.+-]", "_", context.model_dir.resolve().name),
        board=board,
        clock_mhz=hardware.clock_mhz,
        backend=hardware.backend,
        shell=shell,
        sources=sources,
        tables=tables,
        layers=layers,
    )


def _sources(generated: Path, target: Target) -> dict[str, bytes]:
    """Shell and core by name; of a core that Vitis HLS makes, the adapter."""
    found = _read(generated / codegen.RTL) | _read(generated / codegen.SHELL)
    if target.with_hls:
        found[ADAPTER] = adapter(target.shell.beat_bytes, target.shell.label_bytes).encode()
    return found


def _read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def show(folder: Path) -> None:
    """Says what is there, and how it is built."""
    report = json.loads((folder / REPORT).read_text())
    say(
        f"Vivado project for {report['board']} ({report['part']}), {report['clock_mhz']:g} MHz, "
        f"{report['backend']} core: {report['files']} files, {report['bytes'] / 1e6:.1f} MB"
    )
    if report["clock_mhz"] > report["recommended_mhz"]:
        say(f"hw/boards recommends {report['recommended_mhz']:g} MHz for this board")
    say(f"in its folder {PROJECT}, with Vivado on PATH: {COMMAND}   (not yet run by Vivado itself)")


def sources(_: Config) -> Mapping[str, Path]:
    return {"scripts": SCRIPTS, "boards": BOARDS}


STAGE = Stage(
    name="vivado-project",
    summary="write a folder that builds the bitstream wherever Vivado is",
    sections=("hardware",),
    needs=("codegen", "fold"),
    outputs=(f"{PROJECT}/", REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
