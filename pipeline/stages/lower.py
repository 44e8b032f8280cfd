"""Lower: the QONNX graph becomes FINN's hardware graph, holding the integer model's values."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from pipeline.core.cli import run_alone
from pipeline.core.progress import progress, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import integer_model
from pipeline.dataflow.lowering import PASSES, Lowering, lower
from pipeline.dataflow.reference import run_graph
from pipeline.network.qonnx_reader import load_qonnx
from pipeline.network.source import GRAPH
from pipeline.stages import freeze
from pipeline.verify.compare import compare, require_equal

HARDWARE_GRAPH = "hardware.onnx"
REPORT = "report.json"
CHECK_FRAMES = 2


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    lowering = Lowering(load_qonnx(context.inputs["export"] / GRAPH), model)
    with progress("lowering", len(PASSES), "passes") as bar:
        graph = lower(lowering, lambda step: bar.advance(doing=step.name))
    graph.save(str(context.out / HARDWARE_GRAPH))
    codes = np.random.default_rng(0).integers(
        model.input.low,
        model.input.high + 1,
        (CHECK_FRAMES, model.positions, model.channels),
    )
    found = run_graph(graph, model, codes)
    wanted = model.trace(codes)
    results = [compare(name, wanted[name], values) for name, values in found.items()]
    report = {
        "stage": "lower",
        "model": context.model_dir.name,
        "rung": "finn",
        "against": "integer model",
        "frames": CHECK_FRAMES,
        "mismatches": sum(r.mismatches for r in results),
        "thresholds_replaced": lowering.thresholds_replaced,
        "passes": [{"name": p.name, "purpose": p.purpose} for p in PASSES],
        "operators": [n.op_type for n in graph.graph.node],
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    require_equal(results)
    show(context.out)


def show(folder: Path) -> None:
    """Prints what earlier outputs found."""
    report = json.loads((folder / REPORT).read_text())
    replaced = {k: v for k, v in report["thresholds_replaced"].items() if v}
    total = sum(replaced.values())
    where = f" in {', '.join(f'{k}: {v}' for k, v in replaced.items())}" if replaced else ""
    say(f"thresholds of FINN that differed from the exact ones and were replaced: {total}{where}")
    say(f"FINN's graph equals the integer model on {report['frames']} random frames, every layer")


STAGE = Stage(
    name="lower",
    summary="lower the QONNX graph to FINN's hardware graph, checked after every pass",
    sections=(),
    needs=("freeze", "export"),
    outputs=(HARDWARE_GRAPH, REPORT),
    run=run,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
