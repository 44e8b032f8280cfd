"""Verify-cppsim: the HLS C++ against the integer model at every layer, and its accuracy."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.core.cli import run_alone
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.stages import codegen, verification
from pipeline.stages.verification import REPORT, conclude, read_reports, torch_rungs
from pipeline.verify.ladder import print_accuracy, print_ladder, streams_of
from pipeline.verify.rungs import cppsim_rung


def run(context: StageContext) -> None:
    subject = verification.subject(context)
    sources = context.inputs["codegen"] / codegen.HLS
    rungs = [*torch_rungs(context, subject), cppsim_rung(subject, sources, context.scratch)]
    conclude("verify-cppsim", context, subject, rungs, show)


def show(folder: Path) -> None:
    """Prints mismatches layer by layer, the accuracy, and how fast the frames went through."""
    reports = read_reports(folder)
    print_ladder(reports, streams_of(reports))
    verification.show_whether_pytorch(reports)
    print_accuracy(reports)
    cppsim = reports[-1]
    speed = cppsim["frames"] / cppsim["seconds"]
    say(f"cppsim: {speed:,.0f} frames/s, compared at every layer")
    verification.show_frames(reports)


STAGE = Stage(
    name="verify-cppsim",
    summary="run the HLS C++ and compare every layer's stream with the integer model",
    sections=("network", "data", "verify"),
    needs=("freeze", "codegen"),
    outputs=(REPORT,),
    run=run,
    sources=verification.sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
