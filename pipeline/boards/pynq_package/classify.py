"""Classifies frames from a file; without one, the sample signals that came with the accelerator.

    python3 classify.py [FILE]

FILE: .npy with float I/Q of shape (n, 1024, 2); or .npz with it as `frames`, and, where they are
known, the class of each frame as `labels` and its signal-to-noise ratio in dB as `snrs`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np
from driver import BESIDE, Accelerator

SIGNALS = Path(__file__).resolve().parent / "signals.npz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=SIGNALS, help=".npy or .npz")
    parser.add_argument("--bitstream", type=Path, default=BESIDE, help="the .bit to load")
    options = parser.parse_args(arguments)
    try:
        loaded = np.load(options.file)
        known = loaded if hasattr(loaded, "files") else {"frames": loaded}
        with Accelerator(options.bitstream) as accelerator:
            found = np.atleast_1d(accelerator.classify(known["frames"]))
            names, classes = accelerator.names(found), accelerator.classes
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if "labels" in known and "snrs" in known:
        lines = table(classes, found, known["labels"], known["snrs"])
    else:
        lines = (f"frame {number}: {name}" for number, name in enumerate(names))
    for line in lines:
        print(line)
    return 0


def table(
    classes: Sequence[str], found: np.ndarray, labels: np.ndarray, snrs: np.ndarray
) -> Iterator[str]:
    """A row for each class and a column for each SNR: what was found, * where that is right."""
    columns = sorted({int(snr) for snr in snrs})
    yield "signal".ljust(12) + "".join(f"{snr:>10} dB " for snr in columns)
    for label in sorted({int(label) for label in labels}):
        cells = (found[(labels == label) & (snrs == snr)] for snr in columns)
        yield classes[label].ljust(12) + "".join(_cell(classes, label, cell) for cell in cells)
    rights = (np.mean((found == labels)[snrs == snr]) for snr in columns)
    yield "* right".ljust(12) + "".join(f"{100 * right:>11.0f} % " for right in rights)


def _cell(classes: Sequence[str], label: int, found: np.ndarray) -> str:
    """The class that was found most often, of 14 characters."""
    if not len(found):
        return " " * 14
    most = int(np.bincount(found).argmax())
    return f"{classes[most]:>12}{'*' if most == label else ' '} "


if __name__ == "__main__":
    sys.exit(main())
