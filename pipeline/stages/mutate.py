"""Mutate: faults planted in every rung of the ladder, and whether the verification finds them."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.cli import run_alone
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.progress import progress, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import integer_model
from pipeline.dataflow.folding import NodeFolding, layer_foldings
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.qonnx_reader import load_qonnx
from pipeline.network.source import GRAPH, WEIGHTS, load_own_network
from pipeline.stages import codegen, fifos, fold, freeze, lower, verification
from pipeline.verify.mutants import mutants
from pipeline.verify.mutants.runs import Runs
from pipeline.verify.mutants.targets import Targets
from pipeline.verify.mutation import Outcome, judge
from pipeline.verify.stimulus import stimulus
from pipeline.verify.subject import unlabelled

REPORT = "report.json"
VERDICTS = ("caught", "equivalent", "misplaced", "survived")


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    planted = list(mutants(_targets(context)))
    outcomes = []
    with progress("mutants", len(planted), "faults") as bar:
        for number, mutant in enumerate(planted):
            place = context.scratch / str(number)
            place.mkdir()
            outcomes.append(judge(mutant, place))
            shutil.rmtree(place)
            bar.advance(doing=f"{mutant.rung} {mutant.kind}")
    _write(context, outcomes)
    show(context.out)
    unexplained = [x for x in outcomes if x.verdict in ("misplaced", "survived")]
    if unexplained:
        first = unexplained[0]
        raise VerificationFailed(
            f"{len(unexplained)} of {len(outcomes)} planted faults were not found where they are; "
            f"first: {first.rung}, {first.kind}, {first.what}: {first.verdict}, {first.detail}"
        )


def _targets(context: StageContext) -> Targets:
    """Everything that faults are planted in."""
    inputs, mutate = context.inputs, context.config.mutate
    source = inputs["freeze"] / "source" / WEIGHTS
    if not source.is_file() or not verification.is_certified(context):
        raise UserError(
            "faults are planted in a certified network that starts in PyTorch",
            str(inputs["freeze"]),
            "make mutate MODEL=models/vgg10_tiny",
        )
    model = integer_model.load(inputs["freeze"] / freeze.MODEL)
    frames = stimulus(model, mutate.frames, mutate.seed)
    network = load_own_network(context.config, source)
    report = json.loads((inputs["fold"] / fold.REPORT).read_text())
    require_folded(report, inputs["fold"])
    nodes, folded = ([NodeFolding(**x) for x in report[key]] for key in ("nodes", "folded"))
    numbers = {layer.name: number for number, layer in enumerate(model.layers)}
    layers = dict.fromkeys(numbers[node.layer] for node in folded)
    rtl = inputs["codegen"] / codegen.RTL
    return Targets(
        subject=unlabelled(model, frames),
        network=network,
        chain=read_brevitas(network, model.positions),
        exported=load_qonnx(inputs["export"] / GRAPH),
        graph=ModelWrapper(str(inputs["lower"] / lower.HARDWARE_GRAPH)),
        foldings=layer_foldings(nodes),
        folded=dict(zip(layers, layer_foldings(folded), strict=True)),
        runs=Runs(ModelWrapper(str(inputs["fifos"] / fifos.STREAM_GRAPH)), model, rtl),
        hls=inputs["codegen"] / codegen.HLS,
        rtl=rtl,
        programs=context.cache,
        each=mutate.each,
        seed=mutate.seed,
        sources=mutate.sources,
    )


def require_folded(report: Mapping[str, Any], folder: Path) -> None:
    """Not all faults of the modules of runs have been tried in a whole network."""
    if report["run"]:
        raise UserError(
            "faults are not planted in layers that skip zeros yet",
            str(folder / fold.REPORT),
            'hardware.engine = "dense"',
        )


def _write(context: StageContext, outcomes: Sequence[Outcome]) -> None:
    report = {
        "stage": "mutate",
        "model": context.model_dir.name,
        "frames": context.config.mutate.frames,
        "seed": context.config.mutate.seed,
        "planted": len(outcomes),
        "verdicts": dict(Counter(x.verdict for x in outcomes)),
        "mutants": [asdict(x) for x in outcomes],
    }
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")


def show(folder: Path) -> None:
    """Prints a row a rung and kind of fault, then the faults that changed nothing, one by one."""
    report = json.loads((folder / REPORT).read_text())
    found = report["mutants"]
    kinds = list(dict.fromkeys((x["rung"], x["kind"]) for x in found))
    print_table(
        "planted faults",
        ("rung", "fault", "planted", *VERDICTS),
        [(*kind, *_counts(found, kind)) for kind in kinds],
    )
    for mutant in (x for x in found if x["verdict"] != "caught"):
        say(f"{mutant['verdict']}: {mutant['rung']}, {mutant['what']}: {mutant['detail']}")
    verdicts = report["verdicts"]
    say(
        f"{report['planted']} planted, {verdicts.get('caught', 0)} caught where they are, "
        f"{verdicts.get('equivalent', 0)} that can change nothing in {report['frames']} frames, "
        f"{verdicts.get('misplaced', 0) + verdicts.get('survived', 0)} unexplained"
    )


def _counts(found: Sequence[Mapping[str, Any]], kind: tuple[str, str]) -> tuple[int, ...]:
    verdicts = [x["verdict"] for x in found if (x["rung"], x["kind"]) == kind]
    return len(verdicts), *(verdicts.count(name) for name in VERDICTS)


STAGE = Stage(
    name="mutate",
    summary="plant faults in every rung of the ladder and see that verification finds them",
    sections=("network", "mutate"),
    needs=("freeze", "export", "lower", "fold", "fifos", "codegen"),
    outputs=(REPORT,),
    run=run,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
