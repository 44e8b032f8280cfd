"""Metrics of runs that never took place, as `pipeline.network.record` writes them."""

import json
from pathlib import Path
from typing import Any

CLASSES = ("OOK", "BPSK", "QPSK")
WEIGHTS = {"conv0": 400, "dense0": 600}


def metrics(bits: int = 8, test: float = 0.6) -> dict[str, Any]:
    """Of a network that was not pruned."""
    return {
        "notice": "Trained and tested on synthetic frames only.",
        "network": {"weight_bits": bits, "activation_bits": bits, "input_bits": bits},
        "data": {"synthetic": True, "classes": list(CLASSES)},
        "high_snr_db": 10,
        "accuracy": {"validation": accuracy(test + 0.01), "test": accuracy(test)},
        "test_confusion_high_snr": {
            "OOK": {"OOK": 90, "BPSK": 10},
            "BPSK": {"BPSK": 50},
            "QPSK": {"OOK": 1, "BPSK": 99, "QPSK": 300},
        },
        "cost": cost(bits, {"conv0": 380, "dense0": 620 - 20}),
        "versions": {},
    }


def accuracy(share: float) -> dict[str, Any]:
    """Of one split."""
    return {
        "frames": 1000,
        "accuracy": share,
        "accuracy_high_snr": 0.8,
        "accuracy_by_snr_db": {"-20": 0.05, "-2": 0.4, "10": 0.8, "0": 0.5},
        "accuracy_by_class_high_snr": {"OOK": 0.9, "BPSK": 1.0, "QPSK": 0.75},
    }


def cost(bits: int, nonzeros: dict[str, int]) -> dict[str, Any]:
    """Of a network with WEIGHTS of which these are not zero."""
    total = sum(nonzeros.values())
    return {
        "bit_operations": total * bits * bits * 10,
        "weight_bits": total * bits,
        "nonzeros": nonzeros,
        "weights": WEIGHTS,
        "cost": round(total * bits / 8000, 6),
    }


ROUNDS = (
    (0.2, True, 0.62, 800, 1.25),
    (0.2, False, 0.55, 640, 1.562),
    (0.1, True, 0.61, 720, 1.389),
)
"""p, whether it was met, validation accuracy, nonzeros, eta."""


def pruned(bits: int = 4, method: str = "fmp", test: float = 0.59) -> dict[str, Any]:
    """Of a network that was pruned in ROUNDS."""
    rounds = [
        {
            "granularity": "unstructured",
            "share": share,
            "epochs": 2,
            "met": met,
            "validation_accuracy": validation,
            "nonzeros": {"conv0": 300, "dense0": nonzeros - 300},
            "weights": WEIGHTS,
            "nominal_ratio": eta,
            "true_ratio": 1000 / nonzeros,
        }
        for share, met, validation, nonzeros, eta in ROUNDS
    ]
    section = {
        "method": method,
        "start_validation_accuracy": 0.65,
        "start_cost": cost(bits, dict(WEIGHTS)),
        "criterion_accuracy": 0.6,
        "rounds": rounds,
    }
    end = {"cost": cost(bits, {"conv0": 300, "dense0": 420})}
    return {**metrics(bits, test), **end, "pruning": section}


def record(models: Path, name: str, content: dict[str, Any]) -> Path:
    """Put a model with these metrics below ``models``; the file of the metrics."""
    folder = models / name
    folder.mkdir(parents=True)
    (folder / "model.toml").touch()
    file = folder / "metrics.json"
    file.write_text(json.dumps(content))
    return file
