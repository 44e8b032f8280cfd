"""A certified network's codes do not depend on how PyTorch computes them.

The certificate says so for every order in which sums of products are added up.  Here it is tried,
with batches, threads, memory layouts, precisions and convolution algorithms that differ.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from brevitas import nn as qnn
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.network.chain import Chain
from pipeline.verify.compare import LayerResult, compare
from pipeline.verify.pytorch import BATCH, reference_convolutions, run_boundaries

Frames = NDArray[np.float32]
Variant = Callable[[nn.Sequential, Chain, Frames], dict[str, Integers]]
"""The boundary values of frames (n, positions, channels), in one of the ways to compute them."""

Convolve = Callable[[Tensor, Tensor, int], Tensor]
"""(frames, channels, positions), weights (out, channels, kernel) and padding to sums."""


def compare_variants(
    model: nn.Sequential, chain: Chain, integers: IntegerModel, frames: Frames
) -> dict[str, tuple[LayerResult, ...]]:
    """Every variant's boundary values, compared with the integer model's, by the variant's name.

    Raises VerificationFailed where a value is not a whole number of steps.
    """
    wanted = integers.trace(integers.quantize(frames))
    results = {}
    for name, variant in variants().items():
        found = variant(model, chain, frames)
        results[name] = tuple(compare(key, wanted[key], values) for key, values in found.items())
    return results


def variants() -> Mapping[str, Variant]:
    """By name; NNPACK's convolutions are among them where this PyTorch has them."""
    found: dict[str, Variant] = {}
    for size in (1, 7, 64):
        found[f"batches of {size}"] = partial(_in_batches, size)
    for count in (1, 2):
        found[f"threads: {count}"] = partial(_with_threads, count)
    found["input not contiguous"] = _strided
    found["float64"] = _float64
    found["without oneDNN"] = _without_onednn
    if torch.backends.nnpack.is_available():
        found["NNPACK"] = _nnpack
    for name, convolve in ALGORITHMS.items():
        found[name] = partial(_with_algorithm, convolve)
    return MappingProxyType(found)


def _inputs(frames: Frames) -> Tensor:
    return torch.from_numpy(frames).transpose(1, 2).contiguous()


def _in_batches(
    size: int, model: nn.Sequential, chain: Chain, frames: Frames
) -> dict[str, Integers]:
    with reference_convolutions():
        return run_boundaries(model, chain, _inputs(frames), size)


def _with_threads(
    count: int, model: nn.Sequential, chain: Chain, frames: Frames
) -> dict[str, Integers]:
    with _threads(count), reference_convolutions():
        return run_boundaries(model, chain, _inputs(frames))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _strided(model: nn.Sequential, chain: Chain, frames: Frames) -> dict[str, Integers]:
    """Channels next to each other in memory, and a gap behind every position."""
    spaced = np.zeros((*frames.shape[:2], 2 * frames.shape[2]), np.float32)
    spaced[..., ::2] = frames
    inputs = torch.from_numpy(spaced)[..., ::2].transpose(1, 2)
    with reference_convolutions():
        return run_boundaries(model, chain, inputs)


def _float64(model: nn.Sequential, chain: Chain, frames: Frames) -> dict[str, Integers]:
    double = copy.deepcopy(model).double()
    return run_boundaries(double, chain, _inputs(frames).double())


def _without_onednn(model: nn.Sequential, chain: Chain, frames: Frames) -> dict[str, Integers]:
    """PyTorch's own convolutions: matrix products of unfolded inputs."""
    with torch.backends.mkldnn.flags(enabled=False), reference_convolutions():
        return run_boundaries(model, chain, _inputs(frames))


def _nnpack(model: nn.Sequential, chain: Chain, frames: Frames) -> dict[str, Integers]:
    """Transformed convolutions, which round, used for batches of 16 and more.

    The certificate does not speak of these; their error is far below its margins.
    """
    with torch.backends.mkldnn.flags(enabled=False), torch.backends.nnpack.flags(enabled=True):
        return run_boundaries(model, chain, _inputs(frames), max(BATCH, 16))


# --- convolution algorithms ----------------------------------------------------------------------


def channels_last(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """In two dimensions, with a position's channels next to each other in memory."""
    wide, kernel = x.unsqueeze(2), weight.unsqueeze(2)
    wide = wide.contiguous(memory_format=torch.channels_last)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    return functional.conv2d(wide, kernel, padding=(0, padding)).squeeze(2)


def last_tap_first(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """A matrix product a tap, added up from the last to the first."""
    padded = functional.pad(x, (padding, padding))
    positions = padded.shape[2] - weight.shape[2] + 1
    sums = torch.zeros(len(x), len(weight), positions, dtype=x.dtype)
    for tap in reversed(range(weight.shape[2])):
        sums = sums + weight[:, :, tap] @ padded[:, :, tap : tap + positions]
    return sums


def last_channel_first(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """One channel after the other, from the last to the first."""
    sums = torch.zeros(1, dtype=x.dtype)
    for channel in reversed(range(x.shape[1])):
        one = slice(channel, channel + 1)
        sums = sums + functional.conv1d(x[:, one], weight[:, one], padding=padding)
    return sums


ALGORITHMS: Mapping[str, Convolve] = MappingProxyType(
    {
        "4-D, channels last": channels_last,
        "last tap first": last_tap_first,
        "last channel first": last_channel_first,
    }
)


def _with_algorithm(
    convolve: Convolve, model: nn.Sequential, chain: Chain, frames: Frames
) -> dict[str, Integers]:
    changed = copy.deepcopy(model)
    for module in changed:
        if isinstance(module, qnn.QuantConv1d):
            # what Brevitas calls with the input and the quantized weight and bias
            module.inner_forward_impl = partial(_convolution, convolve, int(module.padding[0]))
    with reference_convolutions():
        return run_boundaries(changed, chain, _inputs(frames))


def _convolution(
    convolve: Convolve, padding: int, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    sums = convolve(_plain(x), _plain(weight), padding)
    return sums if bias is None else sums + _plain(bias).reshape(1, -1, 1)


def _plain(x: Any) -> Tensor:
    """The tensor inside a Brevitas `QuantTensor`, or the tensor itself."""
    value: Tensor = getattr(x, "value", x)
    return value
