"""The integer model's codes as the input of every layer of another computation.

Where float32 is not exact, one code that rounds the other way changes the layers behind it.  So
each layer is given the integer model's codes, whatever the layer before has made of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.integer_model import IntegerModel, Integers, Layer
from pipeline.network.chain import Chain
from pipeline.verify.grid import on_grid


@dataclass(frozen=True)
class Lesson:
    """What a layer of the integer model reads, and its codes before the max-pool (logits of the
    last layer); (frames, positions, channels)."""

    layer: Layer
    entering: Integers
    codes: Integers


def lessons(integers: IntegerModel, codes: Integers) -> Iterator[Lesson]:
    """Every layer in data order; `codes` are the input's (frames, positions, channels)."""
    for layer in integers.layers:
        made = layer.quantized(layer.accumulators(codes))
        yield Lesson(layer, codes, made)
        codes = layer.pooled(made)


def real_values(codes: Integers, scale: np.float32) -> NDArray[np.float32]:
    """(frames, channels, positions) values of codes, rounded as a float32 quantizer rounds them."""
    values = codes.astype(np.float32) * np.float32(scale)
    return np.ascontiguousarray(values.transpose(0, 2, 1))


def codes_of(
    chain: Chain, real: Mapping[str, NDArray], who: str, first: int = 0
) -> dict[str, Integers]:
    """The codes that the values of "input" and of every block before its max-pool stand for.

    Values are (frames, channels[, positions]); `who` computed them, `first` is the index of their
    first frame.  Logits, which float32 does not hold exactly, go to the nearest step.
    Raises VerificationFailed where a code is not a whole number of steps.
    """
    found = {
        "input": on_grid("input", who, real["input"], chain.channels, chain.input.scale, first)
    }
    for index, block in enumerate(chain.blocks):
        values, channels = real[block.name], len(block.weights)
        if block.activation is not None:
            step = block.activation.scale
            found[block.name] = on_grid(block.name, who, values, channels, step, first)
        else:
            steps = chain.accumulator_scale(index)
            found[block.name] = _nearest(block.name, who, values, steps)
    return found


def _nearest(layer: str, who: str, real: NDArray, steps: NDArray[np.float64]) -> Integers:
    """Logits (frames, channels[, 1]) in whole steps (channels,)."""
    streamed = real.reshape(len(real), len(steps), -1).transpose(0, 2, 1).astype(np.float64)
    if not np.isfinite(streamed).all():
        raise VerificationFailed(f"layer {layer}: {who} gives a logit that is no number")
    return np.rint(streamed / steps).astype(np.int64)
