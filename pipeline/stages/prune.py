"""Prune the trained network, and measure what each round reaches."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from pipeline.core.atomic import write_json
from pipeline.core.cli import run_alone
from pipeline.core.config import Config, Prune
from pipeline.core.errors import UserError
from pipeline.core.stage import Stage, StageContext
from pipeline.network.checkpoint import read_state_dict, save_atomically
from pipeline.network.curves import keep_curves
from pipeline.network.pruning import prune
from pipeline.network.record import pruning_record
from pipeline.network.shipped import METRICS, WEIGHTS
from pipeline.network.source import load_own_network
from pipeline.network.trainer import Splits, copied, predict, validation_accuracy
from pipeline.network.workers import announce
from pipeline.radio.radioml import open_radioml, split_frames
from pipeline.stages.data import SET
from pipeline.stages.train import check_trainable


def run(context: StageContext) -> None:
    """Prune, resuming where an earlier run was stopped; write weights and metrics."""
    announce(STAGE.name, context)
    config, plan = context.config, context.config.prune
    if plan.method == "none":
        raise UserError(
            "no method of pruning is chosen", "prune.method", 'SET="prune.method=fmp"   (or imp)'
        )
    check_trainable(config)
    start = start_weights(context)
    model = load_own_network(config, start)
    with open_radioml(context.inputs["data"] / SET) as data:
        split = split_frames(data.frames_per_cell, config.data.seed)
        splits = Splits(data, split.train, split.validation)
        criterion = plan.criterion * REFERENCES[plan.criterion_of](model, splits, plan)
        pruned = prune(model, config.network, splits, criterion, plan, context.work)
        predictions = {
            name: predict(pruned.model, data, numbers)
            for name, numbers in (("validation", split.validation), ("test", split.test))
        }
        record = pruning_record(config, data.attributes, start, pruned, predictions)
    save_atomically(copied(pruned.model.state_dict()), context.out / WEIGHTS)
    write_json(context.out / METRICS, record)
    keep_curves(context.work, context.out)


def start_weights(context: StageContext) -> Path:
    """The file of the weights to prune. Raises UserError where there is none."""
    named = context.config.prune.start
    if named and not Path(named).is_file():
        raise UserError(f"there is no such file: {named}", "prune.start", "check the path")
    if named:
        return Path(named)
    if "train" not in context.inputs:
        raise UserError(
            "there is no trained network to prune", "build", "make train, or prune.start"
        )
    return context.inputs["train"] / WEIGHTS


def _unpruned(model: nn.Sequential, splits: Splits, _: Prune) -> float:
    return validation_accuracy(model, splits)


def _absolute(*_: object) -> float:
    return 1.0


def _reference(_model: nn.Sequential, _splits: Splits, plan: Prune) -> float:
    """The validation accuracy in the metrics of another network."""
    path = Path(plan.reference)
    try:
        return float(json.loads(path.read_text())["accuracy"]["validation"]["accuracy"])
    except FileNotFoundError as error:
        raise UserError("there is no such file", str(path), "check prune.reference") from error
    except (ValueError, KeyError, TypeError) as error:
        what = f"it holds no validation accuracy ({type(error).__name__}: {error})"
        raise UserError(what, str(path), "name the metrics.json of a trained network") from error


REFERENCES = {"unpruned": _unpruned, "reference": _reference, "absolute": _absolute}
"""What the criterion is a share of."""


def check(out: Path) -> None:
    """The weights can be read back. Raises UserError where they cannot."""
    read_state_dict(out / WEIGHTS)


def sources(config: Config) -> Mapping[str, Path]:
    """The weights to start from and the metrics to compare with, where they are named."""
    named = {"start": config.prune.start, "reference": config.prune.reference}
    return {key: Path(path) for key, path in named.items() if path}


STAGE = Stage(
    name="prune",
    summary="prune the trained network while it meets a criterion; resumes after a kill",
    sections=("network", "data", "prune"),
    needs=("data",),
    uses=("train",),
    outputs=("weights.pt", "metrics.json", "tensorboard/"),
    run=run,
    check=check,
    sources=sources,
    version=1,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
