"""Sums of products as truth tables and adders: the arithmetic of one layer, as a value.

A layer's window arrives digit by digit, the most significant first.  A *lane* is one bit of it, or
one of several bits by turns (phases).  A *leaf* is a truth table: the sum of the weights whose lane
is 1.  *Adders* of up to three operands sum the leaves of an output, and the last one of these
shifts and accumulates over the digits.  Zeros appear nowhere.

Everything is unsigned: what a leaf can fall below zero by is its offset, and the offsets of an
output are a constant that its quantizer takes away.  Every node is registered and has a level, the
number of registers since the window; operands of an adder have the same level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class PlanError(Exception):
    """A plan is not the layer it was made for: a fault of the planner."""


@dataclass(frozen=True)
class Lane:
    """Which bit of the window's digits it carries in each phase; None: none, and it has no weight.

    With one phase it is that bit itself; with more it is selected and registered.
    """

    sources: tuple[int | None, ...]


@dataclass(frozen=True)
class Leaf:
    """weights[phase][i] goes with lane i of `lanes`."""

    lanes: tuple[int, ...]
    weights: tuple[tuple[int, ...], ...]

    def offset(self, phase: int) -> int:
        """What is added so that no sum is negative."""
        return -sum(w for w in self.weights[phase] if w < 0)

    def sum(self, phase: int, bits: int) -> int:
        """The value for lanes whose bits are those of an integer."""
        chosen = (w for i, w in enumerate(self.weights[phase]) if bits >> i & 1)
        return self.offset(phase) + sum(chosen)

    @property
    def largest(self) -> int:
        """The largest value in any phase."""
        return max(sum(map(abs, row)) for row in self.weights)

    @property
    def bits(self) -> int:
        """Of its value."""
        return max(1, self.largest.bit_length())


@dataclass(frozen=True)
class Operand:
    """A node's value, shifted left; inverted: every bit of it before that."""

    node: int
    shift: int = 0
    inverted: bool = False


@dataclass(frozen=True)
class Sum:
    """Sum of up to three operands; of one, only a register.  bits: of its value."""

    operands: tuple[Operand, ...]
    bits: int


Node = Leaf | Sum


@dataclass(frozen=True)
class Row:
    """One accumulator: acc = (0 at the first digit, else acc << digit bits) + operands.

    outputs: the output that it belongs to in each phase, None where it is padding; bits: of it.
    """

    operands: tuple[Operand, ...]
    outputs: tuple[int | None, ...]
    bits: int


@dataclass(frozen=True)
class AdderNetwork:
    """The arithmetic of a layer.

    inputs: bits of the window's digits, input i's bit p at `i * digit_bits + p`; digits: of a
    window; phases: of an evaluation, which has all digits in each; nodes: each after its operands;
    levels: registers between the window (or the lanes) and the operands of the rows; offsets: what
    is in each output's accumulator beside the sum of products.
    """

    inputs: int
    digit_bits: int
    digits: int
    phases: int
    lanes: tuple[Lane, ...]
    nodes: tuple[Node, ...]
    rows: tuple[Row, ...]
    levels: int
    offsets: Mapping[int, int]

    @property
    def phase_bits(self) -> int:
        """Of the number of a phase; 0 where there is one."""
        return (self.phases - 1).bit_length()

    @property
    def accumulator_bits(self) -> int:
        """Of the widest accumulator."""
        return max(row.bits for row in self.rows)

    @property
    def idle(self) -> int:
        """Places of truth tables that are empty in some phase, because another phase has more."""
        leaves = (node for node in self.nodes if isinstance(node, Leaf))
        empty = sum(w == 0 for leaf in leaves for row in leaf.weights for w in row)
        return empty // self.digit_bits

    def run(self, codes: Integers) -> Integers:
        """Sums of products (n, outputs) for windows of unsigned codes (n, inputs / digit bits).

        As the hardware computes them: digit by digit, phase by phase, through every truth table.
        """
        result = np.zeros((len(codes), len(self.offsets)), np.int64)
        for phase in range(self.phases):
            sums = [np.zeros(len(codes), np.int64) for _ in self.rows]
            for digit in reversed(range(self.digits)):
                values = self._values(_digit(codes, digit, self.digit_bits), phase)
                sums = [
                    (total << self.digit_bits) + _total(self.nodes, row.operands, values)
                    for total, row in zip(sums, self.rows, strict=True)
                ]
            for row, total in zip(self.rows, sums, strict=True):
                _require_fit(total, row.bits)
                output = row.outputs[phase]
                if output is not None:
                    result[:, output] = total - self.offsets[output]
        return result

    def _values(self, bits: Integers, phase: int) -> list[Integers]:
        values: list[Integers] = []
        for node in self.nodes:
            if isinstance(node, Leaf):
                values.append(self._looked_up(node, bits, phase))
            else:
                values.append(_total(self.nodes, node.operands, values))
                _require_fit(values[-1], node.bits)
        return values

    def _looked_up(self, leaf: Leaf, bits: Integers, phase: int) -> Integers:
        index = np.zeros(len(bits), np.int64)
        for place, lane in enumerate(leaf.lanes):
            source = self.lanes[lane].sources[phase]
            if source is not None:
                index |= bits[:, source] << place
        table = [leaf.sum(phase, value) for value in range(2 ** len(leaf.lanes))]
        return np.array(table)[index]


def _digit(codes: Integers, digit: int, bits: int) -> Integers:
    """Bits (n, inputs * bits) of one digit of all codes."""
    places = digit * bits + np.arange(bits)
    return (codes[:, :, None] >> places & 1).reshape(len(codes), -1)


def _total(
    nodes: Sequence[Node], operands: Sequence[Operand], values: Sequence[Integers]
) -> Integers:
    total = np.zeros_like(values[operands[0].node])
    for x in operands:
        value = values[x.node]
        if x.inverted:
            value = ones(nodes, x) - value
        total = total + (value << x.shift)
    return total


def _require_fit(values: Integers, bits: int) -> None:
    if (values >> bits).any():
        raise PlanError(f"a sum of {bits} bits overflows")


def ones(nodes: Sequence[Node], operand: Operand) -> int:
    """All bits of an operand's node."""
    return (1 << nodes[operand.node].bits) - 1


def largest(nodes: Sequence[Node], operand: Operand) -> int:
    """The largest value of an operand."""
    node = nodes[operand.node]
    if operand.inverted:
        return ones(nodes, operand) << operand.shift
    if isinstance(node, Leaf):
        return node.largest << operand.shift
    return sum(largest(nodes, x) for x in node.operands) << operand.shift


def digits_of(digit_bits: int, digits: int) -> int:
    """What a constant that is added with every digit comes to in the accumulator."""
    return sum(1 << digit_bits * d for d in range(digits))


# --- linear forms -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """A value as a sum over the window's bits, and a constant."""

    weights: Mapping[int, int]
    constant: int


def forms(nodes: Sequence[Node], lanes: Sequence[Lane], phase: int) -> list[Form]:
    """What every node is in a phase."""
    found: list[Form] = []
    for node in nodes:
        if isinstance(node, Leaf):
            found.append(_leaf_form(node, lanes, phase))
        else:
            found.append(summed(nodes, node.operands, found))
    return found


def _leaf_form(leaf: Leaf, lanes: Sequence[Lane], phase: int) -> Form:
    weights: dict[int, int] = {}
    for lane, weight in zip(leaf.lanes, leaf.weights[phase], strict=True):
        source = lanes[lane].sources[phase]
        if source is not None:
            weights[source] = weights.get(source, 0) + weight
        elif weight:
            raise PlanError("a weight lies on a lane that carries nothing")
    return Form(weights, leaf.offset(phase))


def summed(nodes: Sequence[Node], operands: Sequence[Operand], of: Sequence[Form]) -> Form:
    """The sum of operands, where `of` are their nodes' forms."""
    weights: dict[int, int] = {}
    constant = 0
    for x in operands:
        sign, start = (-1, ones(nodes, x)) if x.inverted else (1, 0)
        constant += (start + sign * of[x.node].constant) << x.shift
        for source, weight in of[x.node].weights.items():
            weights[source] = weights.get(source, 0) + (sign * weight << x.shift)
    return Form(weights, constant)
