"""Codegen: folders of RTL and of HLS C++, each with tables and what is needed; the AXI shell."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.boards.board import load_board
from pipeline.codegen import hls, rtl
from pipeline.codegen.shell import load_shell, shell
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import progress, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import integer_model
from pipeline.dataflow.folding import NodeFolding, layer_foldings
from pipeline.dataflow.hdl import NodeHdl, generate, stream_names
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.stages import fold, freeze

KERNELS = PROJECT_ROOT / "hw" / "rtl"
HLS_KERNELS = PROJECT_ROOT / "hw" / "hls"
NOTICE = PROJECT_ROOT / "NOTICE"
REPORT = "report.json"
RTL, HLS, SHELL = "rtl", "hls", "shell"


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    graph = ModelWrapper(str(context.inputs["fold"] / fold.STREAM_GRAPH))
    nodes = _generate(context, graph, model)
    notice = NOTICE.read_bytes()
    rtl_files = rtl.accelerator(nodes, input_stream(nodes, model), KERNELS, notice)
    hls_files = _hls_files(context, model) | {"NOTICE": notice}
    _write(context.out / RTL, rtl_files)
    _write(context.out / HLS, hls_files)
    design, cpp = rtl.load_design(context.out / RTL), hls.load_design(context.out / HLS)
    classes = len(model.layers[-1].weights)
    _write(context.out / SHELL, shell(design, rtl_files, classes, KERNELS))
    report = {
        "stage": "codegen",
        "model": context.model_dir.name,
        "backend": context.config.hardware.backend,
        "hash": load_shell(context.out / SHELL).hash,
        "rtl": _summary(design.top, design.sources, design.tables, rtl_files),
        "hls": _summary(cpp.top, cpp.sources, cpp.tables, hls_files),
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _summary(
    top: str, sources: Sequence[str], tables: Collection[str], files: Mapping[str, bytes]
) -> dict[str, object]:
    size = sum(len(content) for content in files.values())
    return {"top": top, "sources": len(sources), "tables": len(tables), "bytes": size}


def _hls_files(context: StageContext, model: IntegerModel) -> dict[str, bytes]:
    """C++ of the folded layers; with it, where it is what Vivado gets, Vitis HLS's script."""
    hardware = context.config.hardware
    folded = json.loads((context.inputs["fold"] / fold.REPORT).read_text())["nodes"]
    foldings = layer_foldings([NodeFolding(**node) for node in folded])
    kernels = {path.name: path.read_bytes() for path in sorted(HLS_KERNELS.iterdir())}
    files = hls.accelerator(model, foldings, kernels)
    if hardware.backend == "rtl":
        return files
    script = hls.vitis_script(files, load_board(hardware.board).part, 1e3 / hardware.clock_mhz)
    return files | {hls.SCRIPT: script.encode()}


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
    for kind, label in ((RTL, "RTL"), (HLS, "HLS C++")):
        found = report[kind]
        say(
            f"{label} top {found['top']}: {found['sources']} sources, {found['tables']} tables, "
            f"{found['bytes'] / 1e6:.1f} MB"
        )
    say(f"hash {report['hash'][:16]}..., which the AXI shell's registers hold")
    if report["backend"] == HLS:
        say(f"for Vitis HLS, in the folder {HLS} there: vitis_hls -f {hls.SCRIPT}")


def sources(_: Config) -> Mapping[str, Path]:
    return {"kernels": KERNELS, "hls": HLS_KERNELS, "notice": NOTICE}


STAGE = Stage(
    name="codegen",
    summary="write the accelerator's RTL, the same as HLS C++, and the AXI shell",
    sections=("hardware",),
    needs=("freeze", "fold"),
    outputs=(f"{RTL}/", f"{HLS}/", f"{SHELL}/", REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
