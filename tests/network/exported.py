"""A small network exported to QONNX, once for all tests that read or change it."""

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from brevitas.nn import QuantConv1d, QuantIdentity, QuantLinear, QuantReLU
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

from pipeline.network.qonnx_reader import load_qonnx
from pipeline.network.quantizers import (
    power_of_two_activation,
    power_of_two_channel_weight,
    power_of_two_input,
    power_of_two_weight,
)
from pipeline.stages.export import export_network
from tests.small import LENGTH, noise_frames, settled, small_network


def _vgg10(**keys: Any) -> Callable[[], nn.Sequential]:
    return lambda: settled(small_network(**keys))


def _other() -> nn.Sequential:
    """What VGG10 has not: an even kernel and one of 5, signed codes, a bias instead of BatchNorm,
    a pool with a remainder, a layer without one, logits without a bias."""
    weight, activation = power_of_two_weight(4, "up"), power_of_two_activation(3)
    signed = QuantIdentity(act_quant=power_of_two_input(5))
    torch.manual_seed(3)
    model = nn.Sequential(
        OrderedDict(
            input=QuantIdentity(act_quant=power_of_two_input(4)),
            conv0=QuantConv1d(2, 4, 5, padding=2, bias=False, weight_quant=weight),
            norm0=nn.BatchNorm1d(4),
            act0=signed,
            pool0=nn.MaxPool1d(3),
            conv1=QuantConv1d(
                4, 6, 4, padding=1, bias=True, weight_quant=power_of_two_channel_weight(4, "up")
            ),
            act1=QuantReLU(act_quant=activation),
            flatten=nn.Flatten(),
            dense2=QuantLinear(6 * 41, 8, bias=False, weight_quant=weight),
            norm2=nn.BatchNorm1d(8),
            act2=QuantReLU(act_quant=activation, return_quant_tensor=True),
            dense3=QuantLinear(8, 5, bias=False, weight_quant=weight),
        )
    )
    with torch.no_grad():
        model.conv1.weight *= 4  # no BatchNorm spreads its sums
        for norm in (model.norm0, model.norm2):
            norm.weight[1], norm.weight[2] = -1, 0
    return model.eval()


KINDS = {
    "power of two": _vgg10(weight_scale="channel", weight_scale_rounding="up"),
    "float": _vgg10(scales="float", weight_bits=3, activation_bits=5, input_bits=8),
    "two bits": _vgg10(weight_bits=2, activation_bits=2),
    "other": _other,
}
POWER_OF_TWO = [kind for kind in KINDS if kind != "float"]


@cache
def network(kind: str) -> nn.Sequential:
    """The small network of a kind, in evaluation mode; nobody may change it."""
    return livened(KINDS[kind]())


@torch.no_grad()
def livened(model: nn.Sequential) -> nn.Sequential:
    """`model` with BatchNorms whose outputs spread over their quantizers' codes.

    A few steps of training leave most codes of a network this small at zero, and where every
    frame ends in the same logits a comparison of them shows little.  Channel 1 keeps falling
    with its accumulator and channel 2 stays constant.
    """
    values = torch.from_numpy(noise_frames(64)).transpose(1, 2).contiguous()
    rng = np.random.default_rng(5)
    for module, after in pairwise(model):
        if isinstance(module, nn.BatchNorm1d):
            assert isinstance(after, (QuantReLU, QuantIdentity))
            highest = after.act_quant.scale() * 2 ** after.act_quant.bit_width()
            _spread(module, values, float(highest), rng)
        values = module(values)
    return model


def _spread(
    norm: nn.BatchNorm1d, values: torch.Tensor, highest: float, rng: np.random.Generator
) -> None:
    """Sets `norm` such that its output of `values` mostly lies within 0..highest."""
    axes = [axis for axis in range(values.ndim) if axis != 1]
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(values.mean(axes))
    norm.running_var.copy_(values.var(axes) + 1e-4)
    gains = torch.from_numpy(rng.uniform(0.25, 0.4, len(norm.weight))).float()
    norm.weight.copy_(highest * gains * norm.weight.sign())
    norm.bias.copy_(highest * torch.from_numpy(rng.uniform(0.1, 0.4, len(norm.bias))).float())


@cache
def _exported(kind: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_network(network(kind), (1, 2, LENGTH), path)
        return path.read_bytes()


def exported(kind: str, folder: Path) -> Path:
    """The exported graph of that network as a file of its own."""
    path = folder / "network.onnx"
    path.write_bytes(_exported(kind))
    return path


def graph(kind: str, folder: Path) -> ModelWrapper:
    """The same, cleaned."""
    return load_qonnx(exported(kind, folder))


def random_codes(low: int, high: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Integers in low..high."""
    return torch.randint(low, high + 1, shape, generator=torch.Generator().manual_seed(5))
