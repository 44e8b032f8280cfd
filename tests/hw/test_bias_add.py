"""The bias adder against numpy."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataflow.kernel import Kernel
from pipeline.dataflow.tables import table_text
from tests.hw.bench import STALLED, Bench, Words, bench

CHANNELS = 6
BIAS = np.array([-100, 0, 100, -128, 127, 1])


def adder(folder: Path, pe: int, into: Words) -> Bench:
    parameters: dict[str, int | str] = {
        "Channels": CHANNELS,
        "Pe": pe,
        "InBits": into.bits,
        "InSigned": int(into.signed),
        "OutBits": 9,
        "BiasFile": "bias.mem",
    }
    table = table_text(BIAS.reshape(-1, pe), 9)
    kernel = Kernel("bias_add", parameters, {"bias.mem": table})
    return bench(folder, kernel, into, Words(9, True, pe, CHANNELS // pe))


@pytest.mark.parametrize(("pe", "bits", "signed"), [(1, 8, True), (3, 7, False), (6, 8, True)])
def test_it_adds_a_word_a_cycle(pe: int, bits: int, signed: bool, tmp_path: Path) -> None:
    into = Words(bits, signed, pe, CHANNELS // pe)
    unit, frames = adder(tmp_path, pe, into), into.random(40)
    free = unit.run(frames)
    assert np.array_equal(free.values["output"], frames + BIAS)
    assert free.interval == into.words
    for stalls in STALLED:
        assert np.array_equal(unit.run(frames, stalls).values["output"], frames + BIAS)


def test_another_constant_is_noticed(tmp_path: Path) -> None:
    into = Words(8, True, 1, CHANNELS)
    unit, frames = adder(tmp_path, 1, into), into.random(5)
    lines = (tmp_path / "bias.mem").read_text().splitlines()
    (tmp_path / "bias.mem").write_text("\n".join([*lines[:4], lines[5], lines[4], ""]))
    wrong = np.argwhere(unit.outputs(frames) != frames + BIAS)
    assert set(wrong[:, 1]) == {4, 5}
