"""The HDF5 layout of RadioML 2018.01A: written in pieces, read in pieces, split as published.

X (N, 1024, 2) float32 frames of I and Q; Y (N, 24) int64 one-hot class; Z (N, 1) int64 SNR in dB;
ordered by class, then SNR -20..30 dB in steps of 2, with equally many frames in every cell.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UserError
from pipeline.radio.modulations import FRAME, MODULATIONS
from pipeline.radio.synthetic import SNRS_DB, Frames, Generator, cells

CELLS = len(MODULATIONS) * len(SNRS_DB)
PUBLISHED_FRAMES_PER_CELL = 4096
HELD_BACK = 0.1
"""Share of each cell in the test split (as published), then of what is left in validation."""

SMALLEST_CELL = 3
"""Frames in a cell that give each split one."""

PIECE = 256
"""Frames written or read at once (2 MiB)."""
LARGEST_GAP = 4
"""Frames that are read without need rather than reading twice."""
LABELS_AT_ONCE = 65536
"""Rows of Y and Z checked at once."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Frame numbers of the three splits: disjoint, together all frames, each in cell order."""

    train: Indices
    validation: Indices
    test: Indices


def split_frames(frames_per_cell: int, seed: int) -> Split:
    """The published split (seed 2018): each cell shuffled, its first ceil(10 %) are test frames.

    Validation frames are the next ceil(10 %) of the rest: selection never looks at the test split.
    Raises UserError where a cell is too small to have frames in all three.
    """
    if frames_per_cell < SMALLEST_CELL:
        raise UserError(
            f"{frames_per_cell} frames in each cell are too few for three splits",
            "data.frames_per_cell",
            f"at least {SMALLEST_CELL}",
        )
    # The published script calls np.random.seed; this is the same generator without global state.
    rng = np.random.RandomState(seed)
    test_count = int(np.ceil(HELD_BACK * frames_per_cell))
    validation_count = int(np.ceil(HELD_BACK * (frames_per_cell - test_count)))
    test, validation, train = [], [], []
    for cell in range(CELLS):
        numbers = np.arange(cell * frames_per_cell, (cell + 1) * frames_per_cell)
        rng.shuffle(numbers)
        test.append(numbers[:test_count])
        validation.append(numbers[test_count : test_count + validation_count])
        train.append(numbers[test_count + validation_count :])
    return Split(np.concatenate(train), np.concatenate(validation), np.concatenate(test))


def write_synthetic(
    path: Path, frames_per_cell: int, generator: Generator, advance: Callable[[int], None]
) -> None:
    """Generate a set into ``path``; ``advance(frames)`` is called after every piece.

    The generator's parameters and the seed are attributes of the file.
    """
    total = CELLS * frames_per_cell
    with h5py.File(path, "w") as file:
        x = file.create_dataset("X", (total, FRAME, 2), np.float32)
        y = file.create_dataset("Y", (total, len(MODULATIONS)), np.int64)
        z = file.create_dataset("Z", (total, 1), np.int64)
        file.attrs["synthetic"] = True
        file.attrs["frames_per_cell"] = frames_per_cell
        file.attrs["seed"] = generator.seed
        file.attrs["classes"] = json.dumps(MODULATIONS)
        file.attrs["parameters"] = json.dumps(generator.parameters())
        for cell, (label, snr_db) in enumerate(cells()):
            for start, stop in _pieces(frames_per_cell, PIECE):
                rows = slice(cell * frames_per_cell + start, cell * frames_per_cell + stop)
                x[rows] = generator.cell(label, snr_db, start, stop)
                y[rows] = np.eye(len(MODULATIONS), dtype=np.int64)[label]
                z[rows] = snr_db
                advance(stop - start)


def link(path: Path, existing: Path) -> None:
    """Make ``path`` a set whose data are those of the file ``existing``, without copying them."""
    with h5py.File(path, "w") as file:
        for name in ("X", "Y", "Z"):
            file[name] = h5py.ExternalLink(str(existing.resolve()), name)


def _pieces(total: int, size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, total)) for start in range(0, total, size))


class RadioMl:
    """An open set. Labels and SNRs follow from a frame's number; frames are read when asked for."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._x = file["X"]
        self._path = path
        self.frames_per_cell: int = len(self._x) // CELLS
        self.attributes: dict[str, object] = {
            name: getattr(value, "item", lambda value=value: value)()
            for name, value in file.attrs.items()
        }

    def __len__(self) -> int:
        return len(self._x)

    def labels(self, numbers: Indices) -> Indices:
        """Class of each frame."""
        return numbers // (self.frames_per_cell * len(SNRS_DB))

    def snrs_db(self, numbers: Indices) -> Indices:
        """SNR of each frame, in dB."""
        return np.asarray(SNRS_DB)[numbers // self.frames_per_cell % len(SNRS_DB)]

    def frames(self, numbers: Indices) -> Frames:
        """Frames (n, 1024, 2) float32 in the order of ``numbers``, which may repeat none.

        Raises UserError where a frame is not finite.
        """
        order = np.argsort(numbers)
        ascending = numbers[order]
        frames = np.empty((len(numbers), FRAME, 2), np.float32)
        for start, stop in _stretches(ascending):
            first = ascending[start]
            stretch = self._x[first : ascending[stop - 1] + 1]
            frames[order[start:stop]] = stretch[ascending[start:stop] - first]
        finite = np.isfinite(frames).all(axis=(1, 2))
        if not finite.all():
            number = int(numbers[int(np.argmin(finite))])
            raise _broken(self._path, f"frame {number} of X holds NaN or infinity")
        return frames


def _stretches(ascending: Indices) -> Iterator[tuple[int, int]]:
    """Divide frame numbers into stretches that are read at once, with the few between them."""
    gaps = np.flatnonzero(np.diff(ascending) > LARGEST_GAP) + 1
    borders = [0, *gaps, len(ascending)]
    for start, stop in itertools.pairwise(borders):
        for first, last in _pieces(stop - start, PIECE):
            yield start + first, start + last


@contextmanager
def open_radioml(path: Path) -> Iterator[RadioMl]:
    """Open a set for reading after a check of its layout.

    Raises UserError where the file is missing, truncated, of other shapes or out of order.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise UserError("there is no data set", str(path), "make data") from error
    except OSError as error:
        raise _broken(path, f"not a whole HDF5 file ({error})") from error
    with file:
        _check_shapes(file, path)
        _check_order(file, path)
        yield RadioMl(file, path)


def _check_shapes(file: h5py.File, path: Path) -> None:
    expected = {"X": (FRAME, 2), "Y": (len(MODULATIONS),), "Z": (1,)}
    counts = set()
    for name, tail in expected.items():
        data = file.get(name)
        if not isinstance(data, h5py.Dataset):
            raise _broken(path, f"it has no data set {name!r}")
        if data.shape[1:] != tail:
            shape = ", ".join(["N", *map(str, tail)])
            raise _broken(path, f"{name} has shape {data.shape}, expected ({shape})")
        counts.add(len(data))
    if len(counts) > 1:
        raise _broken(path, f"X, Y and Z have different lengths: {sorted(counts)}")
    if file["X"].dtype != np.float32:
        raise _broken(path, f"X holds {file['X'].dtype}, expected float32")
    if min(counts) == 0 or min(counts) % CELLS:
        raise _broken(path, f"{min(counts)} frames are not {CELLS} cells of equal size")


def _check_order(file: h5py.File, path: Path) -> None:
    """Every label and SNR is where class-then-SNR order has it."""
    total = len(file["Y"])
    per_cell = total // CELLS
    for start, stop in _pieces(total, LABELS_AT_ONCE):
        cell = np.arange(start, stop) // per_cell
        labels = np.eye(len(MODULATIONS), dtype=np.int64)[cell // len(SNRS_DB)]
        snrs_db = np.asarray(SNRS_DB)[cell % len(SNRS_DB)]
        good = (file["Y"][start:stop] == labels).all(axis=1)
        good &= file["Z"][start:stop, 0] == snrs_db
        if not good.all():
            number = start + int(np.argmin(good))
            raise _broken(path, f"frame {number} is out of order: class, then SNR, is expected")


def _broken(path: Path, what: str) -> UserError:
    return UserError(what, str(path), "make data --force, or give a whole RadioML 2018.01A file")
