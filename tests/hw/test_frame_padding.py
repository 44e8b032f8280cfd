"""Zeros around frames, against numpy."""

from pathlib import Path

import pytest

from pipeline.core.errors import VerificationFailed
from tests.hw.bank import Instance, build_bank
from tests.hw.examples import PADDING, padding
from tests.hw.matrix import STALLS, Matrix, build_matrix

WORDS = 60
CASES = {
    "a word a position": padding(4, 1, 4, (1, 1), WORDS),
    "three words a position": padding(5, 3, 3, (1, 1), WORDS),
    "no zeros": padding(4, 2, 5, (0, 0), WORDS),
    "more zeros than positions": padding(3, 1, 1, (2, 2), WORDS),
    "in front only": padding(4, 5, 2, (2, 0), WORDS),
    "behind only": padding(7, 4, 12, (0, 3), WORDS),
    "a long frame": padding(1, 1, 57, (1, 2), WORDS),
}
OWN = "32'(word_q) >= Begin && 32'(word_q) < End"
FAULTS = {
    "a zero too few in front": ("a word a position", (">= Begin", ">= Begin - 1")),
    "a zero too few behind": ("behind only", ("< End;", "< End + 1;")),
    "a word in place of zeros": ("no zeros", (OWN, OWN + " && word_q != 1")),
    "the last word in place of zeros": (
        "more zeros than positions",
        (
            "own ? in0_V_TDATA[Bits-1:0] : '0",
            "own ? in0_V_TDATA[Bits-1:0] : out0_V_TDATA[Bits-1:0]",
        ),
    ),
    "zeros wait for words": ("behind only", ("(!own || in0_V_TVALID)", "in0_V_TVALID")),
    "words do not wait": ("a long frame", ("(!own || in0_V_TVALID)", "1'b1")),
    "nothing is held back": ("a word a position", ("= !out0_V_TVALID || out0_V_TREADY", "= 1'b1")),
}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return build_matrix(tmp_path_factory.mktemp("padding"), WORDS, CASES, FAULTS, PADDING)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stalls", STALLS)
def test_zeros_are_those_of_numpy(matrix: Matrix, name: str, stalls: str) -> None:
    assert matrix.agrees(name, stalls)


@pytest.mark.parametrize("name", CASES)
def test_a_word_leaves_every_cycle(matrix: Matrix, name: str) -> None:
    assert matrix.interval(name) == WORDS


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_noticed(matrix: Matrix, fault: str) -> None:
    assert matrix.notices(fault, "random 40")


def test_zeros_in_front_of_a_frame_do_not_wait_for_it(tmp_path: Path) -> None:
    example = CASES["in front only"]
    instance = Instance(
        "frame_padding",
        example.instance.parameters,
        example.instance.entering,
        example.instance.leaving,
    )
    bank = build_bank([instance], tmp_path, WORDS)
    with pytest.raises(VerificationFailed, match=f"the output has {2 * WORDS + 2 * 5} words"):
        bank.run(0, 2, example.inputs(2, 1), "none")
