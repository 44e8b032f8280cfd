"""The max-pool against numpy."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataflow.kernel import Kernel
from tests.hw.bench import STALLED, Bench, Words, bench


@dataclass(frozen=True)
class Case:
    channels: int
    pe: int
    bits: int
    signed: bool
    kernel: int
    positions: int

    @property
    def into(self) -> Words:
        return Words(self.bits, self.signed, self.pe, self.positions * self.channels // self.pe)

    def bench(self, folder: Path, signed: bool) -> Bench:
        parameters = {
            "Channels": self.channels,
            "Pe": self.pe,
            "Bits": self.bits,
            "Signed": int(signed),
            "Kernel": self.kernel,
            "Positions": self.positions,
        }
        words = self.positions // self.kernel * self.channels // self.pe
        out = Words(self.bits, self.signed, self.pe, words)
        return bench(folder, Kernel("max_pool", parameters, {}), self.into, out)

    def expected(self, frames: np.ndarray) -> np.ndarray:
        kept = self.positions // self.kernel
        windows = frames.reshape(len(frames), self.positions, self.channels)
        windows = windows[:, : kept * self.kernel]
        shape = (len(frames), kept, self.kernel, self.channels)
        return windows.reshape(shape).max(axis=2).reshape(len(frames), -1)


CASES = {
    "one channel at a time": Case(3, 1, 4, False, 2, 8),
    "all channels at once": Case(3, 3, 4, True, 2, 6),
    "a rest that is dropped": Case(4, 2, 5, True, 3, 11),
    "one bit": Case(2, 2, 1, False, 4, 8),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_takes_a_word_a_cycle(case: Case, tmp_path: Path) -> None:
    pool, frames = case.bench(tmp_path, case.signed), case.into.random(20)
    expected = case.expected(frames)
    free = pool.run(frames)
    assert np.array_equal(free.values["output"], expected)
    assert free.interval == case.into.words
    for stalls in STALLED:
        assert np.array_equal(pool.run(frames, stalls).values["output"], expected)


def test_a_signed_stream_taken_for_unsigned_is_noticed(tmp_path: Path) -> None:
    case = CASES["a rest that is dropped"]
    frames = case.into.random(4)
    assert (case.bench(tmp_path, False).outputs(frames) != case.expected(frames)).any()
