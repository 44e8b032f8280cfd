"""Fold: parallelism for the target frame rate, then the graph of streams that runs at it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.boards.board import BOARDS, load_board
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import folding, integer_model
from pipeline.stages import freeze, lower

STREAM_GRAPH = "streams.onnx"
REPORT = "report.json"


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    hardware = context.config.hardware
    board = load_board(hardware.board)
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    graph = ModelWrapper(str(context.inputs["lower"] / lower.HARDWARE_GRAPH))
    cycles = folding.target_cycles(hardware.clock_mhz, hardware.target_fps)
    graph = folding.fold(graph, cycles, model.channels)
    nodes = folding.report(graph, [layer.name for layer in model.layers])
    streams = folding.build_stream_graph(graph)
    streams.save(str(context.out / STREAM_GRAPH))
    slowest = max(nodes, key=lambda n: n.cycles)
    report = {
        "stage": "fold",
        "model": context.model_dir.name,
        "board": board.key,
        "part": board.part,
        "clock_mhz": hardware.clock_mhz,
        "target_fps": hardware.target_fps,
        "target_cycles": cycles,
        "predicted_interval": slowest.cycles,
        "limiting_layer": slowest.layer,
        "nodes": [asdict(n) for n in nodes],
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def cycles(folder: Path) -> dict[str, int]:
    """Of every layer for a frame, as the folding in `folder` predicts them."""
    nodes = json.loads((folder / REPORT).read_text())["nodes"]
    found: dict[str, int] = {}
    for node in nodes:
        found[node["layer"]] = max(node["cycles"], found.get(node["layer"], 0))
    return found


def show(folder: Path) -> None:
    """Prints the folding of earlier outputs."""
    report = json.loads((folder / REPORT).read_text())
    rows = [
        (
            n["layer"],
            n["operator"],
            n["parallelism"].get("PE", ""),
            n["parallelism"].get("SIMD", ""),
            n["cycles"],
        )
        for n in report["nodes"]
    ]
    print_table("folding", ("layer", "operator", "PE", "SIMD", "cycles / frame"), rows)
    interval, clock = report["predicted_interval"], report["clock_mhz"]
    say(
        f"predicted interval {interval} cycles, set by {report['limiting_layer']}: "
        f"{clock * 1e6 / interval:,.0f} frames/s if the clock is {clock:g} MHz"
    )


def sources(_: Config) -> Mapping[str, Path]:
    return {"boards": BOARDS}


STAGE = Stage(
    name="fold",
    summary="choose PE and SIMD of every layer for the target frame rate",
    sections=("hardware",),
    needs=("freeze", "lower"),
    outputs=(STREAM_GRAPH, REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
