"""A quantized network as a chain of blocks: what the readers hand to `freeze`.

A block is one layer boundary's worth of network: convolution or dense layer, BatchNorm,
activation quantizer, max-pool.  A dense layer is a convolution without padding whose kernel
spans every position it sees, so one description serves both.  Scales are kept as the float32
numbers the model computes with; weights are integer codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.integer_model import Codes, Integers, reachable

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Quantizer:
    """`code = clip(rint(x / scale), low, high)`, rounding half to even as Brevitas does.

    `scale` is one float32; `codes` holds the smallest and largest code.
    """

    scale: np.float32
    codes: Codes


@dataclass(frozen=True)
class BatchNorm:
    """Per-channel affine map of evaluation mode; float32 arrays of shape (channels,)."""

    gamma: Float32
    beta: Float32
    mean: Float32
    variance: Float32
    epsilon: float


@dataclass(frozen=True)
class Block:
    """One layer up to its boundary.

    name: path of the convolution or dense module; boundary: path of the module whose output
    is the layer boundary; weights: codes (out, kernel, in); weight_scale: float32 (out,);
    padding: zeros on each side; bias: real values (out,) or None; activation: None for the
    last layer, whose accumulators plus bias are the logits; pool: max-pool kernel and stride.
    """

    name: str
    boundary: str
    weights: Integers
    weight_bits: int
    weight_scale: Float32
    padding: int
    bias: Float32 | None
    norm: BatchNorm | None
    relu: bool
    activation: Quantizer | None
    pool: int


@dataclass(frozen=True)
class Chain:
    """input: the host's quantizer; frames are (positions, channels); blocks in data order."""

    input: Quantizer
    positions: int
    channels: int
    blocks: tuple[Block, ...]

    def input_quantizer(self, index: int) -> Quantizer:
        """Quantizer of the codes that block `index` reads."""
        before = self.blocks[index - 1].activation if index else self.input
        assert before is not None, "only the last block of a chain has no activation"
        return before

    def accumulator_scale(self, index: int) -> NDArray[np.float64]:
        """Real value of one accumulator step of block `index`, shape (out,).

        The float32 scales of the model, widened before they are multiplied (DESIGN 4).
        """
        scale = np.float64(self.input_quantizer(index).scale)
        return scale * self.blocks[index].weight_scale.astype(np.float64)

    def step(self, index: int) -> np.float32:
        """Real value of one integer step behind block `index`: of its codes, or of the logits.

        That of logits is exact for a network whose scales are powers of two.
        """
        activation = self.blocks[index].activation
        if activation is not None:
            return np.float32(activation.scale)
        return np.float32(self.accumulator_scale(index)[0])

    def reach(self, index: int) -> tuple[Integers, Integers]:
        """Lowest and highest accumulator of every channel of block `index`, shapes (out,)."""
        return reachable(self.blocks[index].weights, self.input_quantizer(index).codes)
