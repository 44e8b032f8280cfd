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
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class PlanError(Exception):
    """A plan is not the layer it was made for: a fault of the planner."""


@dataclass(frozen=True)
class Lane:
    """Which bit of the window's digits it carries in each phase; None: none, and no weight is on it.

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
    def most(self) -> int:
        """The largest value in any phase."""
        return max(sum(map(abs, row)) for row in self.weights)


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


@dataclass(frozen=True)
class Row:
    """One accumulator: acc = (0 at the first digit, else acc << digit bits) + operands.

    outputs: the output that it belongs to in each phase, None where it is padding; bits: of it.
    """

    operands: tuple[Operand, ...]
    outputs: tuple[int | None, ...]
    bits: int


Node = Leaf | Sum


@dataclass(frozen=True)
class AdderNetwork:
    """The arithmetic of a layer.

    inputs: bits of the window's digits, input i's bit p at `i * digit_bits + p`; digits: of a
    window, whose phases follow each other; nodes: each after its operands; levels: registers between
    the window (or the lanes) and the operands of the rows.
    """

    inputs: int
    digit_bits: int
    digits: int
    phases: int
    lanes: tuple[Lane, ...]
    nodes: tuple[Node, ...]
    rows: tuple[Row, ...]
    levels: int
    offsets: Mapping[int, int] = field(default_factory=dict)
    """What is in each output's accumulator beside the sum of products."""

    def bits(self, node: int) -> int:
        """Bits of a node's value."""
        found = self.nodes[node]
        return max(1, found.most.bit_length()) if isinstance(found, Leaf) else found.bits

    @cached_property
    def accumulator_bits(self) -> int:
        """Bits of the widest accumulator."""
        return max(row.bits for row in self.rows)

    def run(self, codes: Integers) -> Integers:
        """Sums of products (n, outputs) for windows of unsigned codes (n, inputs / digit bits).

        As the hardware computes them: digit by digit, phase by phase, through every truth table.
        """
        outputs = sum(o is not None for row in self.rows for o in row.outputs)
        result = np.zeros((len(codes), outputs), np.int64)
        for phase in range(self.phases):
            sums = [np.zeros(len(codes), np.int64) for _ in self.rows]
            for digit in reversed(range(self.digits)):
                values = self._values(self._bits_of(codes, digit), phase)
                for index, row in enumerate(self.rows):
                    sums[index] <<= self.digit_bits
                    sums[index] = sums[index] + self._total(row.operands, values)
            for row, total in zip(self.rows, sums, strict=True):
                if (total >> row.bits).any():
                    raise PlanError(f"the accumulator of outputs {row.outputs} overflows")
                output = row.outputs[phase]
                if output is not None:
                    result[:, output] = total - self.offsets[output]
        return result

    def _bits_of(self, codes: Integers, digit: int) -> Integers:
        places = digit * self.digit_bits + np.arange(self.digit_bits)
        return (codes[:, :, None] >> places & 1).reshape(len(codes), -1)

    def _values(self, bits: Integers, phase: int) -> list[Integers]:
        values: list[Integers] = []
        for node in self.nodes:
            if isinstance(node, Leaf):
                values.append(self._looked_up(node, bits, phase))
                continue
            total = self._total(node.operands, values)
            if (total >> node.bits).any():
                raise PlanError(f"a sum of {node.bits} bits overflows")
            values.append(total)
        return values

    def _looked_up(self, leaf: Leaf, bits: Integers, phase: int) -> Integers:
        sources = [self.lanes[lane].sources[phase] for lane in leaf.lanes]
        index = np.zeros(len(bits), np.int64)
        for place, source in enumerate(sources):
            if source is not None:
                index |= bits[:, source] << place
        table = [leaf.sum(phase, value) for value in range(2 ** len(leaf.lanes))]
        return np.array(table)[index]

    def _total(self, operands: Sequence[Operand], values: Sequence[Integers]) -> Integers:
        total = np.zeros_like(values[operands[0].node])
        for x in operands:
            value = values[x.node]
            if x.inverted:
                value = (1 << self.bits(x.node)) - 1 - value
            total = total + (value << x.shift)
        return total


# --- the check ----------------------------------------------------------------------------------


def check(network: AdderNetwork, weights: Integers) -> None:
    """Raises PlanError unless every output is the sum of its weights' products, each exactly once.

    weights: (outputs, inputs).  Every node is taken as the linear form of the window's bits that it
    is; of an output's accumulator, that form has to be its row of `weights`, and a constant.
    """
    seen: dict[int, int] = {}
    for phase in range(network.phases):
        forms = _forms(network, phase)
        for row in network.rows:
            output = row.outputs[phase]
            if output is None:
                continue
            if output in seen:
                raise PlanError(f"output {output} is computed twice")
            seen[output] = phase
            form = _summed(network, row.operands, forms)
            _require_row(network, output, form, weights[output])
            _require_width(network, row)
    if len(seen) != len(weights):
        raise PlanError(f"{len(weights) - len(seen)} outputs are not computed")
    _require_levels(network)


Form = tuple[dict[int, int], int]
"""Coefficients of the window's bits, and a constant."""


def _forms(network: AdderNetwork, phase: int) -> list[Form]:
    forms: list[Form] = []
    for node in network.nodes:
        if isinstance(node, Leaf):
            forms.append(_leaf_form(network, node, phase))
        else:
            forms.append(_summed(network, node.operands, forms))
    return forms


def _leaf_form(network: AdderNetwork, leaf: Leaf, phase: int) -> Form:
    coefficients: dict[int, int] = {}
    for lane, weight in zip(leaf.lanes, leaf.weights[phase], strict=True):
        source = network.lanes[lane].sources[phase]
        if source is None:
            if weight:
                raise PlanError("a weight lies on a lane that carries nothing")
            continue
        coefficients[source] = coefficients.get(source, 0) + weight
    return coefficients, leaf.offset(phase)


def _summed(network: AdderNetwork, operands: Sequence[Operand], forms: Sequence[Form]) -> Form:
    coefficients: dict[int, int] = {}
    constant = 0
    for x in operands:
        form, own = forms[x.node]
        sign = -1 if x.inverted else 1
        constant += (sign * own + ((1 << network.bits(x.node)) - 1) * x.inverted) << x.shift
        for source, weight in form.items():
            coefficients[source] = coefficients.get(source, 0) + (sign * weight << x.shift)
    return coefficients, constant


def _require_row(network: AdderNetwork, output: int, form: Form, weights: Integers) -> None:
    found = np.zeros(network.inputs, np.int64)
    for source, weight in form[0].items():
        found[source] = weight
    wanted = (weights[:, None] << np.arange(network.digit_bits)).reshape(-1)
    if not np.array_equal(found, wanted):
        place = int(np.flatnonzero(found != wanted)[0])
        raise PlanError(
            f"output {output}: bit {place} of the window has the weight {found[place]}, "
            f"not {wanted[place]}"
        )
    digits = sum(1 << network.digit_bits * d for d in range(network.digits))
    if network.offsets[output] != form[1] * digits:
        raise PlanError(f"output {output}: the offset is not {form[1] * digits}")


def _most(network: AdderNetwork, node: int) -> int:
    found = network.nodes[node]
    if isinstance(found, Leaf):
        return found.most
    return sum(most_of(network, x) for x in found.operands)


def most_of(network: AdderNetwork, operand: Operand) -> int:
    """The largest value of an operand."""
    inverted = (1 << network.bits(operand.node)) - 1
    return (inverted if operand.inverted else _most(network, operand.node)) << operand.shift


def _require_width(network: AdderNetwork, row: Row) -> None:
    digits = sum(1 << network.digit_bits * d for d in range(network.digits))
    most = digits * sum(most_of(network, x) for x in row.operands)
    if most >> row.bits:
        raise PlanError(f"the accumulator of outputs {row.outputs} needs more than {row.bits} bits")


def _require_levels(network: AdderNetwork) -> None:
    levels: list[int] = []
    for node in network.nodes:
        if isinstance(node, Leaf):
            levels.append(1)
            continue
        own = {levels[x.node] for x in node.operands}
        if len(own) != 1:
            raise PlanError(f"operands of one sum have the levels {sorted(own)}")
        levels.append(own.pop() + 1)
    if any(levels[x.node] != network.levels for row in network.rows for x in row.operands):
        raise PlanError("operands of a row have different levels")
