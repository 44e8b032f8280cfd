"""The label select against numpy: ties go to the lowest index."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataflow.kernel import Kernel
from tests.hw.bench import STALLED, Bench, Words, bench


def selector(folder: Path, into: Words, signed: bool) -> Bench:
    labels = into.elements * into.words
    parameters = {
        "Labels": labels,
        "Pe": into.elements,
        "Bits": into.bits,
        "Signed": int(signed),
    }
    out = Words(8 if labels <= 256 else 16, False, 1, 1)
    return bench(folder, Kernel("label_select", parameters, {}), into, out)


CASES = {
    "one logit at a time": Words(14, True, 1, 24),
    "some at once": Words(3, True, 4, 6),
    "all at once": Words(3, False, 5, 1),
    "more labels than a byte holds": Words(4, True, 1, 300),
}


@pytest.mark.parametrize("into", CASES.values(), ids=CASES.keys())
def test_the_largest_is_found_at_a_word_a_cycle(into: Words, tmp_path: Path) -> None:
    unit, frames = selector(tmp_path, into, into.signed), into.random(60)
    frames[0], frames[1] = into.low, into.high  # all equal
    frames[2] = into.low
    frames[2, -1] = into.high
    expected = frames.argmax(axis=1)[:, None]
    free = unit.run(frames)
    assert np.array_equal(free.values["output"], expected)
    assert free.interval == into.words
    for stalls in STALLED:
        assert np.array_equal(unit.run(frames, stalls).values["output"], expected)


def test_signed_logits_taken_for_unsigned_are_noticed(tmp_path: Path) -> None:
    into = CASES["some at once"]
    frames = into.random(20)
    assert (selector(tmp_path, into, False).outputs(frames)[:, 0] != frames.argmax(axis=1)).any()
