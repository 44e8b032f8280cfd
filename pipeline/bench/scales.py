"""What power-of-two scales cost in accuracy: the same training with each kind of scale.

    python -m pipeline.bench.scales --model models/vgg10_w4a4

Every kind starts from the same initial weights and sees the same frames in the same order, on a
share of the training split.  It can be killed and goes on; what is done is not done again.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.atomic import sha256_text, write_json
from pipeline.core.cli import guarded
from pipeline.core.config import Config, load_config
from pipeline.core.paths import PROJECT_ROOT, shown
from pipeline.core.progress import say
from pipeline.core.quiet import quiet_libraries
from pipeline.core.runner import Build, run_stage
from pipeline.core.tables import print_table
from pipeline.network.record import versions
from pipeline.network.trainer import Epoch, Splits
from pipeline.network.training import train
from pipeline.network.vgg10 import build_vgg10, initialise
from pipeline.radio.radioml import open_radioml, split_frames
from pipeline.stages import find_stage
from pipeline.stages.data import SET
from pipeline.stages.train import check_trainable

KINDS: dict[str, dict[str, str]] = {
    "float, per tensor": {"scales": "float"},
    **{
        f"power of two, per {scale}, {rounding}": {
            "scales": "power_of_two",
            "weight_scale": scale,
            "weight_scale_rounding": rounding,
        }
        for scale in ("tensor", "channel")
        for rounding in ("up", "nearest")
    },
}
"""Name -> keys of [network]. The first one is what the others are compared with."""


@dataclass(frozen=True)
class Study:
    """How much to train: every ``thinning``-th frame of the training split, once for each seed."""

    epochs: int
    thinning: int
    seeds: tuple[int, ...]


def study(config: Config, splits: Splits, plan: Study, work: Path) -> dict[str, list[list[Epoch]]]:
    """Train every kind with every seed; the histories of each kind, in the order of the seeds."""
    thinned = Splits(splits.data, splits.train[:: plan.thinning], splits.validation)
    histories: dict[str, list[list[Epoch]]] = {kind: [] for kind in KINDS}
    for seed in plan.seeds:
        for number, (kind, keys) in enumerate(KINDS.items()):
            say(f"{kind}, seed {seed}")
            folder = work / f"{number}_{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            network = config.network.model_copy(update=keys)
            update = {"epochs": plan.epochs, "seed": seed}
            training = config.train.model_copy(update=update)
            model = build_vgg10(network)
            initialise(model, seed)
            histories[kind].append(list(train(model, thinned, training, folder).history))
    return histories


def rows(histories: Mapping[str, Sequence[Sequence[Epoch]]]) -> list[tuple[str, str, str, str]]:
    """For a table: kind, last validation accuracies, their mean, and that less the first kind's."""
    means = {}
    for kind, runs in histories.items():
        last = [history[-1].validation_accuracy for history in runs]
        means[kind] = sum(last) / len(last)
    first = next(iter(means.values()))
    return [
        (
            kind,
            ", ".join(f"{history[-1].validation_accuracy:.4f}" for history in runs),
            f"{means[kind]:.4f}",
            f"{means[kind] - first:+.4f}",
        )
        for kind, runs in histories.items()
    ]


def report(config: Config, plan: Study, histories: Mapping[str, Any]) -> dict[str, Any]:
    """The study as JSON values."""
    return {
        "network": config.network.model_dump(),
        "data": config.data.model_dump(exclude={"path"}),
        "training": config.train.model_dump(),
        "epochs": plan.epochs,
        "thinning": plan.thinning,
        "seeds": list(plan.seeds),
        "validation_accuracy": {
            kind: [[epoch.validation_accuracy for epoch in history] for history in runs]
            for kind, runs in histories.items()
        },
        "versions": versions(),
    }


def key(config: Config, plan: Study) -> str:
    """Names the work folder: where anything but the seeds differs, it is another study."""
    sections = [config.network, config.data, config.train]
    described = [section.model_dump_json() for section in sections]
    return sha256_text("".join([*described, f"{plan.epochs} {plan.thinning}"]))[:16]


def run(model_dir: Path, plan: Study) -> None:
    """The study for a model's network and data set; printed, and in build/NAME/scales."""
    config = load_config(model_dir)
    check_trainable(config)
    build = Build(config, model_dir, find_stage)
    data_dir, out = run_stage("data", build), build.folder / "scales"
    with open_radioml(data_dir / SET) as data:
        split = split_frames(data.frames_per_cell, config.data.seed)
        splits = Splits(data, split.train, split.validation)
        histories = study(config, splits, plan, out / "work" / key(config, plan))
    columns = ("scales", "validation accuracy", "mean", "less float")
    print_table(f"{plan.epochs} epochs, 1 of {plan.thinning} frames", columns, rows(histories))
    write_json(out / "report.json", report(config, plan, histories))
    say(f"wrote {shown(out / 'report.json')}")


def main(words: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.bench.scales",
        description="What power-of-two scales cost in accuracy, at equal steps from equal weights.",
    )
    parser.add_argument("--model", type=Path, default=PROJECT_ROOT / "models" / "vgg10_w4a4")
    parser.add_argument("--epochs", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--thinning", type=int, default=2, help="take one of so many frames (%(default)s)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="default: 1")
    options = parser.parse_args(words)
    quiet_libraries()
    plan = Study(max(1, options.epochs), max(1, options.thinning), tuple(options.seeds))
    return guarded(lambda: run(options.model, plan), debug=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
