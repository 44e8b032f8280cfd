"""The synthetic set: frames of any class at any SNR, reproducible from a seed.

It stands in for RadioML 2018.01A where that cannot be had. Its constants were fitted by asking
networks trained on the real set, so accuracy on it says nothing about accuracy on real data.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pipeline.radio.channel import CHANNEL, ChannelParameters, receive
from pipeline.radio.modulations import FRAME, MODULATIONS, MODULATORS, SOURCES

SNRS_DB: tuple[int, ...] = tuple(range(-20, 32, 2))
"""Signal-to-noise ratios of RadioML 2018.01A."""

BATCH = 64
"""Frames made at once. Cells are divided at multiples of it, whoever asks for how many frames,
since every batch has its own seed."""

GENERATOR_VERSION = 4
"""Counted up whenever the same seed gives other frames."""

Frames = NDArray[np.float32]


def synthesise(
    label: int,
    snr_db: NDArray[np.floating],
    rng: np.random.Generator,
    channel: ChannelParameters = CHANNEL,
) -> Frames:
    """Frames (n, 1024, 2) float32 of class ``label``, one for each SNR in ``snr_db`` (n,)."""
    signal = MODULATORS[MODULATIONS[label]](len(snr_db), rng)
    received = receive(signal, snr_db, rng, channel)
    return received.view(np.float32).reshape(len(snr_db), FRAME, 2)


@dataclass(frozen=True)
class Generator:
    """An endless set: any number of frames in each cell, determined by ``seed`` and ``channel``."""

    seed: int
    channel: ChannelParameters = CHANNEL

    def cell(self, label: int, snr_db: int, start: int, stop: int) -> Frames:
        """Frames ``start`` to ``stop`` of the cell (label, SNR).

        The result does not depend on how a cell is divided into calls.
        """
        first = start // BATCH
        last = -(-stop // BATCH)
        batches = [self._batch(label, snr_db, index) for index in range(first, last)]
        return np.concatenate(batches)[start - first * BATCH : stop - first * BATCH]

    def _batch(self, label: int, snr_db: int, index: int) -> Frames:
        """Batch ``index`` of a cell, from a random stream of its own."""
        sequence = np.random.SeedSequence([self.seed, label, SNRS_DB.index(snr_db), index])
        snrs_db = np.full(BATCH, float(snr_db))
        return synthesise(label, snrs_db, np.random.default_rng(sequence), self.channel)

    def parameters(self) -> dict[str, object]:
        """Everything, apart from the seed, that the frames depend on."""
        return {
            "generator_version": GENERATOR_VERSION,
            "sources": asdict(SOURCES),
            "channel": asdict(self.channel),
        }


def cells() -> Iterator[tuple[int, int]]:
    """All (label, SNR), in RadioML's order."""
    return product(range(len(MODULATIONS)), SNRS_DB)


def sample_cells(count: int, seed: int) -> NDArray[np.int64]:
    """The cells of `sample_frames`, (count, 2): label and SNR in dB."""
    cells_of, _ = _sample_streams(seed)
    every = np.array(list(cells()), dtype=np.int64)
    rounds = [cells_of.permutation(len(every)) for _ in range(-(-count // len(every)))]
    return every[np.concatenate([np.empty(0, np.int64), *rounds])[:count]]


def sample_frames(count: int, seed: int) -> tuple[Frames, NDArray[np.int64], NDArray[np.int64]]:
    """``count`` frames spread evenly over all classes and SNRs, to test a network with.

    Returns frames (count, 1024, 2) float32, labels (count,) and SNRs in dB (count,), both int64.
    Fewer frames of the same seed are the first of more. They are independent of every data set.
    """
    chosen, (_, rng) = sample_cells(count, seed), _sample_streams(seed)
    frames = [synthesise(int(label), np.array([float(snr)]), rng)[0] for label, snr in chosen]
    return np.stack(frames), chosen[:, 0], chosen[:, 1]


def _sample_streams(seed: int) -> list[np.random.Generator]:
    """Random streams of the cells and of what happens in them."""
    streams = np.random.SeedSequence([seed, len(MODULATIONS) * len(SNRS_DB)]).spawn(2)
    return [np.random.default_rng(stream) for stream in streams]
