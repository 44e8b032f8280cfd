"""What the verifying stages share: their frames, PyTorch beside them, and how they end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.config import Config, load_config
from pipeline.core.errors import UserError
from pipeline.core.paths import PROJECT_ROOT, shown
from pipeline.core.progress import say
from pipeline.core.stage import StageContext
from pipeline.dataflow import integer_model
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.source import GRAPH, WEIGHTS, load_own_network
from pipeline.stages import data, freeze
from pipeline.verify import rungs
from pipeline.verify.ladder import Rung, require_no_difference, rung_report
from pipeline.verify.subject import TEST_SPLIT, Subject, subject_of

REPORT = "report.json"
WHICH_FRAMES = ("verify.frames", "verify.first", "verify.rtlsim_frames", "verify.netlist_frames")
"""Keys that say nothing of a single frame."""


def test_set(config: Config) -> Path:
    """The data set that `verify.stimulus = "test"` reads."""
    return PROJECT_ROOT / data.folder(config) / data.SET


def sources(config: Config) -> Mapping[str, Path]:
    """The data set, where its frames are asked for.  Raises UserError where it is not there."""
    if config.verify.stimulus != TEST_SPLIT:
        return {}
    if not test_set(config).is_file():
        raise UserError("there is no data set", shown(test_set(config)), "make data")
    return {"data set": test_set(config)}


def subject(context: StageContext) -> Subject:
    """The integer model and the frames that are asked for."""
    model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
    return subject_of(context.config, model, test_set(context.config))


def is_certified(context: StageContext) -> bool:
    certificate = json.loads((context.inputs["freeze"] / freeze.CERTIFICATE).read_text())
    return bool(certificate["certified"])


def torch_rungs(context: StageContext, subject: Subject) -> list[Rung]:
    """PyTorch itself, unless we were given only a graph."""
    folder = context.inputs["freeze"] / "source"
    if (folder / GRAPH).is_file():
        return []
    network = load_own_network(context.config, folder / WEIGHTS)
    chain = read_brevitas(network, subject.model.positions)
    if is_certified(context):
        return [rungs.pytorch_rung(subject, network, chain)]
    return [
        rungs.float64_rung(subject, network, chain),
        rungs.foreign_pytorch_rung(subject, network, chain),
    ]


def conclude(
    stage: str,
    context: StageContext,
    subject: Subject,
    found: Sequence[Rung],
    show: Callable[[Path], None],
) -> None:
    """Writes the reports of the rungs, prints them, and fails where one has a difference.

    `verify` writes a list.  The report of a stage that is named after a rung is that rung's, with
    all mismatches, and the others beside it.
    """
    source = json.loads((context.inputs["freeze"] / freeze.REPORT).read_text())["source"]
    verify = context.config.verify
    head = {
        "stage": stage,
        "model": context.model_dir.name,
        "source": source,
        "stimulus": verify.stimulus,
        "first": verify.first,
        "seed": verify.seed,
    }
    reports = [head | rung_report(rung, subject.labels) for rung in found]
    mismatches = sum(rung.mismatches for rung in found)
    own = {**reports[-1], "mismatches": mismatches, "rungs": reports}
    written = reports if stage == "verify" else own
    (context.out / REPORT).write_text(json.dumps(written, indent=1) + "\n")
    show(context.out)
    require_no_difference(found, subject, _replay(stage, context))


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """The reports of the rungs of a verification."""
    written: list[dict[str, Any]] | dict[str, Any] = json.loads((folder / REPORT).read_text())
    return written["rungs"] if isinstance(written, dict) else written


def show_whether_pytorch(reports: Sequence[Mapping[str, Any]]) -> None:
    """Says so where PyTorch was not compared."""
    if not any(x["rung"].startswith("pytorch") for x in reports):
        say("PyTorch is not in this comparison: the network came as a QONNX graph")


def show_frames(reports: Sequence[Mapping[str, Any]]) -> None:
    """Says what the mismatches come to, and of which frames."""
    mismatches = sum(x["mismatches"] for x in reports)
    frames, first = max(x["frames"] for x in reports), reports[0]["first"]
    say(
        f"{mismatches} mismatches over all layers, {frames:,} frames "
        f"({reports[0]['stimulus']}, from number {first} on), seed {reports[0]['seed']}"
    )


def _replay(stage: str, context: StageContext) -> str:
    """The command that repeats a verification with one frame; its number is "{frame}"."""
    verify = context.config.verify
    settings = [f"verify.seed={verify.seed}", f"verify.stimulus={verify.stimulus}"]
    settings += [setting for setting in _changed(context) if setting not in settings]
    words = ["python", "-m", "pipeline", stage, "--model", shown(context.model_dir), "--set"]
    return f"{shlex.join([*words, *settings])} verify.frames=1 verify.first={{frame}}"


def _changed(context: StageContext) -> Iterator[str]:
    """What is not as `model.toml` has it and tells in every frame, in the words of `--set`."""
    model = load_config(context.model_dir)
    for section in ("network", "data", "export", "hardware", "verify"):
        own, used = getattr(model, section), getattr(context.config, section)
        for key in type(used).model_fields:
            value = getattr(used, key)
            if value != getattr(own, key) and f"{section}.{key}" not in WHICH_FRAMES:
                text = value if isinstance(value, str) else json.dumps(value)
                yield f"{section}.{key}={text}"
