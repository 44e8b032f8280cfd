"""Which LUTs share a site, and what takes one without being a LUT."""

import itertools
import random

import pytest

from pipeline.synth.cells import usage
from pipeline.synth.netlist import Cell
from pipeline.synth.sites import Lut, Shared, _nested, luts, passed, shared

OUTPUT = 90


def lut(*nets: int, out: int = OUTPUT) -> Cell:
    return Cell(f"LUT{len(nets)}", {}, {f"I{i}": (n,) for i, n in enumerate(nets)} | {"O": (out,)})


def chain(*selects: int) -> Cell:
    return Cell("CARRY4", {}, {"S": selects, "DI": (7,) * 4, "CI": (0,), "O": (0,) * 4})


@pytest.mark.parametrize(
    ("cells", "nested", "common"),
    [
        ([lut(1, 2, 3, 4), lut(1, 2, 3)], 1, 0),  # a bit of three operands, and what it carries
        ([lut(1, 2, 3, 4, 5), lut(1, 2, 3, 4, 5)], 1, 0),
        ([lut(1, 2), lut(1, 2), lut(1, 2)], 1, 0),  # two to a site
        ([lut(1, 2, 3), lut(3, 4, 5)], 0, 1),  # five inputs together, but new wires
        ([lut(1, 2, 3), lut(3, 4, 5, 6)], 0, 0),  # six
        ([lut(1, 2), lut(3, 4)], 0, 0),  # nothing in common
        ([lut(1, 2, 3, 4, 5, 6), lut(1, 2)], 0, 0),  # one takes all of its site
        ([Cell("INV", {}, {"I": (1,), "O": (OUTPUT,)}), lut(1, 2)], 1, 0),
        ([lut(0, 2), lut(2, 3)], 1, 0),  # a constant is no input
        ([Cell("LUT4", {}, {"A": (1,), "Z": (2,)})] * 2, 0, 0),  # of an ECP5
    ],
)
def test_luts_that_share_a_site(cells: list[Cell], nested: int, common: int) -> None:
    for order in itertools.permutations(cells):
        assert shared(order) == Shared(nested, common)


def test_a_site_has_one_output_into_a_chain() -> None:
    """Two LUTs of the same inputs, both in front of a carry chain, are two sites."""
    both = [lut(1, 2, out=11), lut(1, 2, out=12)]
    assert shared([*both, chain(11, 0, 0, 0)]) == Shared(1, 0)
    assert shared([*both, chain(11, 12, 0, 0)]) == Shared(0, 0)
    mux = Cell("MUXF7", {}, {"I0": (11,), "I1": (12,), "S": (3,), "O": (13,)})
    assert shared([*both, mux]) == Shared(0, 0)


def test_what_goes_into_a_chain_without_a_lut_takes_a_site() -> None:
    first, second = chain(11, 5, 0, 0), chain(5, 11, 6, 0)
    assert passed([lut(1, 2, out=11), first]) == 1  # 5, which is no LUT's
    assert passed([lut(1, 2, out=11), first, second]) == 4  # 5 twice, 11 a second time, 6
    assert passed([chain(0, 0, 0, 0)]) == 0
    assert usage([lut(1, 2, out=11), first], {}).lut == 2


def test_no_other_choice_of_pairs_is_much_better() -> None:
    """Of random small sets the greedy choice is sometimes one pair short, never more."""
    rng, short = random.Random(1), 0
    for _ in range(300):
        own = [
            Lut(frozenset(rng.sample(range(4), rng.randint(1, 3))), rng.random() < 0.3)
            for _ in range(7)
        ]
        found, rest = _nested(own)
        assert len(rest) == len(own) - 2 * found
        best = most_pairs(own)
        assert best - 1 <= found <= best
        short += best - found
    assert short < 60


def most_pairs(own: list[Lut]) -> int:
    """Of all ways to pair them."""
    if len(own) < 2:
        return 0
    first, rest = own[0], own[1:]
    tries = [most_pairs(rest)]
    for index, other in enumerate(rest):
        nested = first.inputs <= other.inputs or other.inputs <= first.inputs
        if nested and not (first.fixed and other.fixed):
            tries.append(1 + most_pairs(rest[:index] + rest[index + 1 :]))
    return max(tries)


def test_which_luts_are_looked_at() -> None:
    cells = [lut(1, 2, out=11), lut(1, 2, 3, 4, 5, 6), chain(11, 0, 0, 0)]
    assert luts(cells) == [Lut(frozenset({1, 2}), fixed=True)]
