"""Verify-rtlsim: the accelerator in Verilator against the integer model, at every layer."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.core.cli import run_alone
from pipeline.core.stage import Stage, StageContext
from pipeline.stages import codegen, verification
from pipeline.stages.verification import REPORT, conclude, read_reports, torch_rungs
from pipeline.verify.ladder import print_ladder, streams_of
from pipeline.verify.rungs import rtlsim_rung


def run(context: StageContext) -> None:
    subject = verification.subject(context)
    sources = context.inputs["codegen"] / codegen.RTL
    hardware = rtlsim_rung(subject, sources, context.config.verify, context.scratch)
    conclude("verify-rtlsim", context, subject, [*torch_rungs(context, subject), hardware], show)


def show(folder: Path) -> None:
    """Prints mismatches layer by layer, then the simulations one by one."""
    reports = read_reports(folder)
    print_ladder(reports, streams_of(reports))
    verification.show_whether_pytorch(reports)
    verification.show_frames(reports)


STAGE = Stage(
    name="verify-rtlsim",
    summary="simulate the RTL and compare every layer's stream with the integer model",
    sections=("network", "data", "verify"),
    needs=("freeze", "codegen"),
    outputs=(REPORT,),
    run=run,
    sources=verification.sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
