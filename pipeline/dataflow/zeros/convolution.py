"""One convolution on the zero-skipping engine: its window, sums, codes and pool, as a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.zeros.network import AdderNetwork
from pipeline.dataflow.zeros.planning import plan
from pipeline.dataflow.zeros.quantizer import Order, Quantizer, channel_steps, quantizer


@dataclass(frozen=True)
class Convolution:
    """A layer of the engine.

    name, boundary: of the integer model; positions, channels: of a frame's input; codes: of it,
    which the hardware has as `code - codes.low`; kernel, padding: in positions; cycles: between
    positions; sums: from window to accumulators; quantizer: from these to codes; pool; output: type
    of the codes; nonzeros: weights.
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
    quantizer: Quantizer
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
        return sum(o is not None for row in self.quantizer.order for o in row)


def width(codes: Codes) -> int:
    """Bits of codes counted from the lowest."""
    return max(1, (codes.high - codes.low).bit_length())


def convolution(layer: Layer, codes: Codes, positions: int, cycles: int) -> Convolution:
    """The plan of a layer whose input is `positions` of these codes, `cycles` apart.

    Raises PlanError for a layer without thresholds.
    """
    outputs, kernel, channels = layer.weights.shape
    weights = layer.weights.reshape(outputs, -1)
    steps = channel_steps(layer, codes)
    no_lines = [output for output, own in enumerate(steps) if own.line is None]
    sums = plan(weights, width(codes), cycles, first=no_lines)
    moved = [
        own.moved(sums.offsets[o] - codes.low * int(weights[o].sum()))
        for o, own in enumerate(steps)
    ]
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
        quantizer=quantizer(moved, _order(sums)),
        pool=layer.pool,
        output=layer.output,
        nonzeros=int(np.count_nonzero(layer.weights)),
    )


def _order(sums: AdderNetwork) -> Order:
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
