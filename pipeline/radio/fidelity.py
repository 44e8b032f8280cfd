"""How real the synthetic signals are: what networks trained on the real set make of them.

    python -m pipeline.radio.fidelity --model models/published_w8a8 --checkpoint weights.pth

A network that has only ever seen RadioML 2018.01A names the class of a synthetic frame as well as
it would a real one's, if the two are alike. This says nothing about any network's accuracy on real
signals: the constants of the generator were themselves fitted with such networks.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.cli import guarded
from pipeline.core.config import load_config
from pipeline.core.progress import progress, say
from pipeline.core.quiet import quiet_libraries
from pipeline.core.tables import print_table
from pipeline.network.metrics import HIGH_SNR_DB, Predictions, share
from pipeline.network.source import load_network
from pipeline.network.trainer import predict
from pipeline.radio.modulations import MODULATIONS
from pipeline.radio.synthetic import SNRS_DB, Frames, Generator

BASELINE_ON_REAL_SET = {
    **{-20: 0.045, -12: 0.09, -8: 0.20, -4: 0.34, 0: 0.53, 4: 0.73, 8: 0.89, 12: 0.92},
    **{20: 0.93, 30: 0.93},
}
"""Accuracy of the challenge's 8-bit baseline on the real test split, by SNR in dB: read off the
plot that was published with it."""

TOLERANCE = 0.1
"""How far the baseline's curve on synthetic frames may lie from that one."""

Indices = NDArray[np.int64]


class SyntheticFrames:
    """A data set that is made when asked for, `frames_per_cell` frames a cell."""

    def __init__(self, frames_per_cell: int, seed: int) -> None:
        self.frames_per_cell = frames_per_cell
        self.generator = Generator(seed)

    def cells(self) -> list[Indices]:
        """Frame numbers of each cell."""
        every = np.arange(len(MODULATIONS) * len(SNRS_DB) * self.frames_per_cell)
        return list(every.reshape(-1, self.frames_per_cell))

    def labels(self, numbers: Indices, /) -> Indices:
        """Class of each frame."""
        return numbers // (self.frames_per_cell * len(SNRS_DB))

    def snrs_db(self, numbers: Indices, /) -> Indices:
        """SNR of each frame, in dB."""
        return np.asarray(SNRS_DB)[numbers // self.frames_per_cell % len(SNRS_DB)]

    def frames(self, numbers: Indices, /) -> Frames:
        """Frames (n, 1024, 2) of one cell, from its first on."""
        label, snr_db = int(self.labels(numbers)[0]), int(self.snrs_db(numbers)[0])
        return self.generator.cell(label, snr_db, 0, len(numbers))


def recognise(model_dir: Path, checkpoint: Path, data: SyntheticFrames) -> Predictions:
    """What the configured network with these weights says of all frames of `data`."""
    network = load_network(load_config(model_dir, ()), checkpoint)
    cells = data.cells()
    found = []
    with progress("recognising", len(cells) * data.frames_per_cell, "frames") as shown:
        for numbers in cells:
            found.append(predict(network, data, numbers))
            shown.advance(len(numbers))
    fields = ("predicted", "labels", "snrs_db")
    return Predictions(*(np.concatenate([getattr(x, name) for x in found]) for name in fields))


def print_report(predictions: Predictions) -> None:
    """Accuracy by class at high SNR with what it is taken for, and by SNR beside the real curve."""
    print_table(
        f"by class, SNR >= {HIGH_SNR_DB} dB",
        ("class", "accuracy", "most often taken for"),
        [class_row(predictions, label) for label in range(len(MODULATIONS))],
    )
    print_table(
        "by SNR",
        ("SNR dB", "accuracy", "8-bit baseline on the real set"),
        [
            (snr, share(predictions.correct[predictions.snrs_db == snr]), real(snr))
            for snr in SNRS_DB
        ],
    )
    high = share(predictions.correct[predictions.high_snr])
    say(f"accuracy {share(predictions.correct)}, at SNR >= {HIGH_SNR_DB} dB {high}")


def class_row(predictions: Predictions, label: int) -> tuple[str, float, str]:
    """Name, accuracy, and the wrong class most often named with its share."""
    chosen = predictions.high_snr & (predictions.labels == label)
    counts = np.bincount(predictions.predicted[chosen], minlength=len(MODULATIONS))
    shares = counts / counts.sum()
    accuracy = round(float(shares[label]), 4)
    shares[label] = 0
    worst = int(shares.argmax())
    mistaken = f"{MODULATIONS[worst]} {shares[worst]:.2f}" if shares[worst] else ""
    return MODULATIONS[label], accuracy, mistaken


def real(snr_db: int) -> str:
    """The published accuracy at an SNR, where it was read off."""
    return f"{BASELINE_ON_REAL_SET[snr_db]:.3f}" if snr_db in BASELINE_ON_REAL_SET else ""


def off_curve(predictions: Predictions) -> dict[int, float]:
    """SNRs at which accuracy is farther than TOLERANCE from the baseline's on the real set."""
    found = {}
    for snr_db, expected in BASELINE_ON_REAL_SET.items():
        accuracy = share(predictions.correct[predictions.snrs_db == snr_db])
        if abs(accuracy - expected) > TOLERANCE:
            found[snr_db] = accuracy
    return found


def main(words: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.radio.fidelity",
        description="What a network trained on the real set makes of the synthetic signals.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="its weights: a state dict")
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("models/published_w8a8"),
        help="the folder whose model.toml describes the network (default: %(default)s)",
    )
    parser.add_argument("--frames-per-cell", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the signals (default: %(default)s)")
    options = parser.parse_args(words)
    quiet_libraries()
    data = SyntheticFrames(max(1, options.frames_per_cell), options.seed)
    return guarded(
        lambda: print_report(recognise(options.model, options.checkpoint, data)), debug=False
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
