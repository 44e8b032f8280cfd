"""Integer models made at random: shapes and types that no trained network here has."""

from dataclasses import dataclass

import numpy as np

from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import Codes, IntegerModel, Layer, check, reachable


@dataclass(frozen=True)
class Shape:
    """A layer to make: its outputs, kernel and zeros around, max-pool, output codes (None: the
    logits), bits of a weight, and its folding."""

    out: int
    kernel: int
    padding: int
    pool: int
    codes: Codes | None
    weight_bits: int
    folding: LayerFolding
    bias: bool = False


def random_model(
    positions: int, channels: int, codes: Codes, shapes: list[Shape], seed: int
) -> tuple[IntegerModel, list[LayerFolding]]:
    """A model of these layers, whose thresholds lie all over the reach of the accumulators and
    beyond, and its folding."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    inputs, entering = channels, codes
    for index, shape in enumerate(shapes):
        most = 2 ** (shape.weight_bits - 1) - 1
        weights = rng.integers(-most, most + 1, (shape.out, shape.kernel, inputs))
        weights[rng.random(weights.shape) < 0.3] = 0
        layer = _layer(f"layer.{index}", shape, weights, entering, rng)
        layers.append(layer)
        inputs, entering = shape.out, layer.output
    model = IntegerModel(codes, 0.25, positions, channels, tuple(layers))
    check(model)
    return model, [shape.folding for shape in shapes]


def _layer(
    name: str, shape: Shape, weights: np.ndarray, entering: Codes, rng: np.random.Generator
) -> Layer:
    low, high = reachable(weights, entering)
    thresholds = bias = None
    if shape.codes is None:
        bias = rng.integers(-50, 50, shape.out) if shape.bias else None
        shift = 0 if bias is None else bias
        output = Codes(int((low + shift).min()), int((high + shift).max()))
    else:
        output = shape.codes
        levels = output.high - output.low
        spread = rng.integers(low[:, None] // 3, high[:, None] // 3 + 2, (shape.out, levels))
        thresholds = np.sort(spread, axis=1)
        thresholds[0] = high[0] + 1  # a channel that is never on
        thresholds[-1] = low[-1]  # and one that always is
    return Layer(
        name=name,
        boundary=f"{name}.out",
        weights=weights,
        weight_bits=shape.weight_bits,
        padding=shape.padding,
        thresholds=thresholds,
        bias=bias,
        pool=shape.pool,
        output=output,
    )


def random_codes(model: IntegerModel, frames: int, seed: int) -> np.ndarray:
    """Input codes (frames, positions, channels) over the whole range."""
    rng = np.random.default_rng(seed)
    shape = (frames, model.positions, model.channels)
    return rng.integers(model.input.low, model.input.high + 1, shape)
