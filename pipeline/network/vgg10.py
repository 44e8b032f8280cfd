"""VGG10 for 1-D I/Q frames, as the A(MC) Team built it for the ITU challenge (2021).

Seven blocks of convolution (k = 3), BatchNorm, quantized ReLU and max-pool, each halving the
frame; two dense blocks; a dense layer that gives one logit a class.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

import torch
from brevitas.nn import QuantConv1d, QuantHardTanh, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant.scaled_int import Int16Bias
from torch import nn

from pipeline.network import quantizers
from pipeline.network.quantizers import Quantizer
from pipeline.network.widths import CONV_BLOCKS, DENSE_BLOCKS, Widths

INPUT_CHANNELS = 2
KERNEL = 3


class NetworkShape(Protocol):
    """What a network is built from; `pipeline.core.config` provides it from ``[network]``.

    ``scales`` is "float" or "power_of_two"; ``weight_scale`` ("channel" or "tensor") and
    ``weight_scale_rounding`` ("up" or "nearest") count for power-of-two networks only.
    ``frame_length`` is a multiple of 2^7.
    """

    @property
    def filters(self) -> int: ...
    @property
    def dense(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def frame_length(self) -> int: ...
    @property
    def input_bits(self) -> int: ...
    @property
    def weight_bits(self) -> int: ...
    @property
    def activation_bits(self) -> int: ...
    @property
    def scales(self) -> str: ...
    @property
    def weight_scale(self) -> str: ...
    @property
    def weight_scale_rounding(self) -> str: ...


@dataclass(frozen=True)
class QuantizerSet:
    """The input's module and the quantizers of one kind of network."""

    input: nn.Module
    hidden_weight: Quantizer
    last_weight: Quantizer
    activation: Quantizer


def build_vgg10(network: NetworkShape, widths: Widths | None = None) -> nn.Sequential:
    """An untrained VGG10; ``widths`` are those of the description unless given.

    Input (N, 2, frame_length) float32, output (N, classes) logits. Modules in order, by name:
    input; conv0, norm0, act0, pool0, ... pool6; flatten; dense7, norm7, act7; dense8, norm8,
    act8; dense9. Their positions are those of the published state dicts.
    """
    widths = widths or Widths.uniform(network.filters, network.dense)
    kinds = quantizer_set(network)
    layers: OrderedDict[str, nn.Module] = OrderedDict(input=kinds.input)
    channels = INPUT_CHANNELS
    for i, filters in enumerate(widths.filters):
        layers |= _conv_block(i, channels, filters, kinds)
        channels = filters
    layers["flatten"] = nn.Flatten()
    features = channels * (network.frame_length >> CONV_BLOCKS)
    for i, outputs in enumerate(widths.dense, start=CONV_BLOCKS):
        layers |= _dense_block(i, features, outputs, kinds)
        features = outputs
    layers[f"dense{CONV_BLOCKS + DENSE_BLOCKS}"] = QuantLinear(
        features,
        network.classes,
        bias=True,
        weight_quant=kinds.last_weight,
        bias_quant=Int16Bias,
    )
    return nn.Sequential(layers)


def quantizer_set(network: NetworkShape) -> QuantizerSet:
    """The quantizers for ``network.scales``.

    The last layer always has one weight scale: one a class would leave a floating-point
    multiplication after it.
    """
    if network.scales == "float":
        weight = quantizers.float_weight(network.weight_bits)
        return QuantizerSet(
            input=QuantHardTanh(act_quant=quantizers.float_input(network.input_bits)),
            hidden_weight=weight,
            last_weight=weight,
            activation=quantizers.float_activation(network.activation_bits),
        )
    per_tensor = quantizers.power_of_two_weight(network.weight_bits, network.weight_scale_rounding)
    per_channel = quantizers.power_of_two_channel_weight(
        network.weight_bits, network.weight_scale_rounding
    )
    return QuantizerSet(
        input=QuantIdentity(act_quant=quantizers.power_of_two_input(network.input_bits)),
        hidden_weight=per_channel if network.weight_scale == "channel" else per_tensor,
        last_weight=per_tensor,
        activation=quantizers.power_of_two_activation(network.activation_bits),
    )


def _conv_block(i: int, inputs: int, outputs: int, kinds: QuantizerSet) -> dict[str, nn.Module]:
    conv = QuantConv1d(
        inputs, outputs, KERNEL, padding=1, bias=False, weight_quant=kinds.hidden_weight
    )
    return {
        f"conv{i}": conv,
        f"norm{i}": nn.BatchNorm1d(outputs),
        f"act{i}": QuantReLU(act_quant=kinds.activation),
        f"pool{i}": nn.MaxPool1d(2),
    }


def _dense_block(i: int, inputs: int, outputs: int, kinds: QuantizerSet) -> dict[str, nn.Module]:
    is_last = i == CONV_BLOCKS + DENSE_BLOCKS - 1
    return {
        f"dense{i}": QuantLinear(inputs, outputs, bias=False, weight_quant=kinds.hidden_weight),
        f"norm{i}": nn.BatchNorm1d(outputs),
        # The last layer's bias takes its scale from the codes' scale, so that must come along.
        f"act{i}": QuantReLU(act_quant=kinds.activation, return_quant_tensor=is_last),
    }


def initialise(model: nn.Sequential, seed: int) -> None:
    """Fresh random weights (PyTorch's own initialisation) that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in model:
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
