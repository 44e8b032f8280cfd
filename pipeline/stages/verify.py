"""Verify: every rung of the reference ladder on the same frames, at every layer."""

from __future__ import annotations

import sys
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.cli import run_alone
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tools import prepare_finn
from pipeline.network.qonnx_reader import load_qonnx, read_qonnx
from pipeline.network.source import GRAPH
from pipeline.stages import codegen, lower, verification
from pipeline.stages.verification import REPORT, conclude, is_certified, read_reports, torch_rungs
from pipeline.verify import rungs
from pipeline.verify.ladder import Rung, print_accuracy, print_ladder, streams_of
from pipeline.verify.subject import Subject


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    subject, generated = verification.subject(context), context.inputs["codegen"]
    verify = context.config.verify
    few = subject.beginning(verify.rtlsim_frames)
    graph = ModelWrapper(str(context.inputs["lower"] / lower.HARDWARE_GRAPH))
    found = [
        *torch_rungs(context, subject),
        _qonnx_rung(context, subject),
        rungs.finn_rung(subject, graph),
        rungs.cppsim_rung(subject, generated / codegen.HLS, context.scratch),
        rungs.rtlsim_rung(few, generated / codegen.RTL, verify, context.scratch),
    ]
    conclude("verify", context, subject, found, show)


def _qonnx_rung(context: StageContext, subject: Subject) -> Rung:
    graph = load_qonnx(context.inputs["export"] / GRAPH)
    if is_certified(context):
        return rungs.qonnx_rung(subject, graph)
    return rungs.foreign_qonnx_rung(subject, graph, read_qonnx(graph, GRAPH))


def show(folder: Path) -> None:
    """Prints a row a layer, a column a rung."""
    reports = read_reports(folder)
    print_ladder(reports, streams_of(reports))
    verification.show_whether_pytorch(reports)
    print_accuracy(reports)
    verification.show_frames(reports)


STAGE = Stage(
    name="verify",
    summary="compare every rung of the ladder, from PyTorch to RTL, with the integer model",
    sections=("network", "data", "verify"),
    needs=("freeze", "export", "lower", "codegen"),
    outputs=(REPORT,),
    run=run,
    sources=verification.sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
