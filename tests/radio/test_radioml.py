"""RadioML's HDF5 layout, its split, and what is said of files that break it."""

import json
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.radio import synthetic
from pipeline.radio.modulations import MODULATIONS
from pipeline.radio.radioml import CELLS, link, open_radioml, split_frames, write_synthetic
from pipeline.radio.synthetic import SNRS_DB, Generator
from tests.radio.noise_set import BROKEN, FRAMES_PER_CELL, NOT_FINITE, write_noise_set, written


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less to generate for a cell of few frames (and so other frames than otherwise)."""
    monkeypatch.setattr(synthetic, "BATCH", FRAMES_PER_CELL)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A file of the right layout."""
    return write_noise_set(tmp_path / "set.hdf5")


@pytest.mark.usefixtures("small_batches")
def test_a_written_set_is_in_order_and_says_how_it_was_made(tmp_path: Path) -> None:
    path, counts = tmp_path / "set.hdf5", []
    write_synthetic(path, FRAMES_PER_CELL, Generator(7), counts.append)
    total = CELLS * FRAMES_PER_CELL
    assert sum(counts) == total
    with h5py.File(path) as file:
        assert (file["X"].shape, file["X"].dtype) == ((total, 1024, 2), np.float32)
        assert (file["Y"].shape, file["Y"].dtype) == ((total, 24), np.int64)
        assert (file["Z"].shape, file["Z"].dtype) == ((total, 1), np.int64)
        assert file["Z"][::FRAMES_PER_CELL, 0].tolist() == list(range(-20, 32, 2)) * 24
        assert json.loads(file.attrs["classes"]) == list(MODULATIONS)
        assert "channel" in json.loads(file.attrs["parameters"])
    number = np.array([(5 * 26 + 4) * FRAMES_PER_CELL + 1])
    with open_radioml(path) as data:
        assert data.attributes["synthetic"]
        assert data.attributes["seed"] == 7
        assert data.labels(number).tolist() == [5]
        assert data.snrs_db(number).tolist() == [-12]
        assert (data.frames(number) == Generator(7).cell(5, -12, 1, 2)).all()


@pytest.mark.usefixtures("small_batches")
def test_two_runs_write_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "cells", lambda: [(0, -20), (23, 30)])
    for name in ("a", "b"):
        write_synthetic(tmp_path / name, FRAMES_PER_CELL, Generator(7), lambda _: None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_frames_come_in_the_order_asked_for(made: Path) -> None:
    numbers = np.array([40, 3, 1871, 0])
    with open_radioml(made) as data, h5py.File(made) as file:
        frames = data.frames(numbers)
        assert len(data) == CELLS * FRAMES_PER_CELL
        for frame, number in zip(frames, numbers, strict=True):
            assert (frame == file["X"][number]).all()


def test_a_linked_set_reads_as_the_original(made: Path, tmp_path: Path) -> None:
    link(tmp_path / "link.hdf5", made)
    with open_radioml(made) as original, open_radioml(tmp_path / "link.hdf5") as linked:
        numbers = np.array([0, 17])
        assert (original.frames(numbers) == linked.frames(numbers)).all()
    written("X", 5, np.nan)(made)
    with open_radioml(tmp_path / "link.hdf5") as linked, pytest.raises(UserError) as caught:
        linked.frames(np.array([5]))
    assert caught.value.where == str(made)
    made.unlink()
    with pytest.raises(UserError) as caught, open_radioml(tmp_path / "link.hdf5"):
        pass
    assert caught.value.where == str(made)


def test_a_linked_set_has_the_attributes_of_the_original(made: Path, tmp_path: Path) -> None:
    with h5py.File(made, "r+") as file:
        file.attrs["synthetic"] = True
    link(tmp_path / "link.hdf5", made)
    with open_radioml(tmp_path / "link.hdf5") as linked:
        assert linked.attributes == {"synthetic": True}


def published_test_frames(frames_per_cell: int) -> list[int]:
    """The challenge's way to choose test frames, written down anew."""
    np.random.seed(2018)
    chosen: list[int] = []
    for label in range(24):
        for snr in range(26):
            first = (label * 26 + snr) * frames_per_cell
            numbers = list(range(first, first + frames_per_cell))
            np.random.shuffle(numbers)
            chosen += numbers[: int(np.ceil(0.1 * frames_per_cell))]
    return chosen


def test_the_test_split_is_the_published_one() -> None:
    split = split_frames(45, 2018)
    assert split.test.tolist() == published_test_frames(45)
    assert split_frames(45, 2019).test.tolist() != published_test_frames(45)


@pytest.mark.parametrize(
    ("count", "sizes"), [(4096, (3317, 369, 410)), (40, (32, 4, 4)), (3, (1, 1, 1))]
)
def test_splits_are_disjoint_complete_and_equal_in_every_cell(
    count: int, sizes: tuple[int, int, int]
) -> None:
    split = split_frames(count, 2018)
    parts = (split.train, split.validation, split.test)
    assert (np.sort(np.concatenate(parts)) == np.arange(CELLS * count)).all()
    for part, size in zip(parts, sizes, strict=True):
        assert (np.bincount(part // count, minlength=CELLS) == size).all()


def test_cells_too_small_to_split_are_refused() -> None:
    with pytest.raises(UserError, match="2 frames in each cell"):
        split_frames(2, 2018)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(made: Path, kind: str) -> None:
    spoil, message = BROKEN[kind]
    with open_radioml(made):
        pass
    spoil(made)
    with pytest.raises(UserError, match=message) as caught, open_radioml(made):
        pass
    assert caught.value.where == str(made)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no data set"), open_radioml(tmp_path / "set"):
        pass


def test_a_damaged_chunk_is_found_when_it_is_read(made: Path) -> None:
    with h5py.File(made, "r+") as file:
        frames = file["X"][:]
        del file["X"]
        x = file.create_dataset("X", data=frames, chunks=(16, 1024, 2), fletcher32=True)
        chunk = x.id.get_chunk_info(1)
    with open_radioml(made) as data:
        assert (data.frames(np.arange(40)) == frames[:40]).all()
    with made.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"damage")
    with open_radioml(made) as data:
        data.frames(np.arange(16))
        with pytest.raises(UserError, match="HDF5 cannot read it") as caught:
            data.frames(np.arange(40))
    assert caught.value.where == str(made)


def test_cells_of_unequal_size_are_refused(made: Path) -> None:
    with h5py.File(made, "r+") as file:
        for name in ("X", "Y", "Z"):
            rows = file[name][:-1]
            del file[name]
            file[name] = rows
    with pytest.raises(UserError, match="1871 frames"), open_radioml(made):
        pass


@pytest.mark.parametrize("kind", NOT_FINITE)
def test_a_frame_that_is_not_finite_is_named(made: Path, kind: str) -> None:
    spoil, message = NOT_FINITE[kind]
    spoil(made)
    counts: list[int] = []
    with open_radioml(made) as data:
        data.frames(np.array([76, 78]))
        with pytest.raises(UserError, match=message):
            data.frames(np.array([1870, 1871, 78, 77]))
        with pytest.raises(UserError, match=message):
            data.check_frames(counts.append)
    assert sum(counts) == {"NaN": 0, "infinity": 1792}[kind]


def test_a_check_of_all_frames_counts_them(made: Path) -> None:
    counts: list[int] = []
    with open_radioml(made) as data:
        data.check_frames(counts.append)
        assert sum(counts) == len(data)


def test_a_large_set_is_opened_and_read_in_little_memory(tmp_path: Path) -> None:
    path, total = tmp_path / "set.hdf5", CELLS * 256
    cell = np.arange(total) // 256
    with h5py.File(path, "w") as file:
        file.create_dataset("X", (total, 1024, 2), np.float32)  # never written: needs no disk
        file["Y"] = np.eye(24, dtype=np.int64)[cell // 26]
        file["Z"] = np.array(SNRS_DB)[cell % 26][:, None]
    numbers = split_frames(256, 2018).train[:4096]
    tracemalloc.start()
    try:
        with open_radioml(path) as data:
            frames = data.frames(numbers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert frames.nbytes < peak < frames.nbytes + 64 * 2**20  # the whole set has 1,248 MiB
