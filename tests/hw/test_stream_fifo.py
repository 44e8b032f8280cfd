"""The FIFO keeps order, loses nothing, and moves a word a cycle."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataflow.kernel import Kernel
from tests.hw.bench import STALLED, Bench, Words, bench

WORDS = {bits: Words(bits, False, 1, 16) for bits in (8, 16, 24)}


def fifo(folder: Path, depth: int, bits: int) -> Bench:
    kernel = Kernel("stream_fifo", {"Bits": bits, "Depth": depth}, {})
    return bench(folder, kernel, WORDS[bits], WORDS[bits])


@pytest.mark.parametrize(("depth", "bits"), [(2, 8), (3, 16), (32, 8), (33, 24)])
def test_words_leave_as_they_came(depth: int, bits: int, tmp_path: Path) -> None:
    words, unit = WORDS[bits], fifo(tmp_path, depth, bits)
    frames = words.random(40)
    free = unit.run(frames)
    assert np.array_equal(free.values["output"], frames)
    assert free.interval == words.words
    assert free.latency == words.words  # the last of 16 words, a cycle after it came
    for stalls in STALLED:
        assert np.array_equal(unit.run(frames, stalls).values["output"], frames)


def test_a_deep_fifo_lets_a_bursty_writer_and_reader_go_on(tmp_path: Path) -> None:
    cycles = []
    for depth in (2, 32):
        folder = tmp_path / str(depth)
        folder.mkdir()
        cycles.append(fifo(folder, depth, 8).run(WORDS[8].random(160), "random 30", 5).cycles)
    assert cycles[1] < cycles[0]
