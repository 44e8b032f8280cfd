"""`metrics.json`: what a network was trained on, for how long, and what it reaches."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

import torch

from pipeline.core.config import Config
from pipeline.network.metrics import HIGH_SNR_DB, Predictions, accuracies
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
    trained: Trained,
    predictions: Mapping[str, Predictions],
) -> dict[str, Any]:
    """The metrics of one training as JSON values.

    ``attributes`` are the data set's; ``predictions`` has one entry for each split.
    """
    return {
        "notice": SYNTHETIC_NOTICE if attributes.get("synthetic") else FOREIGN_NOTICE,
        "network": config.network.model_dump(),
        "data": _data(attributes),
        "training": {**config.train.model_dump(), **_training(trained)},
        "high_snr_db": HIGH_SNR_DB,
        "accuracy": {split: accuracies(result) for split, result in predictions.items()},
        "versions": versions(),
    }


def _data(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The data set's attributes, those that hold JSON as values."""
    as_json = ("classes", "parameters")
    return {name: json.loads(v) if name in as_json else v for name, v in attributes.items()}


def _training(trained: Trained) -> dict[str, Any]:
    seconds = sum(epoch.seconds for epoch in trained.history)
    frames = sum(epoch.seconds * epoch.frames_per_second for epoch in trained.history)
    return {
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
        "frames_presented": round(frames),
        "frames_per_second": round(frames / seconds, 1),
        "best_epoch": trained.best.epoch,
        "history": [asdict(epoch) for epoch in trained.history],
    }


def versions() -> dict[str, str]:
    """Python's version and those of the packages that training depends on."""
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in PACKAGES
    }
