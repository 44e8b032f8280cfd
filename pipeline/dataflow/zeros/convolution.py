"""One convolution on the zero-skipping engine: its window, sums, codes and pool, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.zeros.checking import check
from pipeline.dataflow.zeros.grouping import Grouped, grouped
from pipeline.dataflow.zeros.network import AdderNetwork, PlanError
from pipeline.dataflow.zeros.planning import plan
from pipeline.dataflow.zeros.quantizer import Order, Quantizer, Steps, channel_steps, quantizer


@dataclass(frozen=True)
class Convolution:
    """A layer of the engine.

    It works on groups of `group` positions, here called positions; channels and outputs are all
    that come with one, the first position's first (`grouping`).

    name, boundary: of the integer model; positions, channels: of a frame's input; codes: of it,
    which the hardware has as `code - codes.low`; kernel: positions of the window; first: the
    position with which a frame's first evaluation is complete; flush: evaluations after its last
    position; cycles: between positions; sums: from window to accumulators; merged: as many sums
    have one maximum, which lie in blocks of rows; quantizer: from the maxima to codes; pool;
    output: type of the codes; nonzeros: weights.
    """

    name: str
    boundary: str
    group: int
    positions: int
    channels: int
    codes: Codes
    kernel: int
    first: int
    flush: int
    cycles: int
    sums: AdderNetwork
    merged: int
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
        return self.positions + self.flush - self.first

    @property
    def output_positions(self) -> int:
        """Of a frame, after the pool."""
        return self.evaluations // self.pool

    @property
    def outputs(self) -> int:
        """Codes that come out with a position."""
        return sum(o is not None for row in self.quantizer.order for o in row)

    @property
    def output_group(self) -> int:
        """Positions of the layer in what comes out at once."""
        return self.group // self.merged


def width(codes: Codes) -> int:
    """Bits of codes counted from the lowest."""
    return max(1, (codes.high - codes.low).bit_length())


def convolution(
    layer: Layer, codes: Codes, positions: int, cycles: int, group: int = 1
) -> Convolution:
    """The plan of a layer whose frames are `positions` of these codes.

    group: of so many comes one every `cycles` cycles.  Raises PlanError for a layer without
    thresholds, and where groups do not fit.
    """
    own, steps = grouped(layer, positions, group), channel_steps(layer, codes)
    sums = _sums(own, steps, width(codes), cycles)
    channels = len(layer.weights)
    zeros = [codes.low * int(weights.sum()) for weights in layer.weights]
    moved = [
        steps[o % channels].moved(sums.offsets[o] - zeros[o % channels]) for o in range(own.outputs)
    ]
    return Convolution(
        name=layer.name,
        boundary=layer.boundary,
        group=group,
        positions=own.groups,
        channels=own.weights.shape[2],
        codes=codes,
        kernel=own.weights.shape[1],
        first=own.first,
        flush=own.flush,
        cycles=cycles,
        sums=sums,
        merged=own.merged,
        quantizer=quantizer(moved, _order(sums, own.merged)),
        pool=own.pool,
        output=layer.output,
        nonzeros=int(np.count_nonzero(layer.weights)),
    )


def _sums(layer: Grouped, steps: Sequence[Steps], code_bits: int, cycles: int) -> AdderNetwork:
    """The network of a layer, with the sums of a maximum in the same place of every block."""
    weights = layer.weights.reshape(len(layer.weights), -1)
    no_lines = {o for o in range(len(weights)) if steps[o % len(steps)].line is None}
    if layer.merged == 1:
        return plan(weights, code_bits, cycles, no_lines)
    # one phase, so that all sums of an evaluation are there at once
    found = plan(weights, code_bits, min(cycles, code_bits), no_lines)
    rows = {row.outputs[0]: row for row in found.rows}
    firsts = [output for output in rows if output is not None and output < layer.outputs]
    blocks = range(0, len(weights), layer.outputs)
    found = replace(found, rows=tuple(rows[o + block] for block in blocks for o in firsts))
    check(found, weights)
    _require_equal_offsets(found, layer.outputs)
    return found


def _require_equal_offsets(sums: AdderNetwork, outputs: int) -> None:
    """Sums are compared as they are."""
    for output, offset in sums.offsets.items():
        if offset != sums.offsets[output % outputs]:
            raise PlanError(
                f"sums {output % outputs} and {output} of one maximum have the offsets "
                f"{sums.offsets[output % outputs]} and {offset}"
            )


def _order(sums: AdderNetwork, merged: int) -> Order:
    """Outputs by slot and lane: lane j has the rows j * digits on, one a cycle, phase by phase."""
    digits, rows = sums.digits, sums.rows[: len(sums.rows) // merged]
    lanes = -(-len(rows) // digits)

    def output(phase: int, row: int) -> int | None:
        return rows[row].outputs[phase] if row < len(rows) else None

    return tuple(
        tuple(output(phase, lane * digits + digit) for lane in range(lanes))
        for phase in range(sums.phases)
        for digit in range(digits)
    )
