"""Reads a QONNX graph (ours or somebody else's) as a chain of blocks.

Supported: one path of Quant -> Conv (1-D, stride 1, symmetric padding) or Gemm/MatMul ->
[BatchNormalization] -> [Relu] -> Quant -> [MaxPool, kernel = stride], ending in a dense
layer.  Anything else is reported by node name, operator and reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from onnx import NodeProto
from onnx.helper import get_attribute_value
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveUniqueParameterTensors,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
)
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit
from qonnx.util.basic import get_by_name

from pipeline.core.errors import UserError
from pipeline.dataflow.integer_model import Codes
from pipeline.network.chain import BatchNorm, Block, Chain, Float32, Quantizer

_QUANTIZERS = ["Quant", "BipolarQuant", "Trunc"]
_SHAPE_OPERATORS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


def load_qonnx(path: Path) -> ModelWrapper:
    """The cleaned graph of an exported file.  Raises UserError if it is not an ONNX model.

    Its nodes keep the names under which their owner knows them.
    """
    try:
        model = _cleaned(ModelWrapper(str(path)))
    except Exception as error:
        raise UserError(
            f"this is not a readable QONNX graph: {type(error).__name__}: {error}",
            str(path),
            "export it with brevitas.export.export_qonnx",
        ) from error
    _require_single_path(model, path)
    return model


def _cleaned(model: ModelWrapper) -> ModelWrapper:
    """Shapes inferred and constants folded; the steps of qonnx' own clean-up, but for renaming."""
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
        if node.op_type in _QUANTIZERS:
            node.domain = "qonnx.custom_op.general"  # older exporters name it differently
    for step in (
        InferShapes(),
        GiveUniqueParameterTensors(),
        FoldConstants(exclude_op_types=_QUANTIZERS),
        FoldTransposeIntoQuantInit(),
        RemoveUnusedTensors(),
        RemoveStaticGraphInputs(),
    ):
        model = model.transform(step)
    return model


def read_qonnx(model: ModelWrapper, source: str) -> Chain:
    """The chain of blocks of a cleaned graph; `source` names it in errors."""
    reader = _Reader(model, source)
    for node in reader.data_path():
        reader.take(node)
    return reader.finish()


def _require_single_path(model: ModelWrapper, path: Path) -> None:
    if len(model.graph.output) != 1:
        raise UserError(
            f"the graph has {len(model.graph.output)} outputs, one is supported",
            str(path),
            "export the classifier alone, without auxiliary outputs",
        )


@dataclass
class _Draft:
    """A block under construction."""

    node: NodeProto
    weights: np.ndarray
    weight_bits: int
    weight_scale: Float32
    padding: int
    bias: Float32 | None = None
    norm: BatchNorm | None = None
    relu: bool = False
    activation: Quantizer | None = None
    pool: int = 1


@dataclass
class _Reader:
    model: ModelWrapper
    source: str
    input: Quantizer | None = None
    drafts: list[_Draft] = field(default_factory=list)
    channels: int = 0

    def data_path(self) -> list[NodeProto]:
        """Nodes from the graph input to its output, following the data."""
        fed = {i.name for i in self.model.graph.input if self.model.get_initializer(i.name) is None}
        path = []
        for node in self.model.graph.node:
            if any(name in fed for name in node.input):
                fed.update(node.output)
                path.append(node)
        return path

    def take(self, node: NodeProto) -> None:
        if node.op_type in _SHAPE_OPERATORS:
            return
        handler: Callable[[NodeProto], None] | None
        handler = getattr(self, f"_take_{node.op_type.lower()}", None)
        if handler is None:
            self.refuse(node, "this operator has no hardware kernel")
        handler(node)

    def refuse(self, node: NodeProto, reason: str) -> NoReturn:
        raise UserError(
            f"node {node.name} ({node.op_type}): {reason}",
            self.source,
            "supported: Quant, Conv (1-D, stride 1), Gemm, MatMul, BatchNormalization, Relu, "
            "MaxPool (kernel = stride), Flatten/Reshape, and a final bias",
        )

    # --- one method an operator -------------------------------------------------------------

    def _take_quant(self, node: NodeProto) -> None:
        scale, low, high = self._quantizer(node)
        if scale.size != 1:
            self.refuse(node, "activation scales must be one number a tensor")
        quantizer = Quantizer(np.float32(scale.reshape(())), Codes(low, high))
        if not self.drafts:
            self._require(node, self.input is None, "the input is quantized twice")
            self.input = quantizer
            return
        draft = self.drafts[-1]
        self._require(node, draft.activation is None, "the activation is quantized twice")
        self._require(node, draft.pool == 1, "a max-pool comes after the quantizer here")
        draft.activation = quantizer

    def _take_conv(self, node: NodeProto) -> None:
        self._require_input_quantized(node)
        attributes = _attributes(node)
        weight = self._quantized_initializer(node, node.input[1])
        pads = attributes.get("pads", [0, 0])
        self._require(node, weight.codes.ndim == 3, "only 1-D convolutions have a kernel")
        self._require(node, attributes.get("group", 1) == 1, "grouped convolution")
        self._require(node, attributes.get("strides", [1]) == [1], "stride other than 1")
        self._require(node, attributes.get("dilations", [1]) == [1], "dilation other than 1")
        self._require(node, pads[0] == pads[1], "padding differs between the two sides")
        codes = weight.codes.transpose(0, 2, 1)  # (out, in, kernel) -> (out, kernel, in)
        self.drafts.append(_Draft(node, codes, weight.bits, weight.scale, int(pads[0])))
        self._take_bias(node)

    def _take_gemm(self, node: NodeProto) -> None:
        attributes = _attributes(node)
        for name in ("alpha", "beta"):
            self._require(node, attributes.get(name, 1.0) == 1.0, f"{name} other than 1")
        self._require(node, not attributes.get("transA", 0), "transposed input")
        self._take_dense(node, transposed=bool(attributes.get("transB", 0)))
        self._take_bias(node)

    def _take_matmul(self, node: NodeProto) -> None:
        self._take_dense(node, transposed=False)

    def _take_dense(self, node: NodeProto, transposed: bool) -> None:
        self._require_input_quantized(node)
        weight = self._quantized_initializer(node, node.input[1])
        codes = weight.codes if transposed else weight.codes.T
        channels = len(self.drafts[-1].weights) if self.drafts else codes.shape[1]
        self._require(node, codes.shape[1] % channels == 0, "its input is not a flattened frame")
        # flattened as (channel, position): hardware streams (position, channel)
        codes = codes.reshape(len(codes), channels, -1).transpose(0, 2, 1)
        self.drafts.append(_Draft(node, codes, weight.bits, weight.scale, 0))

    def _take_bias(self, node: NodeProto) -> None:
        if len(node.input) > 2 and node.input[2]:
            self.drafts[-1].bias = self._real_initializer(node, node.input[2])

    def _take_add(self, node: NodeProto) -> None:
        draft = self._open_draft(node)
        constant = next((i for i in node.input if self._is_constant(i)), None)
        self._require(node, constant is not None, "adds two streams (a residual connection)")
        self._require(node, draft.bias is None and draft.norm is None, "a second bias")
        draft.bias = self._real_initializer(node, str(constant))

    def _take_batchnormalization(self, node: NodeProto) -> None:
        draft = self._open_draft(node)
        self._require(node, draft.norm is None, "two BatchNormalizations in a row")
        values = [self.model.get_initializer(i) for i in node.input[1:5]]
        self._require(node, all(v is not None for v in values), "a parameter is no constant")
        self._require(node, all(np.isfinite(v).all() for v in values), "a parameter is not finite")
        gamma, beta, mean, variance = (np.array(v, np.float32) for v in values)
        epsilon = float(_attributes(node).get("epsilon", 1e-5))
        draft.norm = BatchNorm(gamma, beta, mean, variance, epsilon)

    def _take_relu(self, node: NodeProto) -> None:
        self._open_draft(node).relu = True

    def _take_maxpool(self, node: NodeProto) -> None:
        attributes = _attributes(node)
        kernel, strides = attributes["kernel_shape"], attributes.get("strides", [1])
        self._require(node, bool(self.drafts), "a max-pool before the first layer")
        self._require(node, len(kernel) == 1, "only 1-D max-pools have a kernel")
        self._require(node, kernel == strides, "max-pool with kernel other than its stride")
        self._require(node, not any(attributes.get("pads", [0])), "padded max-pool")
        self._require(node, not attributes.get("ceil_mode", 0), "max-pool in ceil mode")
        self._require(node, self.drafts[-1].pool == 1, "two max-pools in a row")
        self.drafts[-1].pool = int(kernel[0])

    # --- helpers ----------------------------------------------------------------------------

    def _require(self, node: NodeProto, condition: bool, reason: str) -> None:
        if not condition:
            self.refuse(node, reason)

    def _require_input_quantized(self, node: NodeProto) -> None:
        before = self.drafts[-1].activation if self.drafts else self.input
        self._require(node, before is not None, "its input is not quantized")

    def _open_draft(self, node: NodeProto) -> _Draft:
        self._require(
            node,
            bool(self.drafts) and self.drafts[-1].activation is None,
            "expected between a convolution or dense layer and its quantizer",
        )
        return self.drafts[-1]

    def _is_constant(self, name: str) -> bool:
        producer = self.model.find_producer(name)
        if producer is not None and producer.op_type == "Quant":
            return self.model.get_initializer(producer.input[0]) is not None
        return self.model.get_initializer(name) is not None

    def _quantizer(self, node: NodeProto) -> tuple[Float32, int, int]:
        scale, zero_point, bits = (self.model.get_initializer(i) for i in node.input[1:4])
        attributes = _attributes(node)
        mode = attributes.get("rounding_mode", b"ROUND").decode()
        self._require(node, scale is not None and bits is not None, "its scale is not constant")
        positive = np.isfinite(scale).all() and (scale > 0).all()
        self._require(node, bool(positive), "a scale is not a positive number")
        self._require(node, not np.any(zero_point), "zero point other than 0")
        self._require(node, mode == "ROUND", f"rounding mode {mode}, only ROUND is exact")
        self._require(node, float(np.max(bits)).is_integer(), "fractional bit width")
        width = int(np.max(bits))
        signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
        low = -(2 ** (width - 1)) + narrow if signed else 0
        high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
        return np.asarray(scale, np.float32), low, high

    def _quantized_initializer(self, node: NodeProto, name: str) -> _QuantizedWeight:
        producer = self.model.find_producer(name)
        if producer is None or producer.op_type != "Quant":
            self.refuse(node, f"its weight {name} is not quantized")
        values = self.model.get_initializer(producer.input[0])
        self._require(node, values is not None, f"its weight {name} is not a constant")
        scale, low, high = self._quantizer(producer)
        codes = np.clip(np.rint(values / scale), low, high).astype(np.int64)
        bits = int(np.max(self.model.get_initializer(producer.input[3])))
        outputs = values.shape[1] if node.op_type == "MatMul" else len(values)
        per_channel = np.broadcast_to(scale.reshape(-1), (outputs,))
        return _QuantizedWeight(codes, bits, per_channel.astype(np.float32))

    def _real_initializer(self, node: NodeProto, name: str) -> Float32:
        producer = self.model.find_producer(name)
        if producer is not None and producer.op_type == "Quant":
            scale, low, high = self._quantizer(producer)
            values = self.model.get_initializer(producer.input[0])
            self._require(node, values is not None, f"its bias {name} is not a constant")
            real = np.clip(np.rint(values / scale), low, high).astype(np.float32) * scale
        else:
            real = self.model.get_initializer(name)
        channels = len(self.drafts[-1].weights)
        return np.broadcast_to(np.asarray(real, np.float32).reshape(-1), (channels,)).copy()

    def finish(self) -> Chain:
        if self.input is None or not self.drafts:
            raise UserError(
                "the graph holds no quantized layer behind a quantized input",
                self.source,
                "export a network whose input and layers are quantized by Brevitas",
            )
        for draft in self.drafts[:-1]:
            self._require(draft.node, draft.activation is not None, "its output is not quantized")
        last = self.drafts[-1]
        self._require(last.node, last.activation is None, "the logits are quantized")
        shape = self.model.get_tensor_shape(self.model.graph.input[0].name)
        blocks = tuple(_block(i, d) for i, d in enumerate(self.drafts))
        return Chain(self.input, int(shape[2]), int(shape[1]), blocks)


@dataclass(frozen=True)
class _QuantizedWeight:
    codes: np.ndarray
    bits: int
    scale: Float32


def _block(index: int, draft: _Draft) -> Block:
    kind = "conv" if draft.node.op_type == "Conv" else "dense"
    boundary = f"pool{index}" if draft.pool > 1 else f"act{index}"
    return Block(
        name=f"{kind}{index}",
        boundary=boundary if draft.activation is not None else f"{kind}{index}",
        weights=np.ascontiguousarray(draft.weights),
        weight_bits=draft.weight_bits,
        weight_scale=draft.weight_scale,
        padding=draft.padding,
        bias=draft.bias,
        norm=draft.norm,
        relu=draft.relu,
        activation=draft.activation,
        pool=draft.pool,
    )


def _attributes(node: NodeProto) -> dict[str, Any]:
    """Attribute values by name, in plain Python types."""
    names = [a.name for a in node.attribute]
    return {name: _value(get_by_name(node.attribute, name)) for name in names}


def _value(attribute: Any) -> Any:
    value = get_attribute_value(attribute)
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, bytes) else value
