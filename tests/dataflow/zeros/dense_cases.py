"""Dense layers made at random, with the engines that compute them, for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from pipeline.dataflow.integer_model import Codes, Layer, reachable
from pipeline.dataflow.zeros.dense import Schedule, dense_layers
from pipeline.dataflow.zeros.dense_planning import schedule
from pipeline.dataflow.zeros.dense_problem import Problem

FOUR_BITS = Codes(0, 15)
SHIFT = 14
"""Of the lines that thresholds may lie on."""


@dataclass(frozen=True)
class Dense:
    """A layer to make.

    bits: of its codes, None where it gives sums; low: its lowest code; levels: of its codes, where
    they are not all of `bits`; line: thresholds lie on a line, as BatchNorm makes them, else
    anywhere.
    """

    out: int
    bits: int | None = 4
    low: int = 0
    levels: int | None = None
    weight_bits: int = 4
    share: float = 0.4
    line: bool = True
    bias: bool = True


@dataclass(frozen=True)
class Case:
    """Layers on positions of so many channels of a type, and an engine for them."""

    layers: tuple[Dense, ...]
    positions: int
    channels: int
    groups: int
    units: int
    spacing: int
    entering: Codes = FOUR_BITS

    def made(self, seed: int = 1) -> list[Layer]:
        return random_dense(self.layers, self.positions, self.channels, self.entering, seed)

    def problem(self, seed: int = 1) -> Problem:
        layers = dense_layers(self.made(seed), self.entering)
        return Problem(layers, self.positions, self.channels, self.spacing)

    def schedule(self, seed: int = 1) -> Schedule:
        return _scheduled(self, seed)

    def frames(self, count: int, seed: int = 1) -> np.ndarray:
        """Codes (count, positions, channels) that enter, in their own type; extremes first."""
        rng = np.random.default_rng(seed)
        size = (count, self.positions, self.channels)
        codes = rng.integers(self.entering.low, self.entering.high + 1, size)
        codes[:1], codes[1:2] = self.entering.low, self.entering.high
        return codes


@cache
def _scheduled(case: Case, seed: int) -> Schedule:
    found = schedule(case.problem(seed), case.groups, case.units)
    assert found is not None, "positions come too fast for this engine"
    return found


def random_dense(
    shapes: Sequence[Dense], positions: int, channels: int, entering: Codes, seed: int
) -> list[Layer]:
    rng, layers = np.random.default_rng(seed), []
    for number, shape in enumerate(shapes):
        layer = _layer(f"dense{number}", shape, (positions, channels), entering, rng)
        layers.append(layer)
        positions, channels, entering = 1, shape.out, layer.output
    return layers


def _layer(
    name: str, shape: Dense, size: tuple[int, int], entering: Codes, rng: np.random.Generator
) -> Layer:
    half = 2 ** (shape.weight_bits - 1)
    weights = rng.integers(-half, half, (shape.out, *size))
    weights[rng.random(weights.shape) >= shape.share] = 0
    weights[-1] = 0
    if shape.share > 0.1:
        weights[0] = -half
    low, high = reachable(weights, entering)
    layer = Layer(
        name=name,
        boundary=f"{name}.out",
        weights=weights,
        weight_bits=shape.weight_bits,
        padding=0,
        thresholds=None,
        bias=rng.integers(-90, 90, shape.out) if shape.bias else None,
        pool=1,
        output=Codes(int(low.min()) - 90, int(high.max()) + 90),
    )
    if shape.bits is None:
        return layer
    levels = shape.levels or 2**shape.bits - 1
    make = _lines if shape.line else _anywhere
    thresholds = make(low, high, levels, rng)
    output = Codes(shape.low, shape.low + levels)
    return replace(layer, thresholds=thresholds, bias=None, output=output)


def _lines(low: np.ndarray, high: np.ndarray, levels: int, rng: np.random.Generator) -> np.ndarray:
    slope = (rng.uniform(1, 4, len(low)) * levels / (high - low + 1) * 2**SHIFT).astype(np.int64)
    middle = (low + high) // 2 + rng.integers(-9, 9, len(low))
    steps = np.arange(1, levels + 1) - (levels + 1) // 2
    return middle[:, None] + -((-steps << SHIFT) // np.maximum(slope, 1)[:, None])


def _anywhere(
    low: np.ndarray, high: np.ndarray, levels: int, rng: np.random.Generator
) -> np.ndarray:
    spread = rng.integers(low[:, None] // 2, high[:, None] // 2 + 2, (len(low), levels))
    thresholds = np.sort(spread, axis=1)
    thresholds[0] = high[0] + 1  # an output that is never on
    thresholds[-1] = low[-1]  # and one that always is
    return thresholds


CASES = {
    "three layers": Case((Dense(20), Dense(18), Dense(11, None)), 4, 12, 4, 3, 40),
    "one layer": Case((Dense(7, None),), 3, 5, 1, 1, 90, Codes(-8, 7)),
    "ends in codes": Case((Dense(9), Dense(6)), 1, 30, 2, 4, 200),
    "anywhere": Case(
        (
            Dense(10, 8, -128, weight_bits=8, line=False),
            Dense(9, 3, levels=5, weight_bits=8, line=False),
            Dense(5, None, weight_bits=8, bias=False),
        ),
        *(2, 6, 2, 2, 120),
        Codes(-128, 127),
    ),
    "four layers of two bits": Case(
        (Dense(16, 2), Dense(17, 2), Dense(9, 2), Dense(10, None)),
        *(4, 8, 8, 1, 60),
        Codes(0, 3),
    ),
    "codes by search": Case((Dense(12, 1, line=False), Dense(5, 2, line=False)), 2, 10, 4, 2, 60),
    "small": Case((Dense(6), Dense(5), Dense(4, None)), 4, 10, 2, 2, 18),
    "wide positions": Case((Dense(6, share=0.05), Dense(4, None)), 2, 60, 4, 1, 40),
}
