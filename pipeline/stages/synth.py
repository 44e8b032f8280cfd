"""Synth: what every layer takes on the board's FPGA, by Yosys, and how deep its logic is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.boards.board import BOARDS, Board, load_board
from pipeline.codegen.rtl import DesignFiles, load_design
from pipeline.codegen.shell import TOP, load_shell
from pipeline.core.atomic import write_json
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.errors import VerificationFailed
from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tools import yosys
from pipeline.stages import codegen, fold
from pipeline.synth import report
from pipeline.synth.design import Synthesis, synthesise
from pipeline.synth.elaborate import Hdl, Split
from pipeline.synth.families import Family, family_of
from pipeline.synth.mapping import CACHE
from pipeline.synth.report import Row
from pipeline.synth.yosys import PROGRAM

REPORT = "report.json"


def run(context: StageContext) -> None:
    started = time.monotonic()
    board = load_board(context.config.hardware.board)
    family = family_of(board.part, shown(BOARDS / f"{board.key}.toml"))
    generated = context.inputs["codegen"]
    design = load_design(generated / codegen.RTL)
    cycles = fold.cycles(context.inputs["fold"])
    hdl = _hdl(generated, design)
    found = synthesise(hdl, splits(design), family, CACHE, context.scratch)
    result = _report(found, cycles, design.nodes, board, family)
    result = {"stage": "synth", "model": context.model_dir.name, **result}
    if context.config.synth.whole:
        place = context.scratch / "whole"
        place.mkdir()
        whole = synthesise(hdl, [], family, CACHE, place)
        result["whole"] = asdict(report.summed(whole.rows))
    result["seconds"] = round(time.monotonic() - started, 1)
    write_json(context.out / REPORT, result)
    show(context.out)
    if result["exceeded"] and context.config.synth.must_fit:
        raise VerificationFailed(report.notes(result)[-1])


def _hdl(generated: Path, design: DesignFiles) -> Hdl:
    """The core in its shell, which is the top."""
    rtl, own = generated / codegen.RTL, generated / codegen.SHELL
    shell = load_shell(own)
    sources = [rtl / name for name in design.sources] + [own / name for name in shell.sources]
    return Hdl(shell.top, tuple(sources), tuple(rtl / name for name in design.tables))


def splits(design: DesignFiles) -> list[Split]:
    """The core by its layers; nodes that hold several are taken apart first."""
    inner: dict[str, dict[str, dict[str, str]]] = {}
    outer: dict[str, dict[str, str]] = {}
    for layer in design.layers:
        for cell, module in layer.cells.items():
            node, slash, instance = cell.partition("/")
            own = inner.setdefault(design.nodes[node], {}) if slash else outer
            own.setdefault(layer.name, {})[instance or node] = module
    return [*(Split(module, parts) for module, parts in inner.items()), Split(design.top, outer)]


def _named(row: Row, modules: Mapping[str, str]) -> Row:
    """Registers by the module they are in, which says more than the instance's number."""

    def named(place: tuple[str, str]) -> tuple[str, str]:
        part, register = place
        instance, dot, rest = register.partition(".")
        return ("shell" if part == TOP else part), f"{modules.get(instance, instance)}{dot}{rest}"

    if row.path is None:
        return row
    path = replace(row.path, start=named(row.path.start), end=named(row.path.end))
    return replace(row, path=path)


def _report(
    found: Synthesis,
    cycles: Mapping[str, int],
    modules: Mapping[str, str],
    board: Board,
    family: Family,
) -> dict[str, Any]:
    """The last row is what is left without the layers: the shell."""
    *rows, shell = [_named(row, modules) for row in found.rows]
    rows = [replace(x, cycles=cycles.get(x.name)) for x in rows]
    core, total = report.summed(rows), report.summed([*rows, shell])
    return {
        "board": board.key,
        "board_name": board.name,
        "part": board.part,
        "tool": f"Yosys (pyosys {yosys().version}), {family.command}",
        "layers": [report.entry(row) for row in rows],
        "core": asdict(core),
        "shell": report.entry(shell),
        "total": asdict(total),
        **report.against(total, board),
        "fresh": list(found.fresh),
    }


def show(folder: Path) -> None:
    """Prints the tables of earlier outputs."""
    result = json.loads((folder / REPORT).read_text())
    report.show(result)
    fresh = len(result["fresh"])
    parts = len(result["layers"]) + 1
    say(f"{fresh} of {parts} parts synthesised, {parts - fresh} known, in {result['seconds']:g} s")


def sources(_: Config) -> Mapping[str, Path]:
    return {"boards": BOARDS, "program": PROGRAM}


STAGE = Stage(
    name="synth",
    summary="synthesise every layer with Yosys: LUT, FF, DSP, block RAM and levels of logic",
    sections=("hardware", "synth"),
    needs=("fold", "codegen"),
    outputs=(REPORT,),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
