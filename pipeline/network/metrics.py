"""Accuracy, overall and apart by SNR and by class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.radio.modulations import MODULATIONS

HIGH_SNR_DB = 10
"""From here up a modulation can be told: what accuracy per class is given for."""

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """What a network said of frames: three arrays (n,) of predicted class, class, SNR in dB."""

    predicted: Labels
    labels: Labels
    snrs_db: Labels

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which predictions are right."""
        return np.equal(self.predicted, self.labels)

    @property
    def high_snr(self) -> NDArray[np.bool_]:
        """Which frames are at HIGH_SNR_DB or more."""
        return np.greater_equal(self.snrs_db, HIGH_SNR_DB)


def share(of: NDArray[np.bool_]) -> float:
    """The share of true values, to four digits."""
    return round(float(np.mean(of)), 4)


def accuracies(predictions: Predictions) -> dict[str, object]:
    """Accuracy overall, at high SNR, by SNR in dB, and by class at high SNR."""
    correct, high = predictions.correct, predictions.high_snr
    return {
        "frames": len(correct),
        "accuracy": share(correct),
        "accuracy_high_snr": share(correct[high]),
        "accuracy_by_snr_db": {
            str(snr): share(correct[predictions.snrs_db == snr])
            for snr in np.unique(predictions.snrs_db)
        },
        "accuracy_by_class_high_snr": {
            MODULATIONS[label]: share(correct[high & (predictions.labels == label)])
            for label in np.unique(predictions.labels)
        },
    }


def confusion(predictions: Predictions) -> dict[str, dict[str, int]]:
    """At high SNR: class -> class named -> frames, where there are any."""
    counts: dict[str, dict[str, int]] = {}
    for label in np.unique(predictions.labels):
        chosen = predictions.high_snr & (predictions.labels == label)
        named, frames = np.unique(predictions.predicted[chosen], return_counts=True)
        counts[MODULATIONS[label]] = {
            MODULATIONS[other]: int(n) for other, n in zip(named, frames, strict=True)
        }
    return counts
