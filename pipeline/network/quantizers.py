"""Brevitas quantizers of the two kinds of network that the project knows.

*Float scales* are what the challenge's networks use: a scale is any float32 number.
*Power-of-two scales* make float32 inference exact, so that PyTorch and hardware can be compared
with `==`. Each factory returns an injector class, which Brevitas instantiates once a layer
(injector classes are falsy: never write ``a or b`` with one).
"""

import torch
from brevitas.core.function_wrapper.ops_ste import CeilSte, RoundSte
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import ScalingImplType
from brevitas.nn import QuantReLU
from brevitas.quant.fixed_point import (
    Int8ActPerTensorFixedPointMinMaxInit,
    Int8WeightPerChannelFixedPoint,
    Int8WeightPerTensorFixedPoint,
    Uint8ActPerTensorFixedPointMaxInit,
)
from brevitas.quant.scaled_int import (
    Int8ActPerTensorFloatMinMaxInit,
    Int8WeightPerTensorFloat,
    Uint8ActPerTensorFloatMaxInit,
)
from torch import nn

from pipeline.core.errors import UserError

Quantizer = type[ExtendedInjector]

INPUT_RANGE = 2.0
"""I and Q are clipped to -2..2 (the challenge's choice; frames have a standard deviation of 1)."""

ACTIVATION_RANGE_START = 2.0**1.5
"""Where an activation range starts to be learned, BatchNorm's output being N(0, 1) at first. It is
a constant, not taken from statistics of the first batches, so that training needs no special first
phase. A power-of-two range is the next power, 4; the start lies midway between two powers (in the
logarithm, which is what is learned), so that the first steps of training do not flip it."""

ROUNDINGS = {"up": CeilSte, "nearest": RoundSte}
"""How the logarithm of a weight range becomes an integer: no weight clipped; or a range that is
closer on average, in which the largest weights may be clipped, by a factor of at most sqrt(2)."""

SMALLEST_SCALE = 2.0**-12


LOWER_THE_RATE = "lower train.learning_rate (or prune.learning_rate)"


class DeadScaleError(UserError):
    """An activation scale has become unusable: names the layer and the value."""

    def __init__(self, what: str, layer: str) -> None:
        super().__init__(what, layer, LOWER_THE_RATE)


def float_input(bits: int) -> Quantizer:
    """Signed input codes with the constant step 4 / 2^bits, as the published networks have it."""

    class FloatInput(Int8ActPerTensorFloatMinMaxInit):
        bit_width = bits
        min_val = -INPUT_RANGE
        max_val = INPUT_RANGE
        scaling_impl_type = ScalingImplType.CONST

    return FloatInput


def float_weight(bits: int) -> Quantizer:
    """Narrow signed weight codes, one float scale a layer (max |w| maps to the largest code)."""

    class FloatWeight(Int8WeightPerTensorFloat):
        bit_width = bits

    return FloatWeight


def float_activation(bits: int) -> Quantizer:
    """Unsigned activation codes, one learned float scale a layer."""

    class FloatActivation(Uint8ActPerTensorFloatMaxInit):
        bit_width = bits
        max_val = ACTIVATION_RANGE_START

    return FloatActivation


def power_of_two_input(bits: int) -> Quantizer:
    """Codes -2^(bits-1) .. 2^(bits-1)-1 with the constant step 2 / 2^(bits-1)."""

    class PowerOfTwoInput(Int8ActPerTensorFixedPointMinMaxInit):
        bit_width = bits
        min_val = -INPUT_RANGE
        max_val = INPUT_RANGE
        scaling_impl_type = ScalingImplType.CONST

    return PowerOfTwoInput


def power_of_two_weight(bits: int, rounding: str) -> Quantizer:
    """Narrow signed weight codes, one scale a layer: 2^r(log2 max |w|) / 2^(bits-1).

    r is one of ROUNDINGS.
    """

    class PowerOfTwoWeight(Int8WeightPerTensorFixedPoint):
        bit_width = bits
        restrict_value_float_to_int_impl = ROUNDINGS[rounding]

    return PowerOfTwoWeight


def power_of_two_channel_weight(bits: int, rounding: str) -> Quantizer:
    """The same with one scale an output channel."""

    class PowerOfTwoChannelWeight(Int8WeightPerChannelFixedPoint):
        bit_width = bits
        restrict_value_float_to_int_impl = ROUNDINGS[rounding]

    return PowerOfTwoChannelWeight


def power_of_two_activation(bits: int) -> Quantizer:
    """Unsigned activation codes, scale 2^ceil(t) / 2^bits with t learned."""

    class PowerOfTwoActivation(Uint8ActPerTensorFixedPointMaxInit):
        bit_width = bits
        max_val = ACTIVATION_RANGE_START
        restrict_value_float_to_int_impl = CeilSte

    return PowerOfTwoActivation


def activation_scales(model: nn.Module) -> dict[str, float]:
    """The scale in use of every `QuantReLU`, by module path."""
    return {
        name: float(module.act_quant.scale().detach())
        for name, module in model.named_modules()
        if isinstance(module, QuantReLU)
    }


def assert_usable_scales(model: nn.Module) -> None:
    """Raise `DeadScaleError` where an activation scale has collapsed or is not a number."""
    for name, scale in activation_scales(model).items():
        if not SMALLEST_SCALE <= scale < float("inf"):
            raise DeadScaleError(f"activation scale {scale!r} is not usable", name)


def assert_power_of_two_scales(model: nn.Module) -> None:
    """Raise `DeadScaleError` where an activation scale is not a usable power of two."""
    assert_usable_scales(model)
    for name, scale in activation_scales(model).items():
        mantissa, _ = torch.frexp(torch.tensor(scale, dtype=torch.float64))
        if float(mantissa) != 0.5:
            raise DeadScaleError(f"activation scale {scale!r} is not a power of two", name)
