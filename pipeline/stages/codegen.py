"""Codegen: folders of RTL, of HLS C++ and of a FINN build, each self-contained; the AXI shell."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.boards.board import load_board
from pipeline.codegen import finn_build, hls, rtl
from pipeline.codegen.nodes import NodeHdl, generate
from pipeline.codegen.shell import load_shell, shell
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import integer_model
from pipeline.dataflow.folding import NodeFolding, layer_foldings
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.reference import run_graph
from pipeline.dataflow.stock_finn import to_stock
from pipeline.stages import fifos, fold, freeze, lower
from pipeline.verify.compare import compare, require_equal
from pipeline.verify.stimulus import stimulus

KERNELS = PROJECT_ROOT / "hw" / "rtl"
HLS_KERNELS = PROJECT_ROOT / "hw" / "hls"
FINN_SCRIPT = PROJECT_ROOT / "hw" / "finn" / finn_build.BUILD
NOTICE = PROJECT_ROOT / "NOTICE"
REPORT = "report.json"
RTL, HLS, SHELL, FINN = "rtl", "hls", "shell", "finn"
FINN_FRAMES = 4
"""Compared with the integer model here, and by FINN's own build there."""


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    graph = ModelWrapper(str(context.inputs["fifos"] / fifos.STREAM_GRAPH))
    nodes = list(generate(graph, model.layers))
    notice = NOTICE.read_bytes()
    rtl_files = rtl.accelerator(nodes, input_stream(nodes, model), KERNELS, notice)
    hls_files = _hls_files(context, model) | {"NOTICE": notice}
    _write(context.out / RTL, rtl_files)
    _write(context.out / HLS, hls_files)
    design, cpp = rtl.load_design(context.out / RTL), hls.load_design(context.out / HLS)
    classes = len(model.layers[-1].weights)
    _write(context.out / SHELL, shell(design, rtl_files, classes, KERNELS))
    finn_files = _finn_files(context, model)
    _write(context.out / FINN, finn_files)
    for script in (context.out / FINN).glob(finn_build.BUILD):
        script.chmod(0o755)  # `finn run` wants a program
    report = {
        "stage": "codegen",
        "model": context.model_dir.name,
        "backend": context.config.hardware.backend,
        "hash": load_shell(context.out / SHELL).hash,
        "rtl": _summary(design.top, design.sources, design.tables, rtl_files),
        "hls": _summary(cpp.top, cpp.sources, cpp.tables, hls_files),
        "finn": {"frames": FINN_FRAMES, "bytes": _bytes(finn_files)} if finn_files else None,
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
    return {
        "top": top,
        "sources": len(sources),
        "tables": len(tables),
        "bytes": _bytes(files),
    }


def _bytes(files: Mapping[str, bytes]) -> int:
    return sum(len(content) for content in files.values())


def _hls_files(context: StageContext, model: IntegerModel) -> dict[str, bytes]:
    """C++ of the folded layers; with it, where it is what Vivado gets, Vitis HLS's script."""
    hardware = context.config.hardware
    foldings = layer_foldings(_folded(context))
    kernels = {path.name: path.read_bytes() for path in sorted(HLS_KERNELS.iterdir())}
    files = hls.accelerator(model, foldings, kernels)
    if hardware.backend != HLS:
        return files
    script = hls.vitis_script(files, load_board(hardware.board).part, 1e3 / hardware.clock_mhz)
    return files | {hls.SCRIPT: script.encode()}


def _folded(context: StageContext) -> list[NodeFolding]:
    nodes = json.loads((context.inputs["fold"] / fold.REPORT).read_text())["nodes"]
    return [NodeFolding(**node) for node in nodes]


def _finn_files(context: StageContext, model: IntegerModel) -> dict[str, bytes]:
    """A build of stock FINN, whose graph is the integer model; nothing where FINN does not know
    the board and is not asked for."""
    hardware = context.config.hardware
    if hardware.backend != FINN and hardware.board not in finn_build.BOARDS:
        return {}
    target = finn_build.Target(finn_build.finn_board(hardware.board), 1e3 / hardware.clock_mhz)
    graph = ModelWrapper(str(context.inputs["lower"] / lower.HARDWARE_GRAPH))
    graph = to_stock(graph, {node.name: node.parallelism for node in _folded(context)})
    codes = model.quantize(stimulus(model, FINN_FRAMES, seed=1))
    found, wanted = run_graph(graph, model, codes), model.trace(codes)
    require_equal([compare(name, wanted[name], values) for name, values in found.items()])
    script, board = FINN_SCRIPT.read_bytes(), load_board(hardware.board)
    return finn_build.project(graph, model, codes, board=board, target=target, script=script)


def input_stream(nodes: list[NodeHdl], model: IntegerModel) -> rtl.TopStream:
    """The accelerator's input."""
    return rtl.input_stream(nodes[0], model)


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
    if report["finn"]:
        frames, size = report["finn"]["frames"], report["finn"]["bytes"] / 1e6
        say(f"FINN build: its graph equals the integer model on {frames} frames, {size:.1f} MB")
    if report["backend"] == HLS:
        say(f"for Vitis HLS, in the folder {HLS} there: vitis_hls -f {hls.SCRIPT}")
    if report["backend"] == FINN:
        say(f"for FINN, in the folder {FINN} there: python {finn_build.BUILD}")


def sources(_: Config) -> Mapping[str, Path]:
    return {"kernels": KERNELS, "hls": HLS_KERNELS, "finn": FINN_SCRIPT, "notice": NOTICE}


STAGE = Stage(
    name="codegen",
    summary="write the accelerator's RTL, the same as HLS C++, a FINN build, and the AXI shell",
    sections=("hardware",),
    needs=("freeze", "lower", "fold", "fifos"),
    outputs=(f"{RTL}/", f"{HLS}/", f"{SHELL}/", f"{FINN}/", REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
