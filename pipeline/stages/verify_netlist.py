"""Verify-netlist: the netlist that Yosys maps, in Verilator, against the integer model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.boards.board import BOARDS, load_board
from pipeline.codegen.rtl import load_design
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.paths import shown
from pipeline.core.stage import Stage, StageContext
from pipeline.stages import codegen, verification
from pipeline.stages.synth import splits
from pipeline.stages.verification import REPORT, conclude, read_reports
from pipeline.synth.families import family_of
from pipeline.synth.mapping import CACHE
from pipeline.synth.yosys import PROGRAM
from pipeline.verify.ladder import print_ladder, streams_of
from pipeline.verify.netlist import CELLS, netlist_design
from pipeline.verify.rungs import netlist_rung, read_design


def run(context: StageContext) -> None:
    verify, board = context.config.verify, load_board(context.config.hardware.board)
    subject = verification.subject(context).beginning(verify.netlist_frames)
    family = family_of(board.part, shown(BOARDS / f"{board.key}.toml"))
    generated = context.inputs["codegen"] / codegen.RTL
    place = context.scratch / "netlist"
    place.mkdir()
    own = splits(load_design(generated))
    design = netlist_design(read_design(generated), own, family, CACHE, place)
    found = netlist_rung(subject, design, verify, context.scratch)
    conclude("verify-netlist", context, subject, [found], show)


def show(folder: Path) -> None:
    """Prints mismatches layer by layer."""
    reports = read_reports(folder)
    print_ladder(reports, streams_of(reports))
    verification.show_frames(reports)


def sources(config: Config) -> Mapping[str, Path]:
    own = {"boards": BOARDS, "cells": CELLS, "program": PROGRAM}
    return {**verification.sources(config), **own}


STAGE = Stage(
    name="verify-netlist",
    summary="simulate the netlist of the board's device and compare it with the integer model",
    sections=("network", "data", "hardware", "verify"),
    needs=("freeze", "codegen"),
    outputs=(REPORT,),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
