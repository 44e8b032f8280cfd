"""Runs of convolutions that skip zeros, made at random, and what they have to give."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.dataflow.integer_model import Codes, Layer, reachable
from pipeline.dataflow.zeros.convolution import Convolution, convolution
from pipeline.dataflow.zeros.run import Pace, Run

SEED = 11
SHIFT = 16
"""Of the lines that random thresholds lie on."""


@dataclass(frozen=True)
class Shape:
    """A layer to be made; bits, low: of its output's codes; share: of weights that are not zero;
    bent: of channels whose thresholds are on no line."""

    outputs: int
    kernel: int = 3
    padding: int = 1
    pool: int = 2
    weight_bits: int = 4
    bits: int = 4
    low: int = 0
    share: float = 0.3
    bent: float = 0.0


@dataclass(frozen=True)
class Case:
    """A run: its layers, input codes, and cycles between beats of `group` positions."""

    layers: tuple[Shape, ...]
    codes: Codes
    channels: int
    positions: int
    cycles: int
    group: int = 1

    @cache  # noqa: B019  (cases are few and live as long as the tests)
    def made(self) -> tuple[Layer, ...]:
        return tuple(random_layers(self.layers, self.codes, self.channels))

    @cache  # noqa: B019
    def run(self) -> Run:
        """Planned, each layer as slow as the pools before it allow."""
        return planned(self.made(), self.codes, self.positions, self.cycles, self.group)

    @property
    def interval(self) -> int:
        """Cycles between frames."""
        return self.positions // self.group * self.cycles

    @property
    def slowest(self) -> int:
        """Cycles of an evaluation of the last layer."""
        return self.run().pace.cycles[-1]

    def entering(self, frames: int) -> np.ndarray:
        rng = np.random.default_rng(SEED)
        shape = (frames, self.positions, self.channels)
        codes = rng.integers(self.codes.low, self.codes.high + 1, shape)
        codes[0] = self.codes.high  # as far as the sums go
        return codes


def planned(
    layers: Sequence[Layer], codes: Codes, positions: int, cycles: int, group: int = 1
) -> Run:
    """The run of these layers; cycles: between beats of `group` positions."""
    plans: list[Convolution] = []
    entering, left, spacing, beat = codes, positions, cycles, group
    for layer in layers:
        plans.append(convolution(layer, entering, left, spacing, beat))
        spacing, beat = spacing * plans[-1].pool, plans[-1].output_group
        entering, left = layer.output, plans[-1].output_positions * beat
    return Run(
        layers=tuple(layers),
        entering=codes,
        positions=positions,
        channels=layers[0].weights.shape[2],
        pace=Pace(group, cycles, tuple(plan.cycles for plan in plans)),
        convolutions=tuple(plans),
        schedule=None,
    )


def traced(layers: Sequence[Layer], codes: np.ndarray) -> dict[str, np.ndarray]:
    """Codes (frames, positions, channels) of every boundary, by the integer model."""
    found = {}
    for layer in layers:
        codes = layer.pooled(layer.quantized(layer.accumulators(codes)))
        found[layer.boundary] = codes
    return found


def random_layers(shapes: Sequence[Shape], codes: Codes, channels: int) -> list[Layer]:
    """Sparse layers whose thresholds lie on lines, as BatchNorm makes them, but for bent ones."""
    rng, layers = np.random.default_rng(SEED), []
    for number, shape in enumerate(shapes):
        low = -(2 ** (shape.weight_bits - 1))
        size = (shape.outputs, shape.kernel, channels)
        weights = np.where(rng.random(size) < shape.share, rng.integers(low, -low, size), 0)
        weights[0, 0, 0] = -low - 1  # of every layer at least one
        output = Codes(shape.low, shape.low + 2**shape.bits - 1)
        layers.append(
            Layer(
                name=f"layer{number}",
                boundary=f"boundary{number}",
                weights=weights,
                weight_bits=shape.weight_bits,
                padding=shape.padding,
                thresholds=_thresholds(rng, shape, weights, codes),
                bias=None,
                pool=shape.pool,
                output=output,
            )
        )
        channels, codes = shape.outputs, output
    return layers


def _thresholds(
    rng: np.random.Generator, shape: Shape, weights: np.ndarray, codes: Codes
) -> np.ndarray:
    levels = 2**shape.bits - 1
    spread = np.abs(weights).sum(axis=(1, 2)) * max(abs(codes.low), codes.high) + 1
    factor = np.maximum(1, (2 * levels / spread * 2**SHIFT).astype(np.int64))
    term = (rng.normal(levels / 2, 1, shape.outputs) * 2**SHIFT).astype(np.int64)
    thresholds = -((term[:, None] - (np.arange(1, levels + 1) << SHIFT)) // factor[:, None])
    lows, highs = reachable(weights, codes)
    for channel in range(round(shape.bent * shape.outputs)):
        low, high = lows[channel], highs[channel]
        steps = rng.normal((low + high) / 2, (high - low) / 6, levels).astype(np.int64)
        thresholds[channel] = np.sort(steps)
        thresholds[channel, -1] = high + 5  # never reached
    return thresholds
