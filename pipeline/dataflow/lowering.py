"""QONNX to FINN's hardware graph: a list of passes, each followed by a check.

The passes are FINN's transformations but for three: the input quantizer leaves the graph (the
host quantizes), max-pools with kernel = stride become one operator without a sliding window,
and thresholds and data types come from the integer model.  A pass takes a graph and returns a
graph; its check raises LoweringError.  The result is abstract: it says what every layer
computes and runs in Python (rung 3); `fold` chooses parallelism and back ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.change_3d_tensors_to_4d import Change3DTo4DTensors
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
)
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul

from pipeline.dataflow.integer_model import Codes, IntegerModel, Integers, Layer, reachable
from pipeline.dataflow.operators import BACK_ENDS, ZERO_SKIPPING

from finn.transformation.streamline import absorb  # isort: skip
from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen  # isort: skip
from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import (  # isort: skip
    InferElementwiseBinaryOperation,
)
from finn.transformation.fpgadataflow.convert_to_hw.label_select import InferLabelSelectLayer  # isort: skip
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (  # isort: skip
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer  # isort: skip
from finn.transformation.move_reshape import RemoveCNVtoFCFlatten  # isort: skip
from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN  # isort: skip
from finn.transformation.streamline import Streamline  # isort: skip
from finn.transformation.streamline.reorder import MakeMaxPoolNHWC  # isort: skip

ABSTRACT_DOMAIN = "finn.custom_op.fpgadataflow"
RTL_DOMAIN = "finn.custom_op.fpgadataflow.rtl"
WINDOW = "ConvolutionInputGenerator"


class LoweringError(Exception):
    """A pass broke its invariant: our fault or FINN's, never the user's."""


@dataclass
class Lowering:
    """What the passes work on and what they report.

    thresholds_replaced counts values of FINN's own thresholds that differ from the integer
    model's, by layer boundary.
    """

    graph: ModelWrapper
    model: IntegerModel
    thresholds_replaced: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """One step: what it does in a line, the change, and the invariant that then holds."""

    name: str
    purpose: str
    apply: Callable[[Lowering], ModelWrapper]
    check: Callable[[Lowering], None]


def lower(lowering: Lowering, watch: Callable[[Pass], None] = lambda _: None) -> ModelWrapper:
    """Runs all passes in order; `watch` is called before each."""
    for step in PASSES:
        watch(step)
        lowering.graph = step.apply(lowering)
        try:
            step.check(lowering)
        except LoweringError as error:
            raise LoweringError(f"after pass '{step.name}': {error}") from error
    return lowering.graph


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise LoweringError(message)


def _operators(graph: ModelWrapper) -> list[str]:
    return [node.op_type for node in graph.graph.node]


def _transformed(graph: ModelWrapper, *steps: Transformation) -> ModelWrapper:
    for step in steps:
        graph = graph.transform(step)
    return graph


# --- passes -------------------------------------------------------------------------------------


def _convert(lowering: Lowering) -> ModelWrapper:
    """Quant nodes become MultiThresholds and integer initializers; a TopK is the classifier."""
    return _transformed(
        lowering.graph,
        ConvertQONNXtoFINN(),
        InsertTopK(k=1),
        InferShapes(),
        FoldConstants(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
        InferDataTypes(),
        RemoveStaticGraphInputs(),
    )


def _no_quantizers(lowering: Lowering) -> None:
    left = {"Quant", "BipolarQuant", "Trunc", "IntQuant"} & set(_operators(lowering.graph))
    _require(not left, f"operators {sorted(left)} remain")


def _to_four_dimensions(lowering: Lowering) -> ModelWrapper:
    """1-D convolutions as 2-D ones of width 1, which is what FINN lowers."""
    graph = _transformed(lowering.graph, Change3DTo4DTensors(), absorb.AbsorbScalarMulAddIntoTopK())
    for node in graph.get_nodes_by_op_type("MaxPool"):
        # left at one dimension by the transformation, which ONNX Runtime then refuses
        kept = [a for a in node.attribute if a.name != "dilations"]
        del node.attribute[:]
        node.attribute.extend(kept)
    return graph


def _four_dimensional(lowering: Lowering) -> None:
    shapes = [lowering.graph.get_tensor_shape(n.input[0]) for n in lowering.graph.graph.node]
    _require(all(len(s) in (2, 4) for s in shapes), "a tensor of three dimensions remains")


def _streamline(lowering: Lowering) -> ModelWrapper:
    """Scales and BatchNorm move into thresholds; convolutions become matrix products."""
    return _transformed(
        lowering.graph,
        absorb.AbsorbScalarBiasIntoMultiThreshold(),
        Streamline(),
        LowerConvsToMatMul(),
        MakeMaxPoolNHWC(),
        absorb.AbsorbTransposeIntoMultiThreshold(),
        MakeMaxPoolNHWC(),
        absorb.AbsorbConsecutiveTransposes(),
        Streamline(),
        absorb.AbsorbScalarMulAddIntoTopK(),
        InferDataLayouts(),
        RemoveUnusedTensors(),
    )


_STREAMLINED = {"MultiThreshold", "Transpose", "Im2Col", "MatMul", "MaxPoolNHWC", "Reshape"}
_STREAMLINED |= {"Flatten", "Add", "TopK"}


def _integers_only(lowering: Lowering) -> None:
    for node in lowering.graph.graph.node:
        _require(
            node.op_type in _STREAMLINED,
            f"node {node.name} ({node.op_type}) could not be moved into a threshold",
        )
    products = len(lowering.graph.get_nodes_by_op_type("MatMul"))
    _require(products == len(lowering.model.layers), f"{products} matrix products")


def _leave_input_quantizer_to_host(lowering: Lowering) -> ModelWrapper:
    """The graph starts at the integer codes, (1, positions, 1, channels).

    FINN rounds halves up there, Brevitas to even; on the host the difference is gone.
    """
    graph = lowering.graph
    while graph.graph.node[0].op_type in ("MultiThreshold", "Transpose"):
        graph.graph.node.remove(graph.graph.node[0])
    old = graph.graph.node[0].input[0]
    shape = [1, lowering.model.positions, 1, lowering.model.channels]
    new = helper.make_tensor_value_info("global_in", TensorProto.FLOAT, shape)
    del graph.graph.input[:]
    graph.graph.input.append(new)
    for consumer in graph.find_consumers(old):
        consumer.input[list(consumer.input).index(old)] = new.name
    graph.set_tensor_datatype(new.name, finn_type(lowering.model.input))
    return _transformed(graph, InferDataLayouts(), InferShapes(), RemoveUnusedTensors())


def _input_is_codes(lowering: Lowering) -> None:
    (tensor,) = lowering.graph.graph.input
    datatype = lowering.graph.get_tensor_datatype(tensor.name)
    _require(datatype == finn_type(lowering.model.input), f"the input is {datatype}")
    first = lowering.graph.graph.node[0].op_type
    _require(first in ("Im2Col", "MatMul", "Reshape"), f"the graph starts with {first}")


def _to_hardware(lowering: Lowering) -> ModelWrapper:
    """Operators of the streamlined graph become FINN's hardware operators."""
    return _transformed(
        lowering.graph,
        InferThresholdingLayer(),
        InferQuantizedMatrixVectorActivation(),
        InferMaxPool1D(),
        InferConvInpGen(),
        RemoveCNVtoFCFlatten(),
        absorb.AbsorbConsecutiveTransposes(),
        InferElementwiseBinaryOperation(),
        InferLabelSelectLayer(),
        RemoveFlatten(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
        InferDataLayouts(),
        InferDataTypes(),
        InferShapes(),
    )


def _only_hardware(lowering: Lowering) -> None:
    for node in lowering.graph.graph.node:
        _require(
            node.domain == ABSTRACT_DOMAIN,
            f"node {node.name} ({node.op_type}) has no hardware operator",
        )
        _require(not feeds_pool(node), f"node {node.name} takes channels apart")
        shape = lowering.graph.get_tensor_shape(node.input[0])
        _require(len(shape) < 4 or shape[2] == 1, f"node {node.name} reads images")
        successors = lowering.graph.find_consumers(node.output[0])
        _require(len(successors) <= 1, f"node {node.name} feeds {len(successors)} nodes")


def _use_integer_model(lowering: Lowering) -> ModelWrapper:
    """Thresholds of the integer model replace FINN's; accumulators get their reachable width."""
    graph = lowering.graph
    for index, (layer, nodes) in enumerate(layers_of(lowering)):
        unit = next(n for n in nodes if n.op_type == "MVAU")
        _set_matrix(graph, unit, layer, finn_type(lowering.model.accumulator(index)))
        for node in nodes:
            if node.op_type == "Thresholding":
                replaced = _set_thresholds(lowering, node, index, layer)
                lowering.thresholds_replaced[layer.boundary] = replaced
            elif node.op_type == "ElementwiseAdd":
                _set_bias(graph, node, layer, finn_type(lowering.model.accumulator(index)))
    return _transformed(graph, InferDataTypes())


def _equals_integer_model(lowering: Lowering) -> None:
    """Operators, weights, thresholds and biases of the graph are the integer model's."""
    for layer, nodes in layers_of(lowering):
        found = [n.op_type for n in nodes if n.op_type not in _MOVING]
        _require(found == _computing(layer), f"layer {layer.name} is computed by {found}")
        for node in nodes:
            if node.op_type == "MVAU":
                _same(lowering.graph, node, matrix_of(layer), layer.name)
            elif node.op_type == "Thresholding":
                _same(lowering.graph, node, layer.thresholds, layer.boundary)
            elif node.op_type == "ElementwiseAdd":
                _same(lowering.graph, node, layer.bias, layer.boundary)


_MOVING = {"FMPadding", WINDOW}


def _computing(layer: Layer) -> list[str]:
    """The operators that compute a layer, in data order."""
    parts = [
        ("MVAU", True),
        ("Thresholding", layer.thresholds is not None),
        ("ElementwiseAdd", layer.bias is not None),
        ("MaxPool1D", layer.pool > 1),
    ]
    return [name for name, needed in parts if needed]


PASSES = (
    Pass("convert", "QONNX quantizers to integer operators", _convert, _no_quantizers),
    Pass("dimensions", "1-D to 2-D of width 1", _to_four_dimensions, _four_dimensional),
    Pass("streamline", "scales and BatchNorm into thresholds", _streamline, _integers_only),
    Pass(
        "host input",
        "the host quantizes the input",
        _leave_input_quantizer_to_host,
        _input_is_codes,
    ),
    Pass("hardware", "FINN's hardware operators", _to_hardware, _only_hardware),
    Pass("integers", "values of the integer model", _use_integer_model, _equals_integer_model),
)


# --- transformations of our own -----------------------------------------------------------------


class InferMaxPool1D(Transformation):
    """MaxPoolNHWC with kernel = stride along the frame becomes MaxPool1D."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        pools = model.get_nodes_by_op_type("MaxPoolNHWC")
        for node in pools:
            _, positions, _, channels = model.get_tensor_shape(node.input[0])
            kernel = getCustomOp(node).get_nodeattr("kernel_shape")[0]
            replacement = helper.make_node(
                "MaxPool1D",
                node.input,
                node.output,
                domain=ABSTRACT_DOMAIN,
                backend="fpgadataflow",
                Channels=channels,
                PE=1,
                Kernel=kernel,
                Positions=positions,
                dataType=model.get_tensor_datatype(node.input[0]).name,
            )
            _replace(model, node, replacement)
        return model, False


class RemoveFlatten(Transformation):
    """Flattening a frame whose weights are already in stream order changes nothing on a wire."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        for node in list(model.graph.node):
            if node.op_type not in ("Reshape", "Flatten"):
                continue
            for consumer in model.find_consumers(node.output[0]):
                consumer.input[list(consumer.input).index(node.output[0])] = node.input[0]
            model.graph.node.remove(node)
        return model, False


class UseOwnKernels(Transformation):
    """Renames abstract operators to our back ends."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        for node in list(model.graph.node):
            if node.domain == ABSTRACT_DOMAIN and node.op_type in BACK_ENDS:
                node.op_type = BACK_ENDS[node.op_type]
                node.domain = RTL_DOMAIN
        return model, False


def _replace(model: ModelWrapper, old: NodeProto, new: NodeProto) -> None:
    index = list(model.graph.node).index(old)
    model.graph.node.insert(index, new)
    model.graph.node.remove(old)


# --- the integer model in FINN's terms ----------------------------------------------------------


def finn_type(codes: Codes) -> BaseDataType:
    """FINN's data type of an integer stream."""
    return DataType[f"{'INT' if codes.signed else 'UINT'}{codes.bits}"]


def matrix_of(layer: Layer) -> Integers:
    """Weights as FINN's matrix (kernel * in, out), the position running slowest."""
    return layer.weights.reshape(len(layer.weights), -1).T


def layers_of(lowering: Lowering) -> Iterator[tuple[Layer, list[NodeProto]]]:
    """Each layer with its nodes, in data order; the label select belongs to none."""
    yield from zip(lowering.model.layers, grouped(lowering.graph), strict=True)


def grouped(graph: ModelWrapper) -> list[list[NodeProto]]:
    """The nodes of each layer, or of a run of layers in one node: a group ends where the next one's
    padding, window, unit or run starts."""
    groups: list[list[NodeProto]] = []
    for node in graph.graph.node:
        starts = node.op_type.startswith(_STARTS) and not feeds_pool(node)
        done = bool(groups) and any(_computes(n) for n in groups[-1])
        if not groups or (starts and done):
            groups.append([])
        if not node.op_type.startswith("LabelSelect"):
            groups[-1].append(node)
    return groups


def _computes(node: NodeProto) -> bool:
    return "MVAU" in node.op_type or node.op_type == ZERO_SKIPPING


_STARTS = (
    *(name for kind in ("FMPadding", WINDOW, "MVAU") for name in (kind, BACK_ENDS[kind])),
    ZERO_SKIPPING,
)
"""Operators that a layer may start with, and their back ends."""


def feeds_pool(node: NodeProto) -> bool:
    """Whether it is the window in front of FINN's max-pool: they take channels apart."""
    return any(a.name == "depthwise" and a.i for a in node.attribute)


def _set_matrix(
    graph: ModelWrapper, node: NodeProto, layer: Layer, accumulator: BaseDataType
) -> None:
    found = graph.get_initializer(node.input[1])
    wanted = matrix_of(layer)
    # a channel whose BatchNorm gain is zero is constant: its weights are gone in the model
    dead = ~wanted.any(axis=0)
    _require(
        found.shape == wanted.shape and np.array_equal(found[:, ~dead], wanted[:, ~dead]),
        f"weights of {node.name} are not those of layer {layer.name}",
    )
    graph.set_initializer(node.input[1], wanted.astype(np.float32))
    operator = getCustomOp(node)
    low = min(int(wanted.min()), -1)  # the unit multiplies signed weights
    weight = finn_type(Codes(low, int(wanted.max())))
    graph.set_tensor_datatype(node.input[1], weight)
    operator.set_nodeattr("weightDataType", weight.name)
    operator.set_nodeattr("accDataType", accumulator.name)
    operator.set_nodeattr("outputDataType", accumulator.name)
    graph.set_tensor_datatype(node.output[0], accumulator)


def _set_thresholds(lowering: Lowering, node: NodeProto, index: int, layer: Layer) -> int:
    """Replaces FINN's thresholds; returns how many of them differed in effect."""
    graph = lowering.graph
    assert layer.thresholds is not None
    low, high = (b[:, None] for b in reachable(layer.weights, lowering.model.input_codes(index)))
    found = np.broadcast_to(graph.get_initializer(node.input[1]), layer.thresholds.shape)
    # beyond the reach of its channel every threshold is as good as another
    effective = np.clip(np.nan_to_num(np.ceil(found)), low, high + 1)
    differing = int((effective != layer.thresholds).sum())
    accumulator = lowering.model.accumulator(index)
    threshold = finn_type(
        Codes(min(accumulator.low, int(layer.thresholds.min())), int(layer.thresholds.max()))
        if accumulator.signed
        else Codes(0, max(accumulator.high, int(layer.thresholds.max())))
    )
    graph.set_initializer(node.input[1], layer.thresholds.astype(np.float32))
    graph.set_tensor_datatype(node.input[1], threshold)
    operator = getCustomOp(node)
    operator.set_nodeattr("weightDataType", threshold.name)
    operator.set_nodeattr("inputDataType", finn_type(accumulator).name)
    operator.set_nodeattr("outputDataType", finn_type(layer.output).name)
    operator.set_nodeattr("ActVal", layer.output.low)
    graph.set_tensor_datatype(node.output[0], finn_type(layer.output))
    return differing


def _set_bias(
    graph: ModelWrapper, node: NodeProto, layer: Layer, accumulator: BaseDataType
) -> None:
    assert layer.bias is not None
    found = graph.get_initializer(node.input[1])
    _require(np.array_equal(found.reshape(-1), layer.bias), f"bias of {node.name}")
    logits = finn_type(layer.output)
    operator = getCustomOp(node)
    operator.set_nodeattr("lhs_dtype", accumulator.name)
    operator.set_nodeattr("out_dtype", logits.name)
    graph.set_tensor_datatype(node.output[0], logits)


def _same(graph: ModelWrapper, node: NodeProto, wanted: NDArray | None, where: str) -> None:
    found = graph.get_initializer(node.input[1])
    equal = wanted is not None and np.array_equal(found.reshape(wanted.shape), wanted)
    _require(equal, f"the constants of {node.name} are not those of {where}")
