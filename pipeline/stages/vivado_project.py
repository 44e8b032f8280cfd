"""Vivado-project: all that Vivado needs for a bitstream, in a folder that builds anywhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.boards import finn_project
from pipeline.boards.board import BOARDS, Board, load_board
from pipeline.boards.hierarchy import layer_cells
from pipeline.boards.hls_adapter import FILE as ADAPTER
from pipeline.boards.hls_adapter import adapter
from pipeline.boards.vivado import (
    COMMAND,
    DESCRIPTION,
    Description,
    Target,
    of_vivado,
    project,
    read_description,
    require_clock,
)
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
    shell = load_shell(context.inputs["codegen"] / codegen.SHELL)
    make = _finn_files if context.config.hardware.backend == codegen.FINN else _files
    files = make(context, board, shell)
    for name, content in files.items():
        path = context.out / PROJECT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    description = read_description(files[DESCRIPTION].decode())
    report = {
        "stage": "vivado-project",
        "model": description.model,
        "board": board.key,
        "part": description.part,
        "backend": description.backend,
        "clock_mhz": description.clock_mhz,
        "recommended_mhz": of_vivado(board).clock_mhz,
        "files": len(files),
        "bytes": sum(len(content) for content in files.values()),
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def _files(context: StageContext, board: Board, shell: Shell) -> dict[str, bytes]:
    """Our shell and core, for Vivado."""
    generated = context.inputs["codegen"]
    target = _target(context, board, shell)
    scripts = {path.name: path.read_bytes() for path in sorted(SCRIPTS.glob("*.tcl"))}
    notice = (generated / codegen.RTL / "NOTICE").read_bytes()
    hls_folder = _read(generated / codegen.HLS) if target.with_hls else {}
    return project(target, _sources(generated, target), scripts, notice, hls_folder)


def _finn_files(context: StageContext, board: Board, shell: Shell) -> dict[str, bytes]:
    """A FINN build, which runs Vivado itself."""
    hardware = context.config.hardware
    require_clock(board, hardware.clock_mhz)
    description = Description(
        model=_model(context),
        hash=shell.hash,
        board=board.key,
        part=board.part,
        backend=hardware.backend,
        clock_mhz=hardware.clock_mhz,
        steps=(),
    )
    return finn_project.project(description, _read(context.inputs["codegen"] / codegen.FINN))


def _model(context: StageContext) -> str:
    """Its name, in characters that every tool takes."""
    return re.sub(r"[^\w.+-]", "_", context.model_dir.resolve().name)


def _target(context: StageContext, board: Board, shell: Shell) -> Target:
    """Which sources, in which order, and what their cells are."""
    hardware = context.config.hardware
    design = rtl.load_design(context.inputs["codegen"] / codegen.RTL)
    sources: tuple[str, ...] = (*design.sources, *shell.sources)
    tables = tuple(design.tables)
    layers = layer_cells(design.layers, fold.cycles(context.inputs["fold"]))
    if hardware.backend == codegen.HLS:
        missing = [name for name in SHARED if name not in shell.sources]  # the RTL core has them
        sources, tables, layers = (*missing, ADAPTER, *shell.sources), (), ()
    return Target(
        model=_model(context),
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
        f"{report['backend'].upper()} core: {report['files']} files, {report['bytes'] / 1e6:.1f} MB"
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
