"""Rung 1: PyTorch's codes at every layer boundary.

A certified network is run as it is, in float32, and its codes must equal the integers.  For
networks with other scales float32 is fragile where a sum falls close to a rounding boundary;
there PyTorch runs in float64, every layer fed with the integer model's codes (DESIGN 4), and what
float32 makes of the same codes is explained difference by difference (`foreign`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from brevitas import nn as qnn
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.network.brevitas_reader import ACTIVATIONS
from pipeline.network.chain import Block, Chain
from pipeline.verify.grid import on_grid
from pipeline.verify.teacher import codes_of, lessons, real_values

BATCH = 16
NOTHING_TAUGHT: Mapping[str, Tensor] = MappingProxyType({})


def float32_boundaries(
    model: nn.Sequential, chain: Chain, frames: NDArray[np.float32]
) -> dict[str, Integers]:
    """Boundary values of frames (n, positions, channels), end to end in float32.

    Raises VerificationFailed where a value is not a whole number of steps.
    """
    with reference_convolutions():
        return run_boundaries(model, chain, torch.from_numpy(frames).transpose(1, 2).contiguous())


def run_boundaries(
    model: nn.Sequential, chain: Chain, inputs: Tensor, batch: int = BATCH
) -> dict[str, Integers]:
    """The same for inputs (n, channels, positions) of any layout and the precision of `model`,
    with whatever convolutions PyTorch is set to use."""
    steps = _steps(chain)
    batches: dict[str, list[Tensor]] = {name: [] for name in steps}
    with torch.no_grad(), _outputs(model, tuple(steps)) as outputs:
        for part in inputs.split(batch):
            model(part)
            for name, parts in batches.items():
                parts.append(outputs[name])
    channels = {block.boundary: len(block.weights) for block in chain.blocks}
    return {
        name: on_grid(name, "PyTorch", torch.cat(parts).numpy(), channels[name], steps[name])
        for name, parts in batches.items()
    }


def _steps(chain: Chain) -> dict[str, np.float32]:
    """Real value of one integer step at every boundary."""
    return {block.boundary: chain.step(index) for index, block in enumerate(chain.blocks)}


@contextmanager
def _outputs(
    model: nn.Sequential, names: tuple[str, ...], taught: Mapping[str, Tensor] = NOTHING_TAUGHT
) -> Iterator[dict[str, Tensor]]:
    """The latest output of each named module, filled in while `model` runs.

    What follows a module that is among `taught` reads that tensor instead of its output.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: object, output: Any) -> object:
        outputs[name] = getattr(output, "value", output)
        if name not in taught:
            return output
        # the scale that a quantized tensor carries along is what a bias is quantized with
        given = taught[name].reshape(outputs[name].shape)
        return output._replace(value=given) if hasattr(output, "value") else given

    modules = dict(model.named_modules())
    handles = [modules[name].register_forward_hook(partial(keep, name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def reference_convolutions() -> Iterator[None]:
    """NNPACK's convolutions are inexact even on integers."""
    before = torch.backends.nnpack.set_flags(False)
    try:
        yield
    finally:
        torch.backends.nnpack.set_flags(*before)


def float64_boundaries(
    model: nn.Sequential, chain: Chain, integers: IntegerModel, codes: Integers
) -> dict[str, Integers]:
    """Boundary values in float64, each layer fed with the integer model's own codes.

    Weights are integer codes times Brevitas' float32 scales, widened; BatchNorm is the model's
    module in double precision; the quantizer divides by the widened scale.
    """
    modules = dict(model.named_children())
    paths = list(modules)
    wanted = integers.trace(codes)
    found: dict[str, Integers] = {}
    with torch.no_grad():
        for index, block in enumerate(chain.blocks):
            after = modules[paths[paths.index(block.name) + 1]] if block.norm else None
            real = _layer_float64(chain, index, after, codes)
            found[block.boundary] = _quantized(block, chain, index, real)
            codes = wanted[block.boundary]
    return found


def _layer_float64(chain: Chain, index: int, norm: nn.Module | None, codes: Integers) -> Tensor:
    """Convolution and BatchNorm, (frames, channels, positions)."""
    block = chain.blocks[index]
    scale = float(chain.input_quantizer(index).scale)
    inputs = torch.from_numpy(codes * scale).transpose(1, 2)
    widened = block.weights * block.weight_scale.astype(np.float64).reshape(-1, 1, 1)
    weights = torch.from_numpy(widened).transpose(1, 2)
    bias = None if block.bias is None else torch.from_numpy(block.bias.astype(np.float64))
    real = torch.nn.functional.conv1d(inputs, weights, bias, padding=block.padding)
    if norm is None:
        return real
    double = copy.deepcopy(norm).double()
    assert block.norm is not None
    double.eps = block.norm.epsilon  # as the exported graph holds it, a float32
    return double(real)


def _quantized(block: Block, chain: Chain, index: int, real: Tensor) -> Integers:
    if block.activation is None:
        steps = torch.from_numpy(chain.accumulator_scale(index)).reshape(1, -1, 1)
        return torch.round(real / steps).long().transpose(1, 2).numpy()
    limits = block.activation.codes
    real = torch.relu(real) if block.relu else real
    codes = torch.round(real / float(block.activation.scale)).clamp(limits.low, limits.high)
    if block.pool > 1:
        codes = torch.nn.functional.max_pool1d(codes, block.pool)
    return codes.long().transpose(1, 2).numpy()


# --- float32, layer by layer ----------------------------------------------------------------------


def forced_codes(
    model: nn.Sequential, chain: Chain, integers: IntegerModel, frames: NDArray[np.float32]
) -> dict[str, Integers]:
    """Codes in float32 with every layer fed with the integer model's codes.

    By block name, before the max-pool (the last block's: logits, to the nearest step), and those
    of the quantizer of frames (n, positions, channels) as "input".
    Raises VerificationFailed where a code is not a whole number of steps.
    """
    parts = [
        _forced_batch(model, chain, integers, frames[first : first + BATCH], first)
        for first in range(0, len(frames), BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _forced_batch(
    model: nn.Sequential,
    chain: Chain,
    integers: IntegerModel,
    frames: NDArray[np.float32],
    first: int,
) -> dict[str, Integers]:
    paths, codes = _code_paths(model, chain), integers.quantize(frames)
    taught = {paths["input"]: real_values(codes, chain.input.scale)}
    for block, lesson in zip(chain.blocks, lessons(integers, codes), strict=True):
        if block.activation is not None:
            taught[paths[block.name]] = real_values(lesson.codes, block.activation.scale)
    tensors = {path: torch.from_numpy(values) for path, values in taught.items()}
    inputs = torch.from_numpy(frames).transpose(1, 2).contiguous()
    with (
        torch.no_grad(),
        reference_convolutions(),
        _outputs(model, tuple(paths.values()), tensors) as outputs,
    ):
        model(inputs)
    return codes_of(
        chain, {name: outputs[p].numpy() for name, p in paths.items()}, "PyTorch", first
    )


def _code_paths(model: nn.Sequential, chain: Chain) -> dict[str, str]:
    """Path of the module that gives the codes of each block, by block name, and of "input"."""
    modules = list(model.named_children())
    paths, block = {"input": modules[0][0]}, ""
    names = {b.name for b in chain.blocks}
    for path, module in modules[1:]:
        if path in names:
            block = paths[path] = path
        elif isinstance(module, ACTIVATIONS):
            paths[block] = path
    return paths


def input_codes(model: nn.Sequential, chain: Chain, frames: NDArray[np.float32]) -> Integers:
    """Codes after the model's own input quantizer, (frames, positions, channels)."""
    quantizer = next(iter(model.children()))
    assert isinstance(quantizer, (qnn.QuantIdentity, qnn.QuantHardTanh))
    with torch.no_grad():
        output = quantizer(torch.from_numpy(frames).transpose(1, 2).contiguous())
    real = getattr(output, "value", output)
    return on_grid("input", "PyTorch", real.numpy(), chain.channels, chain.input.scale)
