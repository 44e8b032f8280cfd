"""One convolution on the zero-skipping engine: its window, sums, codes and pool, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.integer_model import Codes, Layer, reachable
from pipeline.dataflow.zeros.network import AdderNetwork, PlanError
from pipeline.dataflow.zeros.planning import plan
from pipeline.dataflow.zeros.requantization import Affine, affine

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Requantizer:
    """code = clamp((factor * sum + term) >> shift) of the accumulators as they are in hardware.

    factors, terms: by slot and lane; None in a place that no output has.  levels: largest code.
    """

    factors: tuple[tuple[int, ...], ...]
    terms: tuple[tuple[int, ...], ...]
    shift: int
    levels: int

    @property
    def factor_bits(self) -> int:
        return max(1, max(map(max, self.factors)).bit_length())

    @property
    def term_bits(self) -> int:
        """Signed."""
        largest = max(max(t, -t - 1) for row in self.terms for t in row)
        return int(largest).bit_length() + 1


@dataclass(frozen=True)
class Convolution:
    """A layer of the engine.

    name, boundary: of the integer model; positions, channels: of a frame's input; codes: of it,
    which the hardware has as `code - codes.low`; kernel, padding: in positions; cycles: between
    positions; sums: from window to accumulators; requantizer; order: the output that is in each
    slot and lane, None where there is none; pool; output: type of the codes; nonzeros: weights.
    """

    name: str
    boundary: str
    positions: int
    channels: int
    codes: Codes
    kernel: int
    padding: int
    cycles: int
    sums: AdderNetwork
    requantizer: Requantizer
    order: tuple[tuple[int | None, ...], ...]
    pool: int
    output: Codes
    nonzeros: int

    @property
    def code_bits(self) -> int:
        """Of an input code without its sign."""
        return width(self.codes)

    @property
    def evaluations(self) -> int:
        """Of a frame that give codes."""
        return self.positions + 2 * self.padding - self.kernel + 1

    @property
    def output_positions(self) -> int:
        """Of a frame, after the pool."""
        return self.evaluations // self.pool

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return sum(o is not None for row in self.order for o in row)


def width(codes: Codes) -> int:
    """Bits of codes counted from the lowest."""
    return max(1, (codes.high - codes.low).bit_length())


def can_be_planned(layer: Layer, codes: Codes) -> bool:
    """Whether every channel's thresholds are a line."""
    return layer.thresholds is not None and None not in _lines(layer, codes)


def convolution(layer: Layer, codes: Codes, positions: int, cycles: int) -> Convolution:
    """The plan of a layer whose input is `positions` of these codes, `cycles` apart.

    Raises PlanError where a channel's thresholds are no line.
    """
    outputs, kernel, channels = layer.weights.shape
    weights = layer.weights.reshape(outputs, -1)
    sums = plan(weights, width(codes), cycles)
    order = _order(sums)
    lines = _lines(layer, codes)
    if None in lines or layer.thresholds is None:
        raise PlanError(f"layer {layer.name}: thresholds that are no line")
    shift = max(line.shift for line in lines if line is not None)
    moved = [
        _moved(line.scaled(shift), codes.low * int(weights[o].sum()) - sums.offsets[o])
        for o, line in enumerate(lines)
        if line is not None
    ]
    requantizer = Requantizer(
        factors=tuple(tuple(_of(moved, o).factor for o in row) for row in order),
        terms=tuple(tuple(_of(moved, o).term for o in row) for row in order),
        shift=shift,
        levels=layer.thresholds.shape[1],
    )
    return Convolution(
        name=layer.name,
        boundary=layer.boundary,
        positions=positions,
        channels=channels,
        codes=codes,
        kernel=kernel,
        padding=layer.padding,
        cycles=cycles,
        sums=sums,
        requantizer=requantizer,
        order=order,
        pool=layer.pool,
        output=layer.output,
        nonzeros=int(np.count_nonzero(layer.weights)),
    )


def _lines(layer: Layer, codes: Codes) -> list[Affine | None]:
    assert layer.thresholds is not None
    low, high = reachable(layer.weights, codes)
    return [
        affine(own, int(a), int(b)) for own, a, b in zip(layer.thresholds, low, high, strict=True)
    ]


def _moved(line: Affine, by: int) -> Affine:
    """The same of an argument that is `by` smaller."""
    return Affine(line.factor, line.term + line.factor * by, line.shift)


def _of(lines: Sequence[Affine], output: int | None) -> Affine:
    return lines[output] if output is not None else Affine(0, 0, 0)


def _order(sums: AdderNetwork) -> tuple[tuple[int | None, ...], ...]:
    """Outputs by slot and lane: lane j has the rows j * digits on, one a cycle, phase by phase."""
    digits = sums.digits
    lanes = -(-len(sums.rows) // digits)

    def output(phase: int, row: int) -> int | None:
        return sums.rows[row].outputs[phase] if row < len(sums.rows) else None

    return tuple(
        tuple(output(phase, lane * digits + digit) for lane in range(lanes))
        for phase in range(sums.phases)
        for digit in range(digits)
    )
