"""Layers of FINN's graph as one node that holds them, and such a node's layers as values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.lowering import RTL_DOMAIN, grouped
from pipeline.dataflow.operators import ZERO_SKIPPING
from pipeline.dataflow.zeros.run import Pace

LATENCY_IS_FREE = 0
"""Of the node's attribute `latency`."""


def layers_of(body: ModelWrapper, names: Sequence[tuple[str, str]]) -> list[Layer]:
    """The integer model's layers that the nodes compute."""
    (tensor,) = body.graph.input
    channels, layers = body.get_tensor_shape(tensor.name)[-1], []
    for (name, boundary), nodes in zip(names, grouped(body), strict=True):
        layers.append(_layer(body, nodes, name, boundary, channels))
        channels = len(layers[-1].weights)
    return layers


def _layer(
    body: ModelWrapper, nodes: Sequence[NodeProto], name: str, boundary: str, channels: int
) -> Layer:
    by_kind = {node.op_type: node for node in nodes}
    unit = by_kind["DenseMVAU_rtl"]
    matrix = _constants(body, unit)
    datatype = body.get_tensor_datatype(nodes[-1].output[0])
    output = Codes(int(datatype.min()), int(datatype.max()))
    thresholds, bias, padding, pool = None, None, 0, 1
    if "Thresholds_rtl" in by_kind:
        node = by_kind["Thresholds_rtl"]
        steps = _constants(body, node)
        thresholds = np.broadcast_to(steps, (matrix.shape[1], steps.shape[1]))
        low = getCustomOp(node).get_nodeattr("ActVal")
        output = Codes(low, low + steps.shape[1])
    if "BiasAdd_rtl" in by_kind:
        constants = _constants(body, by_kind["BiasAdd_rtl"]).reshape(-1)
        bias = np.broadcast_to(constants, (matrix.shape[1],))
    if "FramePadding_rtl" in by_kind:
        padding, _, behind, _ = getCustomOp(by_kind["FramePadding_rtl"]).get_nodeattr("Padding")
        assert padding == behind, f"layer {name}: {padding} zeros before a frame, {behind} behind"
    if "MaxPool1D_rtl" in by_kind:
        pool = getCustomOp(by_kind["MaxPool1D_rtl"]).get_nodeattr("Kernel")
    return Layer(
        name=name,
        boundary=boundary,
        weights=matrix.T.reshape(matrix.shape[1], -1, channels),
        weight_bits=body.get_tensor_datatype(unit.input[1]).bitwidth(),
        padding=padding,
        thresholds=thresholds,
        bias=bias,
        pool=pool,
        output=output,
    )


def _constants(body: ModelWrapper, node: NodeProto) -> NDArray[np.int64]:
    return body.get_initializer(node.input[1]).astype(np.int64)


def in_one_node(
    graph: ModelWrapper, first: int, layers: Sequence[Layer], pace: Pace
) -> ModelWrapper:
    """The graph, of which these layers, from number `first` on, have become one node.

    graph: a chain with our back ends, a group of nodes for each layer up to the last of these.
    """
    groups = grouped(graph)[first : first + len(layers)]
    nodes = [node for group in groups for node in group]
    body = _body(graph, nodes)
    node = helper.make_node(
        ZERO_SKIPPING,
        [nodes[0].input[0]],
        [nodes[-1].output[0]],
        domain=RTL_DOMAIN,
        backend="fpgadataflow",
        body=body,
        layers=[layer.name for layer in layers],
        boundaries=[layer.boundary for layer in layers],
        group=pace.group,
        spacing=pace.spacing,
        **({"cycles": list(pace.cycles)} if pace.cycles else {}),  # ONNX has no empty list
        latency=pace.latency or LATENCY_IS_FREE,
        inFIFODepths=[2],
        outFIFODepths=[2],
    )
    graph.graph.node.insert(list(graph.graph.node).index(nodes[0]), node)
    for old in nodes:
        graph.graph.node.remove(old)
    return graph


def _body(graph: ModelWrapper, nodes: Sequence[NodeProto]) -> GraphProto:
    ends = [graph.get_tensor_valueinfo(x) for x in (nodes[0].input[0], nodes[-1].output[0])]
    used = {name for node in nodes for name in (*node.input, *node.output)}
    inner = [x for x in graph.graph.value_info if x.name in used - {end.name for end in ends}]
    constants = [x for x in graph.graph.initializer if x.name in used]
    body = helper.make_graph(nodes, "body", ends[:1], ends[1:], constants, value_info=inner)
    for annotation in graph.graph.quantization_annotation:
        if annotation.tensor_name in used:
            body.quantization_annotation.append(annotation)
    return body
