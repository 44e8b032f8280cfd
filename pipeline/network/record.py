"""`metrics.json`: what a network was trained on, for how long, and what it reaches."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.core.atomic import sha256_file
from pipeline.core.config import Config
from pipeline.network.cost import Cost, counted_cost
from pipeline.network.metrics import HIGH_SNR_DB, Predictions, accuracies, confusion
from pipeline.network.pruning import Pruned
from pipeline.network.trainer import Epoch
from pipeline.network.training import Trained

SYNTHETIC_NOTICE = (
    "Trained and tested on synthetic frames only. Nothing here is a claim about accuracy on "
    "RadioML 2018.01A or on signals received over the air."
)
FOREIGN_NOTICE = "Trained and tested on a data set given by its user, of unknown origin."

PACKAGES = ("torch", "brevitas", "numpy", "scipy", "h5py")


def training_record(
    config: Config,
    attributes: Mapping[str, Any],
    model: nn.Module,
    trained: Trained,
    predictions: Mapping[str, Predictions],
) -> dict[str, Any]:
    """The metrics of one training as JSON values.

    ``attributes`` are the data set's; ``predictions`` has one entry for each split.
    """
    best = {"best_epoch": trained.best.epoch}
    training = {**config.train.model_dump(), **best, **_effort(trained.history)}
    return {**_common(config, attributes, model, predictions), "training": training}


def pruning_record(
    config: Config,
    attributes: Mapping[str, Any],
    start: Path,
    pruned: Pruned,
    predictions: Mapping[str, Predictions],
) -> dict[str, Any]:
    """The metrics of one pruning as JSON values; ``start`` is the file of the weights pruned."""
    pruning = {
        **config.prune.model_dump(exclude={"start", "reference"}),  # paths of this machine
        "start_sha256": sha256_file(start),
        "start_validation_accuracy": pruned.start_accuracy,
        "start_cost": cost_record(pruned.start_cost),
        "criterion_accuracy": round(pruned.criterion, 6),
        "rounds": [asdict(one) for one in pruned.rounds],
        **_effort(pruned.history),
    }
    return {**_common(config, attributes, pruned.model, predictions), "pruning": pruning}


def cost_record(cost: Cost) -> dict[str, Any]:
    """A cost as JSON values."""
    return {**asdict(cost), "cost": round(cost.normalised, 6)}


def _common(
    config: Config,
    attributes: Mapping[str, Any],
    model: nn.Module,
    predictions: Mapping[str, Predictions],
) -> dict[str, Any]:
    return {
        "notice": SYNTHETIC_NOTICE if attributes.get("synthetic") else FOREIGN_NOTICE,
        "network": config.network.model_dump(),
        "data": _data(attributes),
        "high_snr_db": HIGH_SNR_DB,
        "accuracy": {split: accuracies(result) for split, result in predictions.items()},
        "test_confusion_high_snr": confusion(predictions["test"]),
        "cost": cost_record(counted_cost(model, config.network)),
        "versions": versions(),
    }


def _data(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The data set's attributes, those that hold JSON as values."""
    as_json = ("classes", "parameters")
    return {name: json.loads(v) if name in as_json else v for name, v in attributes.items()}


def _effort(history: Sequence[Epoch]) -> dict[str, Any]:
    seconds = sum(epoch.seconds for epoch in history)
    frames = sum(epoch.seconds * epoch.frames_per_second for epoch in history)
    return {
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
        "frames_presented": round(frames),
        "frames_per_second": round(frames / seconds, 1),
        "history": [asdict(epoch) for epoch in history],
    }


def versions() -> dict[str, str]:
    """Python's version and those of the packages that training depends on."""
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in PACKAGES
    }
