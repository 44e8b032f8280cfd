"""From a chain with real-valued scales to integers: thresholds and the integer model.

A code is a monotone function of its accumulator, so a layer's BatchNorm and quantizer are a
list of thresholds a channel.  They are found by evaluating the network's own arithmetic:
float32, as PyTorch computes it, for networks with power-of-two scales; float64 with the float32
parameters widened for all others (DESIGN 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.core.errors import UserError
from pipeline.dataflow.integer_model import Codes, IntegerModel, Integers, Layer, check, reachable
from pipeline.network.chain import Block, Chain

EXHAUSTIVE_LIMIT = 2**17
"""Accumulator ranges up to this many values are evaluated at every value; wider ones (8-bit
networks reach millions) by bisection, which is as exact: every step of the float64 evaluation
is a correctly rounded monotone operation, so their composition is monotone."""

Evaluate = Callable[[Integers], Integers]
"""Accumulators (values, out) to codes (values, out)."""

Arithmetic = Callable[[Chain, int], Evaluate]
"""The evaluation of one block of a chain: `float32_codes` or `float64_codes`."""


@dataclass(frozen=True)
class Frozen:
    """model: the integers; chain: what they were derived from; constant_channels: outputs whose
    code never changes, by boundary."""

    model: IntegerModel
    chain: Chain
    constant_channels: dict[str, int]


def freeze_chain(chain: Chain, arithmetic: Arithmetic) -> Frozen:
    """The integer model of `chain`, its thresholds found by evaluating `arithmetic`.

    Raises UserError where a parameter is not a usable number.
    """
    if places := unusable(chain):
        raise UserError(
            "a scale, a bias or a parameter of BatchNorm is not finite, or a scale or a variance "
            "is not positive",
            ", ".join(places[:8]),
            "look at how the training ended, or take another checkpoint",
        )
    layers = [_freeze_block(chain, i, arithmetic) for i in range(len(chain.blocks))]
    quantizer = chain.input
    model = IntegerModel(
        quantizer.codes, float(quantizer.scale), chain.positions, chain.channels, tuple(layers)
    )
    check(model)
    return Frozen(model, chain, _constant_channels(model))


def unusable(chain: Chain) -> list[str]:
    """Where a number is not finite, or a scale or a variance (plus epsilon) not positive."""
    found = [] if _positive(chain.input.scale) else ["the input's scale"]
    for block in chain.blocks:
        if block.activation is not None and not _positive(block.activation.scale):
            found.append(f"{block.name} activation scale")
        wrong = ~_positive(block.weight_scale)
        if block.bias is not None:
            wrong |= ~np.isfinite(block.bias)
        if block.norm is not None:
            norm = block.norm
            wrong |= ~_positive(norm.variance + np.float32(norm.epsilon))
            for values in (norm.gamma, norm.beta, norm.mean):
                wrong |= ~np.isfinite(values)
        found += [f"{block.name} channel {c}" for c in np.flatnonzero(wrong)]
    return found


def _positive(values: NDArray[np.float32] | np.float32) -> NDArray[np.bool_]:
    """Which values are finite and above zero."""
    return np.asarray(np.isfinite(values) & (np.asarray(values) > 0))


def _constant_channels(model: IntegerModel) -> dict[str, int]:
    """By boundary, the channels none of whose thresholds lies inside the accumulator's reach."""
    constant = {}
    for index, layer in enumerate(model.layers):
        if layer.thresholds is not None:
            low, high = reachable(layer.weights, model.input_codes(index))
            inside = (layer.thresholds > low[:, None]) & (layer.thresholds <= high[:, None])
            constant[layer.boundary] = int((~inside.any(axis=1)).sum())
    return constant


def slopes(block: Block) -> Integers:
    """Sign of d(code)/d(accumulator) per channel: 1, -1, or 0 where gamma is zero."""
    if block.norm is None:
        return np.ones(len(block.weights), np.int64)
    return np.sign(block.norm.gamma).astype(np.int64)


# --- the network's own arithmetic ------------------------------------------------------------


def float32_codes(chain: Chain, index: int) -> Evaluate:
    """PyTorch's float32 BatchNorm and quantizer; exact input, since scales are powers of two."""
    block = chain.blocks[index]
    step = chain.accumulator_scale(index)
    assert block.activation is not None
    quantizer = block.activation

    def evaluate(accumulators: Integers) -> Integers:
        real = torch.from_numpy((accumulators * step).astype(np.float32))
        if block.bias is not None:
            real = real + torch.from_numpy(block.bias)
        if block.norm is not None:
            norm = block.norm
            parameters = (norm.mean, norm.variance, norm.gamma, norm.beta)
            mean, variance, gamma, beta = (torch.from_numpy(p) for p in parameters)
            real = torch.nn.functional.batch_norm(
                real, mean, variance, gamma, beta, False, 0.0, norm.epsilon
            )
        codes = torch.round(real / torch.tensor(quantizer.scale)).long().numpy()
        return _clipped(codes, block.relu, quantizer.codes)

    return evaluate


def float64_codes(chain: Chain, index: int) -> Evaluate:
    """The same formula in float64, parameters and scales widened from float32."""
    block = chain.blocks[index]
    step = chain.accumulator_scale(index)
    assert block.activation is not None
    quantizer = block.activation

    def evaluate(accumulators: Integers) -> Integers:
        real = real_activations(block, accumulators * step)
        codes = np.rint(real / np.float64(quantizer.scale))
        return _clipped(codes, block.relu, quantizer.codes)

    return evaluate


def real_activations(block: Block, real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bias and BatchNorm of `block` in float64 on real-valued accumulators (..., out)."""
    if block.bias is not None:
        real = real + block.bias.astype(np.float64)
    if block.norm is None:
        return real
    gamma, beta, mean, variance = (
        p.astype(np.float64)
        for p in (block.norm.gamma, block.norm.beta, block.norm.mean, block.norm.variance)
    )
    return (real - mean) / np.sqrt(variance + block.norm.epsilon) * gamma + beta


def _clipped(codes: NDArray, relu: bool, limits: Codes) -> Integers:
    low = max(limits.low, 0) if relu else limits.low
    return np.clip(codes, low, limits.high).astype(np.int64)


# --- thresholds --------------------------------------------------------------------------------


def _freeze_block(chain: Chain, index: int, arithmetic: Arithmetic) -> Layer:
    block = chain.blocks[index]
    if block.activation is None:
        return _freeze_logits(chain, index)
    slope = slopes(block)
    low, high = _signed_range(chain, index, slope)
    thresholds = find_thresholds(arithmetic(chain, index), slope, low, high, block.activation.codes)
    return Layer(
        name=block.name,
        boundary=block.boundary,
        weights=block.weights * slope.reshape(-1, 1, 1),
        weight_bits=block.weight_bits,
        padding=block.padding,
        thresholds=thresholds,
        bias=None,
        pool=block.pool,
        output=block.activation.codes,
    )


def _signed_range(chain: Chain, index: int, slope: Integers) -> tuple[Integers, Integers]:
    """Reach of the accumulators after their rows are multiplied by `slope`."""
    low, high = chain.reach(index)
    ordered = np.stack([low * slope, high * slope])
    return ordered.min(axis=0), ordered.max(axis=0)


def find_thresholds(
    evaluate: Evaluate, slope: Integers, low: Integers, high: Integers, codes: Codes
) -> Integers:
    """Ascending thresholds (out, levels): code = codes.low + count(threshold <= accumulator).

    `low..high` (out,) is the reach of the accumulator times `slope`; a threshold that no
    reachable accumulator passes is high + 1, one that all pass is low.
    Raises AssertionError if the codes are not monotone in the accumulator.
    """
    signs = np.where(slope == 0, 1, slope)

    def rising(signed: Integers) -> Integers:
        return evaluate(signed * signs)

    if by_exhaustion(low, high):
        return _by_exhaustion(rising, low, high, codes)
    return _by_bisection(rising, low, high, codes)


def by_exhaustion(low: Integers, high: Integers) -> bool:
    """Whether accumulators in low..high (out,) are evaluated one and all."""
    return int((high - low).max()) < EXHAUSTIVE_LIMIT


def _by_exhaustion(rising: Evaluate, low: Integers, high: Integers, codes: Codes) -> Integers:
    values = np.arange(int(low.min()), int(high.max()) + 1)
    table = rising(np.broadcast_to(values[:, None], (len(values), len(low))))
    assert (np.diff(table, axis=0) >= 0).all(), "a code falls while its accumulator rises"
    levels = np.arange(codes.low + 1, codes.high + 1)
    first = np.stack([np.searchsorted(column, levels, side="left") for column in table.T])
    return np.clip(first + values[0], low[:, None], high[:, None] + 1)


def _by_bisection(rising: Evaluate, low: Integers, high: Integers, codes: Codes) -> Integers:
    levels = np.arange(codes.low + 1, codes.high + 1)[:, None]
    below = np.broadcast_to(low - 1, (len(levels), len(low))).copy()
    above = np.broadcast_to(high + 1, below.shape).copy()
    while (between := above - below > 1).any():
        middle = (below + above) // 2
        passed = rising(middle) >= levels
        above = np.where(between & passed, middle, above)
        below = np.where(between & ~passed, middle, below)
    return above.T.copy()


def _freeze_logits(chain: Chain, index: int) -> Layer:
    block = chain.blocks[index]
    step = chain.accumulator_scale(index)
    if block.norm is not None or len(set(step.tolist())) != 1:
        raise UserError(
            "the logits have a scale per class, so they cannot be compared as integers",
            f"layer {block.name}",
            "train the last layer with one weight scale per tensor and without BatchNorm",
        )
    bias = None if block.bias is None else _bias_codes(block, step)
    return Layer(
        name=block.name,
        boundary=block.boundary,
        weights=block.weights,
        weight_bits=block.weight_bits,
        padding=block.padding,
        thresholds=None,
        bias=bias,
        pool=1,
        output=_logit_codes(chain, index, bias),
    )


def _bias_codes(block: Block, step: NDArray[np.float64]) -> Integers:
    """The bias in accumulator steps.  Raises UserError where it is not a whole number of them.

    A quantized bias was computed in float32 as code times (input scale times weight scale): two
    roundings and that of the code, each of at most 2^-24 of its value.
    """
    assert block.bias is not None
    steps = block.bias.astype(np.float64) / step
    codes = np.rint(steps)
    if (np.abs(steps - codes) > np.abs(steps) * 2.0**-22).any() or np.abs(codes).max() >= 2**21:
        raise UserError(
            "the bias is no whole number of accumulator steps (less than 2^21 of them), so the "
            "logits cannot be compared as integers",
            f"layer {block.name}",
            "quantize the bias with the scale of its layer's accumulators (Int16Bias)",
        )
    return codes.astype(np.int64)


def _logit_codes(chain: Chain, index: int, bias: Integers | None) -> Codes:
    low, high = chain.reach(index)
    if bias is not None:
        low, high = low + bias, high + bias
    return Codes(int(low.min()), int(high.max()))
