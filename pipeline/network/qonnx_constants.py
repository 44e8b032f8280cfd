"""What the constants of a QONNX graph say (quantizers, weights, biases), and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from onnx import NodeProto
from onnx.helper import get_attribute_value
from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.errors import UserError
from pipeline.dataflow.integer_model import Codes
from pipeline.network.chain import Float32

WIDEST_CODES = 8
"""Bits of activations and weights that the hardware is built and tested for."""
WIDEST_BIAS = 32


@dataclass(frozen=True)
class QuantizedWeight:
    """codes, shaped as in the graph; bits; scale: one for each output."""

    codes: np.ndarray
    bits: int
    scale: Float32


@dataclass
class Constants:
    """Reads constants of `model`; UserErrors name the node and `source`, the graph's file."""

    model: ModelWrapper
    source: str

    def refuse(self, node: NodeProto, reason: str) -> NoReturn:
        raise UserError(
            f"node {node.name} ({node.op_type}): {reason}",
            self.source,
            "supported: Quant, Conv (1-D, stride 1), Gemm, MatMul, BatchNormalization, Relu, "
            "MaxPool (kernel = stride), Flatten/Reshape, and a final bias",
        )

    def require(self, node: NodeProto, condition: bool, reason: str) -> None:
        if not condition:
            self.refuse(node, reason)

    def constant(self, name: str) -> np.ndarray | None:
        """The value of a constant before its quantizer, if it has one."""
        producer = self.model.find_producer(name)
        if producer is not None and producer.op_type == "Quant":
            name = producer.input[0]
        return self.model.get_initializer(name)

    def quantizer(self, node: NodeProto, widest: int) -> tuple[Float32, Codes, int]:
        """Scale, code range and bits of a Quant node."""
        scale, zero_point, bits = (self.model.get_initializer(i) for i in node.input[1:4])
        attributes = attributes_of(node)
        mode = attributes.get("rounding_mode", "ROUND")
        constant = scale is not None and zero_point is not None and bits is not None
        self.require(node, constant, "its scale, zero point or bit width is not constant")
        positive = np.isfinite(scale).all() and (scale > 0).all()
        self.require(node, bool(positive), "a scale is not a positive number")
        self.require(node, not np.any(zero_point), "zero point other than 0")
        self.require(node, mode == "ROUND", f"rounding mode {mode}, only ROUND is exact")
        width = float(np.max(bits))
        self.require(node, bool((bits == width).all()), "more than one bit width")
        self.require(node, width.is_integer(), "fractional bit width")
        signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
        least = 1 + max(signed, narrow)
        fits = least <= width <= widest
        self.require(node, fits, f"{width:g} bits, {least} to {widest} are supported")
        return np.asarray(scale, np.float32), _codes(int(width), signed, narrow), int(width)

    def quantized_weight(self, node: NodeProto, out_axis: int) -> QuantizedWeight:
        """Codes of the weight, and its scale for each index of `out_axis`."""
        name = node.input[1]
        producer = self.model.find_producer(name)
        if producer is None or producer.op_type != "Quant":
            found = "not quantized" if producer is None else f"quantized by {producer.op_type}"
            self.refuse(node, f"its weight {name} is {found}, not by Quant")
        values = self.constant(name)
        if values is None:
            self.refuse(node, f"its weight {name} is not a constant")
        self.require(node, bool(np.isfinite(values).all()), f"its weight {name} is not finite")
        scale, codes, bits = self.quantizer(producer, WIDEST_CODES)
        scales = self._broadcast(node, scale, values.shape)
        per_output = np.moveaxis(scales, out_axis, 0).reshape(values.shape[out_axis], -1)
        alike = bool((per_output == per_output[:, :1]).all())
        self.require(node, alike, f"its weight {name} has a scale for each input")
        rounded = np.clip(np.rint(values / scales), codes.low, codes.high)
        return QuantizedWeight(rounded.astype(np.int64), bits, per_output[:, 0].copy())

    def per_channel(
        self, node: NodeProto, name: str, shape: tuple[int, ...], outputs: int
    ) -> Float32:
        """A constant that is added to data of `shape`, as one number for each output."""
        real = self.constant(name)
        if real is None:
            self.refuse(node, f"its bias {name} is not a constant")
        self.require(node, bool(np.isfinite(real).all()), f"its bias {name} is not finite")
        producer = self.model.find_producer(name)
        if producer is not None:
            scale, codes, _ = self.quantizer(producer, WIDEST_BIAS)
            rounded = np.clip(np.rint(real / scale), codes.low, codes.high)
            real = rounded.astype(np.float32) * scale
        # FINN moves one number for all logits into its choice of the largest, where it is lost
        self.require(node, real.size > 1 or outputs == 1, f"its bias {name} is a single number")
        channels = self._broadcast(node, real, shape).reshape(outputs, -1)
        alike = bool((channels == channels[:, :1]).all())
        self.require(node, alike, f"its bias {name} differs along the frame")
        return channels[:, 0].astype(np.float32)

    def _broadcast(self, node: NodeProto, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.broadcast_to(value, shape)
        except ValueError:
            self.refuse(node, f"a constant of shape {value.shape} does not fit {shape}")


def _codes(bits: int, signed: bool, narrow: bool) -> Codes:
    if signed:
        return Codes(-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1)
    return Codes(0, 2**bits - 1 - narrow)


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """Attribute values by name, in plain Python types."""
    return {a.name: _value(get_attribute_value(a)) for a in node.attribute}


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return list(value) if hasattr(value, "__iter__") else value
