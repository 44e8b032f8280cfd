"""Reads a QONNX graph (ours or somebody else's) as a chain of blocks.

Supported: one path of Quant -> Conv (1-D, stride 1, symmetric padding) or Gemm/MatMul ->
[BatchNormalization] -> [Relu] -> Quant -> [MaxPool, kernel = stride], ending in a dense
layer.  Anything else is reported by node name, operator and reason.  The reader follows the
shape of the data, so that a constant that would broadcast along the frame is not taken for one
a channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveUniqueParameterTensors,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
)
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit

from pipeline.core.errors import UserError
from pipeline.network.chain import BatchNorm, Block, Chain, Float32, Quantizer
from pipeline.network.qonnx_constants import WIDEST_CODES, Constants, attributes_of

_QUANTIZERS = ["Quant", "BipolarQuant", "Trunc"]
SHAPE_OPERATORS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
_FEWEST_INPUTS = {"Quant": 4, "Conv": 2, "Gemm": 2, "MatMul": 2, "Add": 2, "BatchNormalization": 5}


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
    for what, tensors in (("inputs", model.graph.input), ("outputs", model.graph.output)):
        if len(tensors) != 1:
            raise UserError(
                f"the graph has {len(tensors)} {what}, one is supported",
                str(path),
                "export the classifier alone, without auxiliary inputs or outputs",
            )
    return model


def _cleaned(model: ModelWrapper) -> ModelWrapper:
    """Shapes inferred and constants folded; the steps of qonnx' own clean-up, but for renaming."""
    del model.graph.value_info[:]  # what the file says of shapes may not be so
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
        if node.op_type in _QUANTIZERS:
            node.domain = "qonnx.custom_op.general"  # older exporters name it differently
    _drop_unread(model)
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


def _drop_unread(model: ModelWrapper) -> None:
    """Removes nodes that do not lead to an output."""
    read = {tensor.name for tensor in model.graph.output}
    for node in reversed(list(model.graph.node)):
        if read.isdisjoint(node.output):
            model.graph.node.remove(node)
        else:
            read.update(node.input)


@dataclass(frozen=True)
class Places:
    """Names of the tensors that hold the codes of a chain's blocks.

    input: behind the input's quantizer; codes: of every block before its max-pool, the logits of
    the last one; boundaries: behind the max-pool.  A tensor is (frames, channels, positions) or
    flattened in that order.
    """

    input: str
    codes: tuple[str, ...]
    boundaries: tuple[str, ...]


def read_qonnx(model: ModelWrapper, source: str) -> Chain:
    """The chain of blocks of a cleaned graph; `source` names it in errors.

    Raises UserError, naming the node, for whatever the hardware cannot compute.
    """
    return read_with_places(model, source)[0]


def read_with_places(model: ModelWrapper, source: str) -> tuple[Chain, Places]:
    """As `read_qonnx`, with the tensors that hold what the chain's blocks compute."""
    tensor = model.graph.input[0].name
    shape = model.get_tensor_shape(tensor) or [0]
    if shape[0] != 1 or min(shape) < 1:
        raise UserError(
            f"the input {tensor} has shape {tuple(shape)}, not that of one frame",
            source,
            "export with example data of shape (1, channels, positions) and no dynamic axes",
        )
    reader = _Reader(model, source, tensor, tuple(shape[1:]))
    for node in reader.data_path():
        reader.take(node)
    return reader.finish(tuple(shape[1:])), reader.places()


@dataclass
class _Draft:
    """A block under construction; quantized: tensor of its codes, last: of what it computes."""

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
    quantized: str = ""
    last: str = ""


@dataclass
class _Reader(Constants):
    """tensor: what the next node of the path reads; shape: of a frame there, (channels,
    positions) or flattened (features,); entering: where the codes of the input are."""

    tensor: str
    shape: tuple[int, ...]
    input: Quantizer | None = None
    entering: str = ""
    drafts: list[_Draft] = field(default_factory=list)

    def data_path(self) -> list[NodeProto]:
        """Nodes that the graph's input reaches, in the order of the file."""
        fed, path = {self.tensor}, []
        for node in self.model.graph.node:
            if any(name in fed for name in node.input):
                fed.update(node.output)
                path.append(node)
        return path

    def take(self, node: NodeProto) -> None:
        self.require(node, self.tensor in node.input, "it branches off the one path of the data")
        self.require(
            node, len(node.input) >= _FEWEST_INPUTS.get(node.op_type, 1), "an input is missing"
        )
        handler: Callable[[NodeProto], None] | None
        handler = getattr(self, f"_take_{node.op_type.lower()}", None)
        if node.op_type in SHAPE_OPERATORS:
            handler = self._take_shape_operator
        if handler is None:
            self.refuse(node, "this operator has no hardware kernel")
        handler(node)
        self.tensor = node.output[0]
        if self.drafts and node.op_type not in SHAPE_OPERATORS:
            self.drafts[-1].last = self.tensor

    # --- one method an operator -------------------------------------------------------------

    def _take_shape_operator(self, node: NodeProto) -> None:
        found = self.model.get_tensor_shape(node.output[0])
        flat = (int(np.prod(self.shape)),)
        same = found in ([1, *self.shape], [1, *flat])
        self.require(node, same, "it reorders the data; flattening is supported")
        self.shape = tuple(found[1:])

    def _take_quant(self, node: NodeProto) -> None:
        scale, codes, _ = self.quantizer(node, WIDEST_CODES)
        if scale.size != 1:
            self.refuse(node, "activation scales must be one number a tensor")
        quantizer = Quantizer(np.float32(scale.reshape(())), codes)
        if not self.drafts:
            self.require(node, self.input is None, "the input is quantized twice")
            self.input, self.entering = quantizer, node.output[0]
            return
        draft = self.drafts[-1]
        self.require(node, draft.activation is None, "the activation is quantized twice")
        self.require(node, draft.pool == 1, "a max-pool comes after the quantizer here")
        full = codes.low == 0 and codes.high % 2 == 1
        self.require(node, full or not draft.relu, "a signed or narrow quantizer behind Relu")
        draft.activation, draft.quantized = quantizer, node.output[0]

    def _take_conv(self, node: NodeProto) -> None:
        self._require_input_quantized(node)
        attributes = attributes_of(node)
        weight = self.quantized_weight(node, out_axis=0)
        pads = attributes.get("pads", [0, 0])
        self.require(node, weight.codes.ndim == 3, "only 1-D convolutions have a kernel")
        self.require(node, len(self.shape) == 2, "a convolution of a flattened frame")
        self.require(node, attributes.get("group", 1) == 1, "grouped convolution")
        self.require(node, attributes.get("strides", [1]) == [1], "stride other than 1")
        self.require(node, attributes.get("dilations", [1]) == [1], "dilation other than 1")
        automatic = attributes.get("auto_pad", "NOTSET") != "NOTSET"
        self.require(node, not automatic, "padding by auto_pad, only explicit pads are exact")
        self.require(node, pads[0] == pads[1], "padding differs between the two sides")
        self.require(node, pads[0] >= 0, "negative padding")
        outputs, inputs, kernel = weight.codes.shape
        channels, positions = self.shape
        self.require(node, inputs == channels, f"it reads {inputs} channels of {channels}")
        self.shape = (outputs, positions + 2 * int(pads[0]) - kernel + 1)
        self.require(node, self.shape[1] > 0, "its kernel is longer than its input")
        codes = weight.codes.transpose(0, 2, 1)  # (out, in, kernel) -> (out, kernel, in)
        self.drafts.append(_Draft(node, codes, weight.bits, weight.scale, int(pads[0])))
        self._take_bias(node, (outputs,))

    def _take_gemm(self, node: NodeProto) -> None:
        attributes = attributes_of(node)
        for name in ("alpha", "beta"):
            self.require(node, attributes.get(name, 1.0) == 1.0, f"{name} other than 1")
        self.require(node, not attributes.get("transA", 0), "transposed input")
        self._take_dense(node, out_axis=0 if attributes.get("transB", 0) else 1)
        self._take_bias(node, self.shape)

    def _take_matmul(self, node: NodeProto) -> None:
        self._take_dense(node, out_axis=1)

    def _take_dense(self, node: NodeProto, out_axis: int) -> None:
        self._require_input_quantized(node)
        self.require(node, bool(self.drafts), "the first layer has to be a convolution")
        weight = self.quantized_weight(node, out_axis)
        self.require(node, weight.codes.ndim == 2, "its weight is no matrix")
        self.require(node, len(self.shape) == 1, "its input is not a flattened frame")
        codes = weight.codes if out_axis == 0 else weight.codes.T
        outputs, inputs = codes.shape
        self.require(node, inputs == self.shape[0], f"it reads {inputs} of {self.shape[0]} values")
        # flattened as (channel, position): hardware streams (position, channel)
        channels = len(self.drafts[-1].weights)
        codes = codes.reshape(outputs, channels, -1).transpose(0, 2, 1)
        self.shape = (outputs,)
        self.drafts.append(_Draft(node, codes, weight.bits, weight.scale, 0))

    def _take_bias(self, node: NodeProto, shape: tuple[int, ...]) -> None:
        if len(node.input) > 2 and node.input[2]:
            self.drafts[-1].bias = self.per_channel(
                node, node.input[2], shape, len(self.drafts[-1].weights)
            )

    def _take_add(self, node: NodeProto) -> None:
        draft = self._open_draft(node)
        constant = next((i for i in node.input if self._is_constant(i)), None)
        self.require(node, constant is not None, "adds two streams (a residual connection)")
        self.require(node, draft.bias is None, "a second bias")
        self.require(
            node, draft.norm is None and not draft.relu, "a bias behind BatchNormalization or Relu"
        )
        draft.bias = self.per_channel(node, str(constant), (1, *self.shape), len(draft.weights))

    def _take_batchnormalization(self, node: NodeProto) -> None:
        draft = self._open_draft(node)
        attributes = attributes_of(node)
        self.require(node, draft.norm is None, "two BatchNormalizations in a row")
        self.require(node, not draft.relu, "BatchNormalization behind Relu")
        self.require(node, not attributes.get("training_mode", 0), "it is in training mode")
        values = [self.model.get_initializer(i) for i in node.input[1:5]]
        self.require(node, all(v is not None for v in values), "a parameter is no constant")
        self.require(node, all(np.isfinite(v).all() for v in values), "a parameter is not finite")
        shape = (len(draft.weights),)
        self.require(
            node, all(v.shape == shape for v in values), "its channels are not its layer's"
        )
        gamma, beta, mean, variance = (np.array(v, np.float32) for v in values)
        epsilon = float(attributes.get("epsilon", 1e-5))
        self.require(node, bool((variance + epsilon > 0).all()), "a variance is not positive")
        draft.norm = BatchNorm(gamma, beta, mean, variance, epsilon)

    def _take_relu(self, node: NodeProto) -> None:
        draft = self._open_draft(node)
        self.require(node, not draft.relu, "two Relus in a row")
        draft.relu = True

    def _take_maxpool(self, node: NodeProto) -> None:
        attributes = attributes_of(node)
        kernel, strides = attributes.get("kernel_shape", []), attributes.get("strides", [1])
        self.require(node, bool(self.drafts), "a max-pool before the first layer")
        self.require(node, len(kernel) == 1, "only 1-D max-pools have a kernel")
        self.require(node, kernel == strides, "max-pool with kernel other than its stride")
        self.require(node, not any(attributes.get("pads", [0])), "padded max-pool")
        automatic = attributes.get("auto_pad", "NOTSET") != "NOTSET"
        self.require(node, not automatic, "padding by auto_pad, only explicit pads are exact")
        self.require(node, attributes.get("dilations", [1]) == [1], "dilation other than 1")
        self.require(node, not attributes.get("ceil_mode", 0), "max-pool in ceil mode")
        self.require(node, self.drafts[-1].pool == 1, "two max-pools in a row")
        self.require(node, len(self.shape) == 2, "a max-pool of a flattened frame")
        self.drafts[-1].pool = int(kernel[0])
        self.shape = (self.shape[0], self.shape[1] // int(kernel[0]))
        self.require(node, self.shape[1] > 0, "its kernel is longer than its input")

    # --- helpers ----------------------------------------------------------------------------

    def _require_input_quantized(self, node: NodeProto) -> None:
        before = self.drafts[-1].activation if self.drafts else self.input
        self.require(node, before is not None, "its input is not quantized")

    def _open_draft(self, node: NodeProto) -> _Draft:
        self.require(
            node,
            bool(self.drafts) and self.drafts[-1].activation is None,
            "expected between a convolution or dense layer and its quantizer",
        )
        return self.drafts[-1]

    def _is_constant(self, name: str) -> bool:
        return self.constant(name) is not None

    def finish(self, shape: tuple[int, ...]) -> Chain:
        """The chain; `shape` is that of the input."""
        if self.input is None or not self.drafts or len(shape) != 2:
            raise UserError(
                "the graph holds no quantized layer behind a quantized input of shape "
                "(1, channels, positions)",
                self.source,
                "export a network whose input and layers are quantized by Brevitas",
            )
        for draft in self.drafts[:-1]:
            self.require(draft.node, draft.activation is not None, "its output is not quantized")
        last = self.drafts[-1]
        bare = last.norm is None and not last.relu and last.activation is None and last.pool == 1
        self.require(
            last.node, bare, "only a bias may follow the last layer, whose sums are logits"
        )
        self.require(last.node, len(last.weights) > 1, "a classifier has two classes or more")
        one_each = int(np.prod(self.shape)) == len(last.weights)
        self.require(last.node, one_each, "the last layer gives more than one logit a class")
        output = self.model.graph.output[0].name
        self.require(
            last.node, self.tensor == output, f"output {output} is not the end of its path"
        )
        blocks = tuple(_block(i, d) for i, d in enumerate(self.drafts))
        return Chain(self.input, shape[1], shape[0], blocks)

    def places(self) -> Places:
        """Where the codes of a finished chain are."""
        codes = tuple(draft.quantized or draft.last for draft in self.drafts)
        return Places(self.entering, codes, tuple(draft.last for draft in self.drafts))


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
