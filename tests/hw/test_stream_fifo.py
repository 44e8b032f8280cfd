"""The FIFO keeps order, loses nothing, and moves a word a cycle."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataflow.operators import Kernel
from tests.hw.bench import Words, bench


@pytest.mark.parametrize(("depth", "bits"), [(2, 8), (3, 16), (32, 8), (33, 24)])
def test_words_leave_as_they_came(depth: int, bits: int, tmp_path: Path) -> None:
    words = Words(bits, False, 1, 16)
    fifo = bench(
        tmp_path, Kernel("stream_fifo", {"Bits": bits, "Depth": depth}, {}), words, words
    )
    frames = words.random(40)
    free = fifo.run(frames)
    assert np.array_equal(free.values["output"], frames)
    assert free.interval == words.words
    assert free.latency == words.words  # the last of 16 words, a cycle after it came
    for seed in (1, 2, 3):
        assert np.array_equal(fifo.run(frames, 50, seed).values["output"], frames)


def test_a_fifo_holds_what_its_depth_says(tmp_path: Path) -> None:
    """While the reader sleeps for bursts, the writer gets ahead: the slower end sets the pace."""
    words = Words(8, False, 1, 64)
    cycles = []
    for depth in (2, 64):
        folder = tmp_path / str(depth)
        folder.mkdir()
        fifo = bench(folder, Kernel("stream_fifo", {"Bits": 8, "Depth": depth}, {}), words, words)
        cycles.append(fifo.run(words.random(40), 30, 5).cycles)
    assert cycles[1] < cycles[0]
