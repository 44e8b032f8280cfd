"""Fold: parallelism for the target frame rate, then the graph of streams that runs at it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.boards.board import BOARDS, load_board
from pipeline.codegen import zeros_operator  # noqa: F401  (FINN knows it then)
from pipeline.core.cli import run_alone
from pipeline.core.config import Config, Hardware
from pipeline.core.errors import UserError
from pipeline.core.progress import busy, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import folding, integer_model
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.lowering import UseOwnKernels
from pipeline.dataflow.zeros import pacing
from pipeline.dataflow.zeros.insertion import in_one_node
from pipeline.dataflow.zeros.network import PlanError
from pipeline.dataflow.zeros.run import Arrival, Planner, Run, paced
from pipeline.stages import freeze, lower

STREAM_GRAPH = "streams.onnx"
REPORT = "report.json"
DENSE = "dense"
REMEDY = 'another rate, or hardware.engine = "dense"'


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    hardware = context.config.hardware
    board = load_board(hardware.board)
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    graph = ModelWrapper(str(context.inputs["lower"] / lower.HARDWARE_GRAPH))
    cycles = folding.target_cycles(hardware.clock_mhz, hardware.target_fps)
    graph = folding.fold(graph, cycles, model.channels)
    nodes = folding.report(graph, [layer.name for layer in model.layers])
    slowest = max(nodes, key=lambda n: n.cycles)
    report: dict[str, Any] = {
        "stage": "fold",
        "model": context.model_dir.name,
        "board": board.key,
        "part": board.part,
        "clock_mhz": hardware.clock_mhz,
        "target_fps": hardware.target_fps,
        "target_cycles": cycles,
        "engine": hardware.engine,
        "predicted_interval": slowest.cycles,
        "limiting_layer": slowest.layer,
        "nodes": [asdict(n) for n in nodes],
    }
    if hardware.engine != DENSE:
        found = _zero_skipping(model, hardware)
        graph = in_one_node(graph.transform(UseOwnKernels()), 0, model.layers, found.pace)
        report |= _run_report(found, model)
    folding.build_stream_graph(graph).save(str(context.out / STREAM_GRAPH))
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def _zero_skipping(model: IntegerModel, hardware: Hardware) -> Run:
    """All layers in one run."""
    rate = Fraction(hardware.samples_per_clock)
    arrival = Arrival(model.positions, max(1, rate.numerator), rate.denominator)
    try:
        paced(model.layers, arrival)
    except PlanError as error:
        raise UserError(str(error), "hardware.samples_per_clock", REMEDY) from error
    with busy("planning the zero-skipping engine"):
        planner = Planner(model.layers, model.input, arrival)
        after = _label_cycles(model)
        return pacing.in_time(planner, hardware.latency - after if hardware.latency else pacing.ANY)


def _label_cycles(model: IntegerModel) -> int:
    """From the last logit to the label: they go through a FIFO before and one after it."""
    return len(model.layers[-1].weights) + 3


def _run_report(run: Run, model: IntegerModel) -> dict[str, Any]:
    return {
        "predicted_interval": run.interval,
        "predicted_latency": pacing.latency(run) + _label_cycles(model),
        "run": [asdict(row) for row in pacing.rows(run)],
    }


def cycles(folder: Path) -> dict[str, int]:
    """Of every layer for a frame, as the folding in `folder` predicts them."""
    report = json.loads((folder / REPORT).read_text())
    found: dict[str, int] = {}
    for node in report["nodes"]:
        found[node["layer"]] = max(node["cycles"], found.get(node["layer"], 0))
    return found | {row["layer"]: row["frame_cycles"] for row in report.get("run", [])}


def show(folder: Path) -> None:
    """Prints the folding of earlier outputs."""
    report = json.loads((folder / REPORT).read_text())
    interval, clock = report["predicted_interval"], report["clock_mhz"]
    rate = f"{clock * 1e6 / interval:,.0f} frames/s if the clock is {clock:g} MHz"
    if report["engine"] != DENSE:
        _show_run(report)
        say(
            f"predicted interval {interval} cycles, latency {report['predicted_latency']} cycles "
            f"from a frame's first sample to its label: {rate}"
        )
        return
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
    say(f"predicted interval {interval} cycles, set by {report['limiting_layer']}: {rate}")


def _show_run(report: Mapping[str, Any]) -> None:
    columns = {
        "layer": "layer",
        "weights": "weights",
        "nonzeros": "not zero",
        "cycles": "cycles / position",
        "digit_bits": "bits a cycle",
        "phases": "outputs a sum",
        "lut": "LUT of sums",
        "multipliers": "multipliers",
        "lines": "by a line",
        "compared": "compared",
        "padded": "idle slots",
    }
    rows = [tuple("" if row[k] is None else row[k] for k in columns) for row in report["run"]]
    print_table("zero-skipping engine", tuple(columns.values()), rows)


def sources(_: Config) -> Mapping[str, Path]:
    return {"boards": BOARDS}


STAGE = Stage(
    name="fold",
    summary="choose each layer's engine and parallelism for the rate that is asked for",
    sections=("hardware",),
    needs=("freeze", "lower"),
    outputs=(STREAM_GRAPH, REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
