"""Adder networks: they compute their layer, and the check knows when one does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.dataflow.zeros.checking import check
from pipeline.dataflow.zeros.network import (
    AdderNetwork,
    Leaf,
    Operand,
    PlanError,
    Row,
    Sum,
)
from pipeline.dataflow.zeros.planning import lut_sites, plan, timing

SEED = 5


def random_weights(outputs: int, inputs: int, share: float, bits: int = 4) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    low = -(2 ** (bits - 1))
    weights = rng.integers(low, -low, (outputs, inputs))
    return np.where(rng.random(weights.shape) < share, weights, 0)


@pytest.mark.parametrize("code_bits", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("cycles", [1, 2, 3, 4, 8, 16, 64])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_plan_computes_its_layer(code_bits: int, cycles: int, share: float) -> None:
    weights = random_weights(13, 21, share)
    network = plan(weights, code_bits, cycles)
    codes = np.random.default_rng(SEED).integers(0, 2**code_bits, (50, 21))
    codes[0], codes[1] = 0, 2**code_bits - 1
    assert np.array_equal(network.run(codes), codes @ weights.T)
    assert network.digits * network.phases <= cycles


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_weights_of_any_width(bits: int) -> None:
    weights = random_weights(9, 30, 0.4, bits)
    codes = np.random.default_rng(SEED).integers(0, 16, (30, 30))
    assert np.array_equal(plan(weights, 4, 4).run(codes), codes @ weights.T)


def test_a_layer_of_zeros_costs_next_to_nothing() -> None:
    network = plan(np.zeros((8, 12), np.int64), 4, 4)
    assert not network.run(np.full((3, 12), 15)).any()


def test_a_zero_costs_nothing() -> None:
    """LUTs follow the nonzeros, not the size."""
    few, many = random_weights(32, 96, 0.02), random_weights(32, 96, 0.6)
    padded = np.pad(few, ((0, 0), (0, 500)))
    assert lut_sites(plan(padded, 4, 4)) == lut_sites(plan(few, 4, 4))
    assert lut_sites(plan(few, 4, 4)) < lut_sites(plan(many, 4, 4)) / 5


@pytest.mark.parametrize(
    ("code_bits", "cycles", "expected"),
    [
        (4, 1, (4, 1, 1)),
        (4, 2, (2, 2, 1)),
        (4, 3, (2, 2, 1)),
        (4, 4, (1, 4, 1)),
        (4, 32, (1, 4, 8)),
        (4, 4096, (1, 4, 16)),
        (8, 4, (2, 4, 1)),
        (5, 3, (2, 3, 1)),
        (1, 2, (1, 1, 2)),
    ],
)
def test_how_a_window_is_taken_apart(
    code_bits: int, cycles: int, expected: tuple[int, int, int]
) -> None:
    found = timing(code_bits, cycles)
    assert (found.digit_bits, found.digits, found.phases) == expected


# --- the check ----------------------------------------------------------------------------------


def change_leaf(network: AdderNetwork, change: Callable[[Leaf], Leaf]) -> AdderNetwork:
    """The same with its first leaf of several lanes changed."""
    nodes = list(network.nodes)
    place = next(i for i, x in enumerate(nodes) if isinstance(x, Leaf) and len(x.lanes) > 1)
    leaf = nodes[place]
    assert isinstance(leaf, Leaf)
    nodes[place] = change(leaf)
    return replace(network, nodes=tuple(nodes))


def other_weight(leaf: Leaf) -> Leaf:
    first = (leaf.weights[0][0] + 1, *leaf.weights[0][1:])
    return replace(leaf, weights=(first, *leaf.weights[1:]))


def other_lane(leaf: Leaf) -> Leaf:
    return replace(leaf, lanes=(leaf.lanes[1], leaf.lanes[0], *leaf.lanes[2:]))


def without_a_weight(leaf: Leaf) -> Leaf:
    return Leaf(leaf.lanes[1:], tuple(row[1:] for row in leaf.weights))


def change_row(network: AdderNetwork, change: Callable[[Row], Row]) -> AdderNetwork:
    """The same with its widest row changed."""
    rows = list(network.rows)
    place = max(range(len(rows)), key=lambda i: rows[i].bits)
    rows[place] = change(rows[place])
    return replace(network, rows=tuple(rows))


def narrower(network: AdderNetwork) -> AdderNetwork:
    return change_row(network, lambda row: replace(row, bits=row.bits - 2))


def narrower_sum(network: AdderNetwork) -> AdderNetwork:
    nodes = [replace(x, bits=x.bits - 2) if isinstance(x, Sum) else x for x in network.nodes]
    return replace(network, nodes=tuple(nodes))


def other_offset(network: AdderNetwork) -> AdderNetwork:
    return replace(network, offsets={**network.offsets, 3: network.offsets[3] + 1})


def output_twice(network: AdderNetwork) -> AdderNetwork:
    return replace(network, rows=(*network.rows, network.rows[0]))


def output_missing(network: AdderNetwork) -> AdderNetwork:
    return replace(network, rows=network.rows[:-1])


def operand_twice(network: AdderNetwork) -> AdderNetwork:
    return change_row(
        network,
        lambda row: replace(row, operands=(*row.operands, row.operands[0]), bits=row.bits + 2),
    )


def unequal_levels(network: AdderNetwork) -> AdderNetwork:
    """One more operand, which is always 0 but comes too early."""
    early = Leaf((), ((),) * network.phases)
    operand = Operand(len(network.nodes))
    changed = change_row(
        network, lambda row: replace(row, operands=(*row.operands, operand), bits=row.bits + 1)
    )
    return replace(changed, nodes=(*network.nodes, early))


FAULTS = {
    "weight": lambda n: change_leaf(n, other_weight),
    "lane": lambda n: change_leaf(n, other_lane),
    "weight missing": lambda n: change_leaf(n, without_a_weight),
    "accumulator": narrower,
    "sum": narrower_sum,
    "offset": other_offset,
    "output twice": output_twice,
    "output missing": output_missing,
    "operand twice": operand_twice,
    "levels": unequal_levels,
}


@pytest.mark.parametrize("cycles", [1, 2, 16])
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, cycles: int) -> None:
    weights = random_weights(12, 40, 0.6)
    network = plan(weights, 4, cycles)
    check(network, weights)
    with pytest.raises(PlanError):
        check(FAULTS[name](network), weights)


def test_a_weight_on_an_empty_lane_is_found() -> None:
    weights = random_weights(12, 40, 0.6)
    network = plan(weights, 4, 16)
    lanes = tuple(replace(x, sources=(None, *x.sources[1:])) for x in network.lanes)
    with pytest.raises(PlanError, match="carries nothing"):
        check(replace(network, lanes=lanes), weights)
