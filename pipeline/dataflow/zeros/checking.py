"""Proves that an adder network is the layer it was made for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.zeros.network import (
    AdderNetwork,
    Form,
    Leaf,
    Operand,
    PlanError,
    Row,
    Sum,
    digits_of,
    forms,
    largest,
    summed,
)

Integers = NDArray[np.int64]


def check(network: AdderNetwork, weights: Integers) -> None:
    """Raises PlanError unless every output is the sum of its weights' products, each exactly once.

    weights: (outputs, inputs).  Every node is taken as the linear form of the window's bits that it
    is; of an output's accumulator, that has to be its row of `weights` and the constant that is its
    offset.  No sum may be too large for its bits, and what is added must have the same level.
    """
    seen: list[int] = []
    for phase in range(network.phases):
        found = forms(network.nodes, network.lanes, phase)
        for row in network.rows:
            output = row.outputs[phase]
            if output is not None:
                seen.append(output)
                form = summed(network.nodes, row.operands, found)
                _require_row(network, output, form, weights[output])
    if sorted(seen) != list(range(len(weights))):
        raise PlanError(f"{len(weights)} outputs are to be computed once, but {sorted(seen)} are")
    _require_widths(network)
    _require_levels(network)


def _require_row(network: AdderNetwork, output: int, form: Form, weights: Integers) -> None:
    found = np.zeros(network.inputs, np.int64)
    for source, weight in form.weights.items():
        found[source] = weight
    wanted = (weights[:, None] << np.arange(network.digit_bits)).reshape(-1)
    if not np.array_equal(found, wanted):
        place = int(np.flatnonzero(found != wanted)[0])
        why = f"bit {place} of the window has the weight {found[place]}, not {wanted[place]}"
        raise PlanError(f"output {output}: {why}")
    offset = form.constant * digits_of(network.digit_bits, network.digits)
    if network.offsets[output] != offset:
        raise PlanError(f"output {output}: the offset is {offset}, not {network.offsets[output]}")


def _require_widths(network: AdderNetwork) -> None:
    digits = digits_of(network.digit_bits, network.digits)
    for node in network.nodes:
        if not isinstance(node, Leaf):
            _require_width(network, node, 1)
    for row in network.rows:
        _require_width(network, row, digits)


def _require_width(network: AdderNetwork, total: Sum | Row, times: int) -> None:
    most = times * sum(largest(network.nodes, x) for x in total.operands)
    if most >> total.bits:
        raise PlanError(f"a sum that reaches {most} has {total.bits} bits")


def _require_levels(network: AdderNetwork) -> None:
    levels: list[int] = []
    for node in network.nodes:
        levels.append(1 if isinstance(node, Leaf) else _level(levels, node.operands) + 1)
    for row in network.rows:
        if _level(levels, row.operands) != network.levels:
            raise PlanError(f"operands of a row have another level than {network.levels}")


def _level(levels: Sequence[int], operands: Sequence[Operand]) -> int:
    found = {levels[x.node] for x in operands}
    if len(found) != 1:
        raise PlanError(f"operands of one sum have the levels {sorted(found)}")
    return found.pop()
