"""The synthetic set depends on its seed and on nothing else."""

import itertools

import numpy as np
import pytest

from pipeline.radio.modulations import MODULATIONS
from pipeline.radio.synthetic import BATCH, SNRS_DB, Generator, sample_frames, synthesise

SEED = 11


@pytest.mark.parametrize("name", ["OOK", "FM", "OQPSK"])
def test_a_cell_does_not_depend_on_how_it_is_divided(name: str) -> None:
    label, count = MODULATIONS.index(name), 2 * BATCH + 5
    whole = Generator(SEED).cell(label, 10, 0, count)
    borders = [0, 3, BATCH, BATCH + 1, count]
    pieces = [Generator(SEED).cell(label, 10, a, b) for a, b in itertools.pairwise(borders)]
    assert (whole == np.concatenate(pieces)).all()
    assert (whole[:4] == Generator(SEED).cell(label, 10, 0, 4)).all()


def test_every_cell_batch_and_seed_is_another() -> None:
    first = Generator(SEED).cell(3, 10, 0, 1)
    others = [
        Generator(SEED).cell(3, 10, BATCH, BATCH + 1),
        Generator(SEED).cell(3, 12, 0, 1),
        Generator(SEED).cell(4, 10, 0, 1),
        Generator(SEED + 1).cell(3, 10, 0, 1),
    ]
    for other in others:
        assert (first != other).any()


@pytest.mark.parametrize("label", range(len(MODULATIONS)))
def test_frames_of_every_class(label: int) -> None:
    frames = synthesise(label, np.array([-20.0, 0.0, 30.0]), np.random.default_rng(SEED))
    assert frames.shape == (3, 1024, 2)
    assert frames.dtype == np.float32
    deviation = np.std(frames[..., 0] + 1j * frames[..., 1], axis=1)
    assert deviation == pytest.approx(np.ones(3), rel=1e-4)


def test_sample_frames_are_spread_and_reproducible() -> None:
    count = 2 * 24 * 26
    frames, labels, snrs_db = sample_frames(count, seed=SEED)
    assert frames.shape == (count, 1024, 2)
    assert frames.dtype == np.float32
    assert (np.bincount(labels) == count / 24).all()
    assert all(np.sum(snrs_db == snr) == count / 26 for snr in SNRS_DB)
    again, few_labels, _ = sample_frames(5, seed=SEED)
    assert (again == frames[:5]).all()
    assert (few_labels == labels[:5]).all()
    assert (sample_frames(5, seed=SEED + 1)[0] != again).any()
