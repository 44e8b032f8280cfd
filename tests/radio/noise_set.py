"""A small file in RadioML's layout, and ways to spoil it."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from pipeline.radio.radioml import CELLS
from pipeline.radio.synthetic import SNRS_DB

FRAMES_PER_CELL = 3

Change = Callable[[np.ndarray], np.ndarray]
Spoil = Callable[[Path], None]


def write_noise_set(path: Path) -> Path:
    """Write a file of the right layout whose frames are noise: quick to make."""
    rng = np.random.default_rng(1)
    total = CELLS * FRAMES_PER_CELL
    cell = np.arange(total) // FRAMES_PER_CELL
    with h5py.File(path, "w") as file:
        file["X"] = rng.standard_normal((total, 1024, 2), dtype=np.float32)
        file["Y"] = np.eye(24, dtype=np.int64)[cell // 26]
        file["Z"] = np.array(SNRS_DB)[cell % 26][:, None]
    return path


def replaced(name: str, change: Change) -> Spoil:
    """Put other values, of any shape and type, in the place of a data set's."""

    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            changed = change(file[name][:])
            del file[name]
            file[name] = changed

    return spoil


def written(name: str, row: int, value: float) -> Spoil:
    """Write one value over the last one of a row."""

    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file[name][(row,) + (-1,) * (file[name].ndim - 1)] = value

    return spoil


def cut(share: float) -> Spoil:
    """Keep a share of the file's bytes only."""

    def spoil(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return spoil


def swap_two_rows(rows: np.ndarray) -> np.ndarray:
    """Exchange row 5 and the first row of the second class."""
    other = 26 * FRAMES_PER_CELL
    rows[[5, other]] = rows[[other, 5]]
    return rows


def without_labels(path: Path) -> None:
    """Delete Y."""
    with h5py.File(path, "r+") as file:
        del file["Y"]


BROKEN: dict[str, tuple[Spoil, str]] = {
    "one byte short": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "not a whole HDF5"),
    "cut in Y": (cut(0.99), "not a whole HDF5 file"),
    "cut in X": (cut(0.5), "not a whole HDF5 file"),
    "cut in the header": (cut(1e-5), "not a whole HDF5 file"),
    "empty": (cut(0), "not a whole HDF5 file"),
    "no HDF5": (lambda path: path.write_text("frames"), "not a whole HDF5 file"),
    "no Y": (without_labels, "no data set 'Y'"),
    "short frames": (replaced("X", lambda x: x[:, :512]), r"X has shape \(1872, 512, 2\)"),
    "doubles": (replaced("X", lambda x: x.astype(np.float64)), "X holds float64"),
    "a frame too few": (replaced("X", lambda x: x[:-1]), "different lengths"),
    "11 classes": (replaced("Y", lambda y: y[:, :11]), r"Y has shape \(1872, 11\)"),
    "class numbers": (replaced("Y", lambda y: y.argmax(1)), r"Y has shape \(1872,\)"),
    "labels as text": (replaced("Y", lambda y: y.astype("S1")), r"Y holds \|S1"),
    "SNRs as floats": (replaced("Z", lambda z: z + 0.5), "Z holds float64"),
    "two labels": (written("Y", 7, 1), "row 7 of Y is not one-hot"),
    "label of 2": (replaced("Y", lambda y: 2 * y), "row 0 of Y is not one-hot"),
    "no label": (replaced("Y", lambda y: 0 * y), "row 0 of Y is not one-hot"),
    "labels swapped": (
        replaced("Y", swap_two_rows),
        r"frame 5 is out of order .*: 4ASK at -18 dB, expected OOK at -18 dB",
    ),
    "one SNR wrong": (
        written("Z", 1871, 28),
        r"frame 1871 is out of order .*: OQPSK at 28 dB, expected OQPSK at 30 dB",
    ),
}
"""Files that are refused as soon as they are opened, and what is said of them."""

NOT_FINITE: dict[str, tuple[Spoil, str]] = {
    "NaN": (written("X", 77, np.nan), "frame 77 of X holds NaN or infinity"),
    "infinity": (written("X", 1871, -np.inf), "frame 1871 of X holds NaN or infinity"),
}
"""Files that look whole until their frames are read, and what is said of them."""
