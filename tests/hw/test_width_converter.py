"""The width converter: the same elements in words of any other width."""

import pytest

from tests.hw.examples import converter
from tests.hw.matrix import STALLS, Matrix, build_matrix

WORDS = 420
CASES = {
    f"{bits} bits, {entering} to {leaving}": converter(bits, entering, leaving, WORDS)
    for bits, entering, leaving in [
        (8, 1, 3),
        (4, 1, 20),
        (3, 2, 4),
        (8, 3, 1),
        (4, 28, 1),
        (9, 4, 2),
        (1, 7, 1),
        (4, 3, 5),
        (4, 5, 3),
        (5, 6, 4),
        (3, 7, 12),
        (6, 3, 3),
    ]
}
BOTTOM_UP = "{in0_V_TDATA[InBits-1:0], wide[WideBits-1:InBits]}"
TOP_DOWN = "{wide[WideBits-InBits-1:0], in0_V_TDATA[InBits-1:0]}"
HELD = "assign in0_V_TREADY = !wide_valid || wide_ready;"
FAULTS = {
    "parts are collected in reverse": ("8 bits, 1 to 3", (BOTTOM_UP, TOP_DOWN)),
    "parts leave in reverse": (
        "8 bits, 3 to 1",
        ("= rest_q[OutBits-1:0]", "= rest_q[WideBits-1 -: OutBits]"),
    ),
    "a part is missing": ("4 bits, 1 to 20", ("CountBits'(Collected - 1)", "'1")),
    "a part comes twice": ("4 bits, 3 to 5", ("rest_q >> OutBits", "rest_q")),
    "a collected word is not held": ("3 bits, 2 to 4", (HELD, "assign in0_V_TREADY = 1'b1;")),
    "parts are not held": ("9 bits, 4 to 2", ("= !out0_V_TVALID || out0_V_TREADY", "= 1'b1")),
    "a part is overwritten": ("4 bits, 5 to 3", ("(!out0_V_TVALID || last)", "1'b1")),
}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return build_matrix(tmp_path_factory.mktemp("converters"), WORDS, CASES, FAULTS)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stalls", STALLS)
def test_elements_keep_their_order(matrix: Matrix, name: str, stalls: str) -> None:
    assert matrix.agrees(name, stalls)


@pytest.mark.parametrize("name", CASES)
def test_a_word_a_cycle_on_the_narrow_side(matrix: Matrix, name: str) -> None:
    assert matrix.interval(name) == CASES[name].cycles


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_noticed(matrix: Matrix, fault: str) -> None:
    assert matrix.notices(fault, "random 40")
