"""The HDF5 layout of RadioML 2018.01A: written in pieces, read in pieces, split as published.

X (N, 1024, 2) float32 frames of I and Q; Y (N, 24) int64 one-hot class; Z (N, 1) int64 SNR in dB;
ordered by class, then SNR -20..30 dB in steps of 2, with equally many frames in every cell.
"""

import itertools
import json
import os
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
ROW_BYTES = FRAME * 2 * 4 + len(MODULATIONS) * 8 + 8
"""One row of X, Y and Z."""
HEADER_BYTES = 1 << 16
"""More than what HDF5 writes before the first row."""

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

    The generator's parameters and the seed are attributes of the file. Raises OSError before
    anything is generated where the disk is too full for all of it.
    """
    total = CELLS * frames_per_cell
    _take_room(path, total * ROW_BYTES + HEADER_BYTES)  # which opening for writing gives back
    with h5py.File(path, "w") as file:
        x = file.create_dataset("X", (total, FRAME, 2), np.float32)
        y = file.create_dataset("Y", (total, len(MODULATIONS)), np.int64)
        z = file.create_dataset("Z", (total, 1), np.int64)
        file.attrs["synthetic"] = True
        file.attrs["frames_per_cell"] = frames_per_cell
        file.attrs["seed"] = generator.seed
        file.attrs["classes"] = json.dumps(MODULATIONS)
        file.attrs["parameters"] = json.dumps(generator.parameters())
        _take_room(path, total * ROW_BYTES)
        for cell, (label, snr_db) in enumerate(cells()):
            for start, stop in _pieces(frames_per_cell, PIECE):
                rows = slice(cell * frames_per_cell + start, cell * frames_per_cell + stop)
                x[rows] = generator.cell(label, snr_db, start, stop)
                y[rows] = np.eye(len(MODULATIONS), dtype=np.int64)[label]
                z[rows] = snr_db
                advance(stop - start)


def _take_room(path: Path, size: int) -> None:
    """Make a file at least ``size`` bytes long, and have the disk keep room for all of them.

    HDF5 cannot close a file that the disk has no room for, and then takes the process down.
    """
    with path.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def link(path: Path, existing: Path) -> None:
    """Make ``path`` a set whose data are those of the file ``existing``, without copying them."""
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:  # in memory
        for name in ("X", "Y", "Z"):
            file[name] = h5py.ExternalLink(str(existing.resolve()), name)
        file.flush()
        path.write_bytes(file.id.get_file_image())


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

        Raises UserError where a frame is not finite or cannot be read.
        """
        order = np.argsort(numbers)
        ascending = numbers[order]
        frames = np.empty((len(numbers), FRAME, 2), np.float32)
        with _readable(self._path):
            for start, stop in _stretches(ascending):
                first = ascending[start]
                stretch = self._x[first : ascending[stop - 1] + 1]
                frames[order[start:stop]] = stretch[ascending[start:stop] - first]
        self._check_finite(frames, numbers)
        return frames

    def _check_finite(self, frames: Frames, numbers: Indices) -> None:
        """Raise UserError for a frame that is not; in pieces, since frames may be a gigabyte."""
        for start, stop in _pieces(len(frames), PIECE):
            finite = np.isfinite(frames[start:stop]).all(axis=(1, 2))
            if not finite.all():
                number = numbers[start + int(np.argmin(finite))]
                raise _broken(self._path, f"frame {number} of X holds NaN or infinity")

    def check_frames(self, advance: Callable[[int], None]) -> None:
        """Read every frame once, in order; ``advance(frames)`` is called after every piece.

        Raises UserError for the first frame that is not finite or cannot be read.
        """
        for start, stop in _pieces(len(self), PIECE):
            self.frames(np.arange(start, stop))
            advance(stop - start)


def _stretches(ascending: Indices) -> Iterator[tuple[int, int]]:
    """Divide frame numbers into stretches that are read at once, with the few between them."""
    gaps = np.flatnonzero(np.diff(ascending) > LARGEST_GAP) + 1
    borders = [0, *gaps, len(ascending)]
    for start, stop in itertools.pairwise(borders):
        for first, last in _pieces(stop - start, PIECE):
            yield start + first, start + last


@contextmanager
def open_radioml(path: Path) -> Iterator[RadioMl]:
    """Open a set, or the file that it is a link to, after a check of its layout and its labels.

    Raises UserError where the file is missing, truncated, of other shapes or out of order.
    """
    path = _followed(path)
    with _opened(path) as file:
        with _readable(path):
            _check_shapes(file, path)
            _check_order(file, path)
        yield RadioMl(file, path)


def _followed(path: Path) -> Path:
    """The file that a set made by `link` stands for; any other set's own file."""
    with _opened(path) as file, _readable(path):
        x = file.get("X", getlink=True)
        return Path(x.filename) if isinstance(x, h5py.ExternalLink) else path


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise UserError("there is no data set", str(path), "make data") from error
    except OSError as error:
        raise _broken(path, f"not a whole HDF5 file ({error})") from error


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name the file where HDF5 finds, while reading, that it is damaged."""
    try:
        yield
    except (OSError, RuntimeError, KeyError) as error:
        raise _broken(path, f"HDF5 cannot read it ({error})") from error


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
    for name in ("Y", "Z"):
        if not np.issubdtype(file[name].dtype, np.integer):
            raise _broken(path, f"{name} holds {file[name].dtype}, expected int64")
    if min(counts) == 0 or min(counts) % CELLS:
        raise _broken(path, f"{min(counts)} frames are not {CELLS} cells of equal size")


def _check_order(file: h5py.File, path: Path) -> None:
    """Every row of Y is one-hot, and every label and SNR where class-then-SNR order has it."""
    total = len(file["Y"])
    per_cell = total // CELLS
    for start, stop in _pieces(total, LABELS_AT_ONCE):
        cell = np.arange(start, stop) // per_cell
        hot, snrs_db = file["Y"][start:stop], file["Z"][start:stop, 0]
        expected = (cell // len(SNRS_DB), np.asarray(SNRS_DB)[cell % len(SNRS_DB)])
        good = (hot == np.eye(len(MODULATIONS), dtype=np.int64)[expected[0]]).all(axis=1)
        good &= snrs_db == expected[1]
        if not good.all():
            row = int(np.argmin(good))
            wanted = _cell_name(expected[0][row], expected[1][row])
            raise _broken(path, _what_is_wrong(start + row, hot[row], snrs_db[row], wanted))


def _what_is_wrong(number: int, hot: Indices, snr_db: int, wanted: str) -> str:
    """Why a row of Y and Z is not the ``wanted`` one."""
    if sorted(hot) != [0] * (len(hot) - 1) + [1]:
        return f"row {number} of Y is not one-hot"
    found = _cell_name(int(np.argmax(hot)), snr_db)
    return f"frame {number} is out of order (class, then SNR): {found}, expected {wanted}"


def _cell_name(label: int, snr_db: int) -> str:
    return f"{MODULATIONS[label]} at {snr_db} dB"


def _broken(path: Path, what: str) -> UserError:
    return UserError(what, str(path), "make data --force, or give a whole RadioML 2018.01A file")
