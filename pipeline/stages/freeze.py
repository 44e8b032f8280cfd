"""Freeze: a trained network becomes integers, with a certificate of how exact they are."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.dataflow import integer_model
from pipeline.network.certificate import Certificate
from pipeline.network.checkpoint import save_atomically
from pipeline.network.freezing import Frozen
from pipeline.network.frozen import freeze_graph, freeze_network
from pipeline.network.qonnx_reader import load_qonnx, read_qonnx
from pipeline.network.shipped import CERTIFICATE
from pipeline.network.source import (
    GRAPH,
    WEIGHTS,
    Source,
    find_source,
    load_network,
    load_own_network,
)

MODEL = "integer_model.npz"
REPORT = "report.json"


def run(context: StageContext) -> None:
    source = find_source(context.config, context.inputs, context.model_dir)
    say(f"freezing  {source.describe()}")
    (context.out / "source").mkdir()
    freeze = _freeze_graph if source.kind == "qonnx" else _freeze_torch
    frozen, certificate = freeze(context, source)
    integer_model.save(frozen.model, context.out / MODEL)
    (context.out / CERTIFICATE).write_text(certificate.text())
    report = _report(context, source, frozen, certificate.certified)
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


def _freeze_torch(context: StageContext, source: Source) -> tuple[Frozen, Certificate]:
    """Brevitas weights; power-of-two networks are canonicalised first."""
    load = load_network if source.kind == "checkpoint" else load_own_network
    model = load(context.config, source.file)
    frozen, certificate = freeze_network(model, context.config.network.frame_length)
    save_atomically(model.state_dict(), context.out / "source" / WEIGHTS)
    return frozen, certificate


def _freeze_graph(context: StageContext, source: Source) -> tuple[Frozen, Certificate]:
    """Somebody's exported graph: taken as it is."""
    frozen, certificate = freeze_graph(read_qonnx(load_qonnx(source.file), str(source.file)))
    shutil.copyfile(source.file, context.out / "source" / GRAPH)
    return frozen, certificate


def _report(
    context: StageContext, source: Source, frozen: Frozen, certified: bool
) -> dict[str, object]:
    model = frozen.model
    layers = []
    for index, layer in enumerate(model.layers):
        low, high = model.accumulator_range(index)
        layers.append(
            {
                "name": layer.name,
                "boundary": layer.boundary,
                "weights": int(layer.weights.size),
                "nonzeros": int((layer.weights != 0).sum()),
                "accumulator": [low, high],
                "accumulator_bits": model.accumulator(index).bits,
                "constant_channels": frozen.constant_channels.get(layer.boundary, 0),
            }
        )
    return {
        "stage": "freeze",
        "model": context.model_dir.name,
        "source": {"kind": source.kind, "file": source.file.name},
        "certified": certified,
        "layers": layers,
    }


def show(folder: Path) -> None:
    """Prints the layers and the certificate of earlier outputs."""
    report = json.loads((folder / REPORT).read_text())
    certificate = json.loads((folder / CERTIFICATE).read_text())
    rows = [
        (
            x["name"],
            x["weights"],
            x["nonzeros"],
            "{}..{}".format(*x["accumulator"]),
            x["accumulator_bits"],
            x["constant_channels"],
        )
        for x in report["layers"]
    ]
    columns = ("layer", "weights", "nonzeros", "accumulator", "bits", "constant channels")
    print_table("integer model", columns, rows)
    for condition in certificate["conditions"]:
        verdict = "holds" if condition["holds"] else "fails"
        say(f"certificate  {condition['name']}: {verdict} ({condition['detail']})")
    if certificate["certified"]:
        say(f"certified: PyTorch's codes equal these integers ({_moves(certificate['moved'])})")
    else:
        say("not certified: the integers are the reference, PyTorch is compared in float64")


def _moves(moved: dict[str, Any]) -> str:
    """What canonicalisation did to BatchNorm."""
    channels = moved["moved"]
    if not channels:
        return "BatchNorm as it was given"
    largest = max(channel["shift"] for channel in channels)
    return (
        f"{len(channels)} channels moved by at most {largest:.4f} accumulator steps, no code "
        f"changed on {moved['codes_compared']:,} reachable accumulators"
    )


def check(folder: Path) -> None:
    integer_model.check(integer_model.load(folder / MODEL))


def sources(config: Config) -> Mapping[str, Path]:
    named = {"checkpoint": config.export.checkpoint, "qonnx": config.export.qonnx}
    return {key: Path(path) for key, path in named.items() if path}


STAGE = Stage(
    name="freeze",
    summary="turn the trained network into integers: weights, thresholds, certificate",
    sections=("network", "export"),
    needs=(),
    uses=("prune", "train"),
    model_files=(WEIGHTS,),
    outputs=(MODEL, CERTIFICATE, REPORT, "source/"),
    run=run,
    check=check,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
