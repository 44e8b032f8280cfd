"""Freeze: a trained network becomes integers, with a certificate of how exact they are."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.errors import VerificationFailed
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.dataflow import integer_model
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.certificate import canonicalise, certify, has_power_of_two_scales
from pipeline.network.chain import Chain
from pipeline.network.checkpoint import save_atomically
from pipeline.network.freezing import Arithmetic, Frozen, float32_codes, float64_codes, freeze_chain
from pipeline.network.qonnx_reader import load_qonnx, read_qonnx
from pipeline.network.source import (
    GRAPH,
    WEIGHTS,
    Source,
    find_source,
    load_network,
    load_own_network,
    write_norms,
)

MODEL = "integer_model.npz"
CERTIFICATE = "certificate.json"
REPORT = "report.json"


def run(context: StageContext) -> None:
    source = find_source(context.config, context.inputs, context.model_dir)
    say(f"freezing  {source.describe()}")
    (context.out / "source").mkdir()
    freeze = _freeze_graph if source.kind == "qonnx" else _freeze_torch
    frozen, certificate = freeze(context, source)
    integer_model.save(frozen.model, context.out / MODEL)
    _write(context.out / CERTIFICATE, certificate)
    _write(context.out / REPORT, _report(context, source, frozen, bool(certificate["certified"])))
    show(context.out)


def _freeze_torch(context: StageContext, source: Source) -> tuple[Frozen, dict[str, object]]:
    """Brevitas weights; power-of-two networks are canonicalised first."""
    load = load_network if source.kind == "checkpoint" else load_own_network
    model = load(context.config, source.file)
    chain = read_brevitas(model, context.config.network.frame_length)
    if not has_power_of_two_scales(chain):
        frozen = freeze_chain(chain, float64_codes)
        certificate = certify(chain, frozen.model)
    else:
        before = freeze_chain(chain, float32_codes)
        moved_chain, moved = canonicalise(chain, before.model)
        write_norms(model, moved_chain)
        frozen = freeze_chain(read_brevitas(model, chain.positions), float32_codes)
        if changed := integer_model.difference(before.model, frozen.model):
            raise VerificationFailed(f"canonicalising BatchNorm changed integers: {changed}")
        certificate = certify(frozen.chain, frozen.model, moved)
    save_atomically(model.state_dict(), context.out / "source" / WEIGHTS)
    return frozen, certificate.as_dict()


def _freeze_graph(context: StageContext, source: Source) -> tuple[Frozen, dict[str, object]]:
    """Somebody's exported graph: taken as it is."""
    graph = load_qonnx(source.file)
    chain = read_qonnx(graph, str(source.file))
    frozen = freeze_chain(chain, arithmetic_of(chain))
    shutil.copyfile(source.file, context.out / "source" / GRAPH)
    return frozen, certify(chain, frozen.model).as_dict()


def arithmetic_of(chain: Chain) -> Arithmetic:
    """float32 where that is exact, else float64 (DESIGN 4)."""
    return float32_codes if has_power_of_two_scales(chain) else float64_codes


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


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


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
    moved = certificate["moved"]
    if certificate["certified"]:
        say(
            f"certified: PyTorch's codes equal these integers ({moved['channels']} channels moved "
            f"by at most {moved['largest_shift']:.4f} accumulator steps, no integer changed)"
        )
    else:
        say("not certified: the integers are the reference, PyTorch is compared in float64")


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
