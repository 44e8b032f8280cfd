"""The matrix-vector unit against numpy, for every shape of folding and kind of data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataflow.integer_model import Codes, reachable
from pipeline.dataflow.kernel import Kernel
from pipeline.dataflow.operators import folded_weights
from pipeline.dataflow.tables import table_text
from tests.hw.bench import STALLED, Bench, Words, bench

FRAMES = 24


@dataclass(frozen=True)
class Case:
    """mw, mh: shape of the matrix; the rest as the module's parameters."""

    mw: int
    mh: int
    pe: int
    simd: int
    in_bits: int
    signed: bool
    weight_bits: int

    @property
    def into(self) -> Words:
        return Words(self.in_bits, self.signed, self.simd, self.mw // self.simd)

    def matrix(self) -> np.ndarray:
        """(mh, mw), its first row the lowest weight throughout: the farthest accumulator."""
        rng = np.random.default_rng(self.mw * 31 + self.mh)
        top = 2 ** (self.weight_bits - 1) - 1
        matrix = rng.integers(-top - 1, top + 1, (self.mh, self.mw))
        matrix[0] = -top - 1
        return matrix

    def accumulator(self, matrix: np.ndarray) -> Codes:
        low, high = reachable(matrix[:, None], Codes(self.into.low, self.into.high))
        return Codes(min(int(low.min()), 0), max(int(high.max()), 0))

    def kernel(self, matrix: np.ndarray) -> Kernel:
        parameters: dict[str, int | str] = {
            "MatrixWidth": self.mw,
            "MatrixHeight": self.mh,
            "Pe": self.pe,
            "Simd": self.simd,
            "InBits": self.in_bits,
            "InSigned": int(self.signed),
            "WeightBits": self.weight_bits,
            "AccBits": self.accumulator(matrix).bits,
            "WeightFile": "weights.mem",
        }
        text = table_text(folded_weights(matrix.T, self.pe, self.simd), self.weight_bits)
        return Kernel("matrix_vector_unit", parameters, {"weights.mem": text})

    def bench(self, folder: Path) -> Bench:
        matrix = self.matrix()
        codes = self.accumulator(matrix)
        out = Words(codes.bits, True, self.pe, self.mh // self.pe)
        return bench(folder, self.kernel(matrix), self.into, out)

    def vectors(self) -> np.ndarray:
        """Random vectors, and the two that drive row 0 to its ends."""
        vectors = self.into.random(FRAMES)
        vectors[0], vectors[1] = self.into.low, self.into.high
        return vectors


CASES = {
    "one element at a time": Case(6, 4, 1, 1, 4, False, 4),
    "fully parallel": Case(5, 3, 3, 5, 4, True, 4),
    "groups of eight and a rest": Case(33, 4, 2, 11, 3, False, 5),
    "eight bits": Case(24, 6, 3, 4, 8, False, 8),
    "two bits": Case(16, 8, 4, 16, 2, True, 2),
    "one row": Case(12, 1, 1, 3, 1, False, 4),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_multiplies_at_one_word_a_cycle(case: Case, tmp_path: Path) -> None:
    unit, vectors = case.bench(tmp_path), case.vectors()
    expected = vectors @ case.matrix().T
    free = unit.run(vectors)
    assert np.array_equal(free.values["output"], expected)
    assert free.interval == (case.mw // case.simd) * (case.mh // case.pe)
    for stalls in STALLED:
        assert np.array_equal(unit.run(vectors, stalls).values["output"], expected)


def test_another_weight_and_another_sign_are_noticed(tmp_path: Path) -> None:
    case = CASES["one element at a time"]
    unit, vectors = case.bench(tmp_path), case.vectors()
    expected = vectors @ case.matrix().T
    matrix = case.matrix()
    matrix[2, 3] ^= 1
    (tmp_path / "weights.mem").write_text(case.kernel(matrix).tables["weights.mem"])
    wrong = np.argwhere(unit.outputs(vectors) != expected)
    assert set(wrong[:, 1]) == {2}
    assert np.array_equal(unit.outputs(vectors), vectors @ matrix.T)
