"""Recorded runs (`models/NAME/metrics.json`), and what of them goes into a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.config import Network
from pipeline.core.errors import UserError
from pipeline.core.paths import shown
from pipeline.network.shipped import METRICS

CHALLENGE = Network()
SHAPE = ("architecture", "filters", "dense", "classes", "frame_length")
SECTIONS = ("network", "data", "accuracy", "test_confusion_high_snr", "cost")
"""What a record has since costs are recorded; earlier ones are skipped."""

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What a network costs and reaches. Accuracies are shares; those that are not known, None.

    ``method`` is "none", "imp" or "fmp"; ``frames`` says what it was trained and tested on.
    ``eta`` is the nominal compression, the product of 1 / (1 - p) over the rounds of pruning;
    ``true_ratio`` is all weights over those that are not zero. ``at_least`` says that ``test``
    is a bound.
    """

    bits: int
    method: str
    frames: str
    eta: float | None
    true_ratio: float
    nonzeros: int
    bit_operations: int
    weight_bits: int
    cost: float
    validation: float | None
    test: float
    at_least: bool = False


@dataclass(frozen=True)
class Run:
    """A recorded run: the model's name, its metrics as they stand in the file, and its row."""

    name: str
    metrics: Metrics
    result: Result


def result_of(metrics: Metrics) -> Result:
    """The row of one record. Raises LookupError, TypeError or ValueError where it is broken."""
    pruning, cost, accuracy = metrics.get("pruning", {}), metrics["cost"], metrics["accuracy"]
    unpruned = pruning["start_cost"] if pruning else cost
    nonzeros = sum(cost["nonzeros"].values())
    return Result(
        bits=int(metrics["network"]["weight_bits"]),
        method=pruning.get("method", "none"),
        frames="synthetic" if metrics["data"].get("synthetic") else "a user's file",
        eta=nominal_ratio(pruning.get("rounds", ())),
        true_ratio=round(sum(unpruned["weights"].values()) / nonzeros, 2),
        nonzeros=nonzeros,
        bit_operations=int(cost["bit_operations"]),
        weight_bits=int(cost["weight_bits"]),
        cost=float(cost["cost"]),
        validation=float(accuracy["validation"]["accuracy"]),
        test=float(accuracy["test"]["accuracy"]),
    )


def nominal_ratio(rounds: Sequence[Mapping[str, Any]]) -> float:
    """The eta of the network that a pruning ended with: that of the last round that was met."""
    met = [float(one["nominal_ratio"]) for one in rounds if one["met"]]
    return met[-1] if met else 1.0


def read_metrics(path: Path) -> Metrics:
    """The metrics in a file. Raises UserError where they cannot be read."""
    remedy = "git restore the file, or ship the run again: make ship"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        remedy = f"make data train ship MODEL={shown(path.parent)}"
        raise UserError("no run is recorded here", shown(path), remedy) from error
    except ValueError as error:
        raise UserError(f"not a JSON file: {error}", shown(path), remedy) from error
    if not isinstance(metrics, dict):
        raise UserError("not the metrics of a run: no JSON object", shown(path), remedy)
    return metrics


def missing_sections(metrics: Metrics) -> list[str]:
    """The sections of today's format that a record does not have."""
    return [name for name in SECTIONS if name not in metrics]


def read_run(name: str, path: Path) -> Run:
    """The run recorded in a file. Raises UserError where it is broken or of another format."""
    metrics = read_metrics(path)
    missing = missing_sections(metrics)
    if missing:
        what = f"recorded in another format: it has no {missing[0]}"
        raise UserError(what, shown(path), "record it anew: make data train (or prune) ship")
    try:
        return Run(name, metrics, result_of(metrics))
    except (LookupError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        what = f"not the metrics of a run ({type(error).__name__}: {error})"
        remedy = "git restore the file, or ship the run again: make ship"
        raise UserError(what, shown(path), remedy) from error


def recorded_runs(models: Path) -> tuple[list[Run], list[str]]:
    """The runs recorded in the folders below ``models``, and a line for each one skipped.

    Skipped are records of another format, and networks that are not the challenge's: their costs
    are those of another task. Raises UserError for a file that is broken.
    """
    runs, skipped = [], []
    for path in sorted(models.glob(f"*/{METRICS}")):
        metrics = read_metrics(path)
        missing = missing_sections(metrics)
        if missing:
            skipped.append(f"skipped {shown(path)}: another format, without {missing[0]}")
        elif other := _other_shape(metrics):
            skipped.append(f"skipped {shown(path)}: another network, {other}")
        else:
            runs.append(read_run(path.parent.name, path))
    return runs, skipped


def _other_shape(metrics: Metrics) -> str:
    """The first key in which a network differs from the challenge's VGG10; empty where it is it."""
    shape = metrics["network"]
    for key in SHAPE if isinstance(shape, dict) else ():
        wanted = getattr(CHALLENGE, key)
        if shape.get(key, wanted) != wanted:
            return f"{key} = {shape[key]}"
    return ""
