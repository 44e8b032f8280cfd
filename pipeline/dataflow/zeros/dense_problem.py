"""What a dense engine has to do, and how large that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.dataflow.integer_model import Codes
from pipeline.dataflow.zeros.dense import DenseLayer, Shape
from pipeline.dataflow.zeros.requantization import Affine, affine

LARGEST_FACTOR_BITS = 17
"""Of a DSP's narrower input, which is signed."""


@dataclass(frozen=True)
class Problem:
    """Layers, the first of which reads `positions` positions of `channels` codes.

    spacing: least cycles between positions.
    """

    layers: tuple[DenseLayer, ...]
    positions: int
    channels: int
    spacing: int

    @cached_property
    def nonzeros(self) -> int:
        """Weights other than 0."""
        return sum(layer.nonzeros for layer in self.layers)

    @cached_property
    def quantized(self) -> tuple[DenseLayer, ...]:
        """The layers that have thresholds."""
        return tuple(layer for layer in self.layers if layer.thresholds is not None)

    @cached_property
    def lines(self) -> dict[tuple[str, int], Affine] | None:
        """The lines of all quantized outputs, by layer and number, with one shift.

        None where an output has none, or they are more than one kind of quantizer can do.
        """
        levels = {layer.levels for layer in self.quantized}
        if len(levels) > 1 or any(n & (n + 1) for n in levels):
            return None
        found = {}
        for layer in self.quantized:
            for output, thresholds in enumerate(layer.raw_thresholds):
                line = affine(thresholds, int(layer.lowest[output]), int(layer.highest[output]))
                if line is None:
                    return None
                found[layer.name, output] = line
        shift = max((line.shift for line in found.values()), default=0)
        scaled = {place: line.scaled(shift) for place, line in found.items()}
        most = max((line.factor for line in scaled.values()), default=0)
        return scaled if most < 1 << LARGEST_FACTOR_BITS else None

    @property
    def accumulators(self) -> Codes:
        """Their type: thresholds just out of reach fit too, and one beyond."""
        low = min(int(layer.lowest.min()) for layer in self.layers)
        high = max(int(layer.highest.max()) for layer in self.layers)
        return Codes(min(low, 0) - 1, max(high, 0) + 2)

    @property
    def values(self) -> Codes:
        """Type of what the last layer gives, and of what is added for that."""
        last = self.layers[-1]
        if last.thresholds is not None:
            return Codes(-1, last.levels)
        added = last.bias + last.missing
        ends = np.concatenate([last.lowest + added, last.highest + added, added])
        return Codes(min(int(ends.min()), -1), max(int(ends.max()), 0))


def shape_of(problem: Problem, groups: int, units: int) -> Shape:
    """The engine's parameters, without those that only a program tells: slots and ring."""
    *hidden, last = problem.layers
    lines = tuple((problem.lines or {}).values())
    factor = max((line.factor for line in lines), default=0)
    terms = [line.term for line in lines]
    levels = max((layer.levels for layer in problem.quantized), default=1)
    return Shape(
        channels=problem.channels,
        code_bits=max(layer.most for layer in problem.layers).bit_length(),
        groups=groups,
        units=units,
        ring=1,
        hidden=sum(-(-len(layer.weights) // groups) for layer in hidden),
        slots=0,
        accumulators=max(2, *(-(-len(layer.weights) // groups) for layer in problem.layers)),
        magnitude_bits=max(1, max(map(_largest, problem.layers)).bit_length()),
        acc_bits=problem.accumulators.bits,
        hidden_bits=levels.bit_length(),
        scaled=problem.lines is not None,
        factor_bits=max(1, factor.bit_length()),
        term_bits=Codes(min([-1, *terms]), max([0, *terms])).bits,
        shift=max((line.shift for line in lines), default=0),
        values=len(last.weights),
        value_bits=problem.values.bits,
        value_codes=last.thresholds is not None,
    )


def _largest(layer: DenseLayer) -> int:
    return int(np.abs(layer.weights).max(initial=0))


def lut_sites(shape: Shape) -> float:
    """About how many LUTs of 6 inputs an engine takes, those for memory included.

    Within 6 % of what Yosys made of engines of 12 to 24 units for VGG10 with 4 bits.  A search for
    each code is not counted.
    """
    bits = shape.acc_bits
    deep = shape.accumulators > 32
    memory = 4 * -(-bits // 3) * -(-shape.accumulators // 64) if deep else 4 * -(-bits // 6)
    unit = bits + shape.code_bits * shape.magnitude_bits + memory
    group = 3 * shape.code_bits + 0.9 * bits * (shape.units - 1)
    return (
        shape.groups * (shape.units * unit + group)
        + shape.channels * shape.code_bits / 4
        + 4 * bits
    )


def least_words(problem: Problem, shape: Shape) -> tuple[int, int]:
    """Words of a frame, and of them those after its last position, if no unit ever waited."""
    first, *others = problem.layers
    last_position = int(np.count_nonzero(first.weights[:, -problem.channels :]))
    later = sum(layer.nonzeros // shape.all_units for layer in others) + shape.hidden
    return first.nonzeros // shape.all_units + later, last_position // shape.all_units + later
