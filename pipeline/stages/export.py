"""Export: the frozen network as a QONNX graph that carries the same integers, and its cost."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from brevitas.export import export_qonnx
from torch import nn

from pipeline.core.cli import run_alone
from pipeline.core.errors import VerificationFailed
from pipeline.core.progress import busy, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.dataflow import integer_model
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.network.cost import Cost, cost_of
from pipeline.network.frozen import freeze_graph
from pipeline.network.qonnx_reader import load_qonnx, read_qonnx
from pipeline.network.source import GRAPH, WEIGHTS, load_own_network
from pipeline.stages import freeze

REPORT = "report.json"


def run(context: StageContext) -> None:
    frozen = context.inputs["freeze"]
    model = integer_model.load(frozen / freeze.MODEL)
    given = frozen / "source" / GRAPH
    if given.is_file():
        graph_file = given
    else:
        graph_file = context.scratch / GRAPH
        network = load_own_network(context.config, frozen / "source" / WEIGHTS)
        with busy("exporting"):
            export_network(network, (1, model.channels, model.positions), graph_file)
    graph = load_qonnx(graph_file)
    exported = read_qonnx(graph, graph_file.name)
    found = integer_model.difference(model, freeze_graph(exported)[0].model)
    if found:
        raise VerificationFailed(f"the exported graph holds other integers: {found}")
    graph.save(str(context.out / GRAPH))
    certificate = json.loads((frozen / freeze.CERTIFICATE).read_text())
    report = {
        "stage": "export",
        "model": context.model_dir.name,
        "cost": cost_fields(cost_of(graph_file, *_counts(model))),
        "certificate": certificate,
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def export_network(network: nn.Sequential, shape: tuple[int, int, int], path: Path) -> None:
    """Writes `network` as QONNX by Brevitas; `shape` is (1, channels, positions)."""
    with contextlib.redirect_stdout(io.StringIO()):  # the exporter reports its progress there
        export_qonnx(network, args=torch.zeros(shape), export_path=str(path))


def _counts(model: IntegerModel) -> tuple[dict[str, int], dict[str, int]]:
    nonzeros = {x.name: int(np.count_nonzero(x.weights)) for x in model.layers}
    return nonzeros, {x.name: int(x.weights.size) for x in model.layers}


def cost_fields(cost: Cost) -> dict[str, object]:
    return {
        "bit_operations": cost.bit_operations,
        "weight_bits": cost.weight_bits,
        "nonzeros": cost.nonzeros,
        "weights": cost.weights,
        "normalised": cost.normalised,
    }


def show(folder: Path) -> None:
    """Prints the cost of earlier outputs."""
    cost = json.loads((folder / REPORT).read_text())["cost"]
    rows = [(name, cost["weights"][name], n) for name, n in cost["nonzeros"].items()]
    total = sum(cost["nonzeros"].values())
    print_table("weights", ("layer", "weights", "nonzeros"), rows)
    say(
        f"cost  {cost['bit_operations']:,} bit operations, {cost['weight_bits']:,} weight bits, "
        f"{total:,} nonzeros: normalised {cost['normalised']:.6f}"
    )


STAGE = Stage(
    name="export",
    summary="write the frozen network as a QONNX graph and report its cost",
    sections=("network",),
    needs=("freeze",),
    outputs=(GRAPH, REPORT),
    run=run,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
