"""Reads a Brevitas network (an `nn.Sequential` in evaluation mode) as a chain of blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from brevitas import nn as qnn
from torch import Tensor, nn

from pipeline.dataflow.integer_model import Codes
from pipeline.network.chain import BatchNorm, Block, Chain, Float32, Quantizer

ACTIVATIONS = (qnn.QuantReLU, qnn.QuantIdentity, qnn.QuantHardTanh)


@torch.no_grad()
def read_brevitas(model: nn.Sequential, positions: int) -> Chain:
    """The chain of blocks of `model`, whose frames have `positions` samples.

    The first module quantizes the input; every convolution or dense layer is followed by its
    BatchNorm, activation quantizer and max-pool.  Block names are module paths.
    """
    modules = list(model.eval().named_children())
    first = next(m for _, m in modules if isinstance(m, (qnn.QuantConv1d, qnn.QuantLinear)))
    blocks: list[Block] = []
    for start, stop in _groups(modules):
        blocks.append(_read_block(modules[start:stop], blocks[-1] if blocks else None))
    chain = Chain(_quantizer(modules[0][1]), positions, _inputs(first), tuple(blocks))
    return _with_bias_codes(model, chain)


def _inputs(layer: nn.Module) -> int:
    return int(getattr(layer, "in_channels", 0) or getattr(layer, "in_features", 0))


def _groups(modules: list[tuple[str, nn.Module]]) -> Iterator[tuple[int, int]]:
    """Index ranges of the blocks: each starts at a convolution or dense layer."""
    layers = (qnn.QuantConv1d, qnn.QuantLinear)
    starts = [i for i, (_, m) in enumerate(modules) if isinstance(m, layers)]
    return iter(zip(starts, [*starts[1:], len(modules)], strict=True))


def _read_block(modules: list[tuple[str, nn.Module]], before: Block | None) -> Block:
    (name, layer), rest = modules[0], modules[1:]
    norm = next((m for _, m in rest if isinstance(m, nn.BatchNorm1d)), None)
    activation = next((m for _, m in rest if isinstance(m, ACTIVATIONS)), None)
    pool = next((m for _, m in rest if isinstance(m, nn.MaxPool1d)), None)
    boundary = [path for path, m in rest if m is activation or m is pool]
    codes, scale = _weights(layer)
    return Block(
        name=name,
        boundary=boundary[-1] if boundary else name,
        weights=_streamed(codes, len(before.weights) if before else codes.shape[1]),
        weight_bits=int(layer.quant_weight().bit_width.item()),
        weight_scale=scale,
        padding=int(layer.padding[0]) if isinstance(layer, qnn.QuantConv1d) else 0,
        bias=None if layer.bias is None else layer.bias.detach().numpy(),
        norm=None if norm is None else _batch_norm(norm),
        relu=isinstance(activation, qnn.QuantReLU),
        activation=None if activation is None else _quantizer(activation),
        pool=1 if pool is None else int(pool.kernel_size),
    )


def _weights(layer: nn.Module) -> tuple[np.ndarray, Float32]:
    quantized = layer.quant_weight()
    codes = quantized.int(float_datatype=False).numpy().astype(np.int64)
    scale = quantized.scale.detach().reshape(-1).numpy().astype(np.float32)
    return codes, np.broadcast_to(scale, (len(codes),)).copy()


def _streamed(codes: np.ndarray, channels: int) -> np.ndarray:
    """Weights as (out, kernel, in), the order in which the hardware sees its input."""
    if codes.ndim == 3:
        return np.ascontiguousarray(codes.transpose(0, 2, 1))
    # a dense layer reads a frame flattened as (channel, position)
    return np.ascontiguousarray(codes.reshape(len(codes), channels, -1).transpose(0, 2, 1))


def _batch_norm(norm: nn.BatchNorm1d) -> BatchNorm:
    def values(tensor: Tensor | None) -> Float32:
        assert tensor is not None, "a BatchNorm without parameters cannot be frozen"
        return tensor.detach().numpy().astype(np.float32)

    return BatchNorm(
        values(norm.weight),
        values(norm.bias),
        values(norm.running_mean),
        values(norm.running_var),
        float(np.float32(norm.eps)),  # an exported graph holds it as float32
    )


def _quantizer(module: nn.Module) -> Quantizer:
    """Scale and code range of an activation quantizer, as Brevitas computes them."""
    proxy = module.act_quant
    bits, signed = int(proxy.bit_width().item()), bool(proxy.is_signed)
    narrow = bool(proxy.is_narrow_range)
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    return Quantizer(np.float32(proxy.scale().item()), Codes(low, high))


def _with_bias_codes(model: nn.Sequential, chain: Chain) -> Chain:
    """Replaces each bias by the value of its quantized code."""
    modules = dict(model.named_children())
    blocks = []
    for index, block in enumerate(chain.blocks):
        quantizer = getattr(modules[block.name], "bias_quant", None)
        if block.bias is None or quantizer is None or not quantizer.is_quant_enabled:
            blocks.append(block)
            continue
        scale = torch.tensor(chain.input_quantizer(index).scale * block.weight_scale)
        quantized, *_ = quantizer.tensor_quant(modules[block.name].bias, scale)
        blocks.append(replace(block, bias=quantized.numpy()))
    return replace(chain, blocks=tuple(blocks))
