"""Codegen: a self-contained folder of RTL, tables and a file list."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.boards.board import load_board
from pipeline.codegen import rtl
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import progress, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import integer_model
from pipeline.dataflow.hdl import NodeHdl, generate, stream_names
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.stages import fold, freeze

KERNELS = PROJECT_ROOT / "hw" / "rtl"
NOTICE = PROJECT_ROOT / "NOTICE"
REPORT = "report.json"
RTL = "rtl"


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    graph = ModelWrapper(str(context.inputs["fold"] / fold.STREAM_GRAPH))
    nodes = _generate(context, graph, model)
    files = rtl.accelerator(nodes, input_stream(nodes, model), KERNELS, NOTICE.read_bytes())
    folder = context.out / RTL
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    design = rtl.load_design(folder)
    report = {
        "stage": "codegen",
        "model": context.model_dir.name,
        "backend": "rtl",
        "top": design.top,
        "sources": len(design.sources),
        "tables": len(design.tables),
        "bytes": sum(len(content) for content in files.values()),
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def _generate(context: StageContext, graph: ModelWrapper, model: IntegerModel) -> list[NodeHdl]:
    hardware = context.config.hardware
    names = stream_names(graph, [x.accumulator_name for x in model.layers], list(model.boundaries))
    folder = context.scratch / "nodes"
    folder.mkdir()
    part, period = load_board(hardware.board).part, 1e3 / hardware.clock_mhz
    nodes = []
    with progress("generating RTL", len(graph.graph.node), "nodes") as bar:
        for node in generate(graph, part, period, folder, names):
            nodes.append(node)
            bar.advance()
    return nodes


def input_stream(nodes: list[NodeHdl], model: IntegerModel) -> rtl.TopStream:
    """The accelerator's input: one position a beat."""
    codes = model.input
    words = model.positions * model.channels // (nodes[0].output.elements)
    return rtl.TopStream(
        "input", "s_axis", codes.bits, codes.signed, nodes[0].output.elements, words, "input"
    )


def show(folder: Path) -> None:
    """Says what earlier outputs hold."""
    report = json.loads((folder / REPORT).read_text())
    say(
        f"RTL top {report['top']}: {report['sources']} sources, {report['tables']} tables, "
        f"{report['bytes'] / 1e6:.1f} MB"
    )


def sources(_: Config) -> Mapping[str, Path]:
    return {"kernels": KERNELS, "notice": NOTICE}


STAGE = Stage(
    name="codegen",
    summary="write the accelerator's RTL, tables and file list",
    sections=("hardware",),
    needs=("freeze", "fold"),
    outputs=(f"{RTL}/", REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
