"""The lowered graph as stock FINN takes it: FINN's own operators alone, and its configurations.

Our max-pool becomes FINN's window and pool; bias and label select are FINN's abstract operators
already.  Which back end computes an operator is stock FINN's choice, guided by the two
configurations that its build reads: folding and specialisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
    RemoveUnusedTensors,
)

from pipeline.dataflow.folding import Operator
from pipeline.dataflow.lowering import ABSTRACT_DOMAIN, LoweringError, feeds_pool
from pipeline.dataflow.operators import MaxPool1D

from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen  # isort: skip
from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool  # isort: skip
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers  # isort: skip
from finn.transformation.general import ApplyConfig  # isort: skip

Configuration = dict[str, dict[str, Any]]
"""Attributes by node name, as FINN's ApplyConfig reads them."""

IN_RTL = ("ConvolutionInputGenerator", "FMPadding", "MVAU", "Thresholding")
"""What FINN has RTL for on every device; its other operators here are HLS only."""
PARALLELISM = ("PE", "SIMD")
DSP_SHARE = 0.9
"""Of the device's DSPs that FINN's units in RTL may take: the placer needs some room."""


def to_stock(graph: ModelWrapper, parallelism: Mapping[str, Mapping[str, int]]) -> ModelWrapper:
    """The lowered `graph`, which is used up, with FINN's operators alone, folded.

    `parallelism` has PE and SIMD by the node's name in `graph`; other nodes keep theirs.
    """
    for node in graph.graph.node:
        for attribute, value in parallelism.get(node.name, {}).items():
            getCustomOp(node).set_nodeattr(attribute, value)
    pools = {n.output[0]: getCustomOp(n).get_nodeattr("PE") for n in _own_pools(graph)}
    for step in (LeaveMaxPoolToFinn(), InferPool(), InferConvInpGen()):
        graph = graph.transform(step)
    for output, pe in pools.items():
        _fold_pool(graph, graph.find_producer(output), pe)
    for step in (GiveUniqueNodeNames(), GiveReadableTensorNames(), RemoveUnusedTensors()):
        graph = graph.transform(step)
    check_stock(graph)
    return graph


def check_stock(graph: ModelWrapper) -> None:
    """Raises LoweringError unless every node is an abstract operator that FINN itself defines, and
    each pool takes its window's words as they come."""
    for node in graph.graph.node:
        own = node.domain == ABSTRACT_DOMAIN and _comes_from_finn(node)
        if not own:
            raise LoweringError(f"node {node.name} ({node.op_type}) is none of FINN's own")
        if node.op_type == "Pool":
            _check_pool(graph, node)


def specialize_config(graph: ModelWrapper, part: str, dsps: int) -> Configuration:
    """Back ends of the nodes of `to_stock`'s graph: RTL where FINN has it.

    FINN's units in RTL multiply in DSPs, of which the device has `dsps`: where they would not do,
    those that make the least of them are left to HLS, which then multiplies in LUTs.
    """
    styles: Configuration = {"Defaults": {}}
    for node in graph.graph.node:
        in_rtl = node.op_type in IN_RTL and not _takes_all_at_once(node)
        styles[node.name] = {"preferred_impl_style": "rtl" if in_rtl else "hls"}
    after = _specialized(graph, styles, part)
    pairs = zip(graph.graph.node, after.graph.node, strict=True)
    units = {node.name: getCustomOp(unit) for node, unit in pairs if node.op_type == "MVAU"}
    for name in units.keys() - _within(units, part, int(DSP_SHARE * dsps)):
        styles[name] = {"preferred_impl_style": "hls"}
    return styles


def folding_config(graph: ModelWrapper, styles: Configuration, part: str) -> Configuration:
    """PE and SIMD of `to_stock`'s graph, by the names that nodes have after specialisation."""
    folding: Configuration = {"Defaults": {}}
    for node in _specialized(graph, styles, part).graph.node:
        operator = getCustomOp(node)
        known = operator.get_nodeattr_types()
        folding[node.name] = {a: operator.get_nodeattr(a) for a in PARALLELISM if a in known}
        if node.op_type == "MVAU_hls":
            folding[node.name]["resType"] = "lut"
    return folding


class LeaveMaxPoolToFinn(Transformation):
    """Our MaxPool1D becomes QONNX's MaxPoolNHWC, from which FINN makes its own operators."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        for node in _own_pools(model):
            kernel = getCustomOp(node).get_nodeattr("Kernel")
            replacement = helper.make_node(
                "MaxPoolNHWC",
                node.input,
                node.output,
                name=node.name,
                domain="qonnx.custom_op.general",
                kernel_shape=[kernel, 1],
                strides=[kernel, 1],
                pads=[0, 0, 0, 0],
            )
            model.graph.node.insert(list(model.graph.node).index(node), replacement)
            model.graph.node.remove(node)
        return model, False


def _own_pools(graph: ModelWrapper) -> list[NodeProto]:
    return list(graph.get_nodes_by_op_type(MaxPool1D.__name__))


def _comes_from_finn(node: NodeProto) -> bool:
    """Our operators live in FINN's domain, but their classes do not."""
    return type(getCustomOp(node)).__module__.startswith("finn.")


def _fold_pool(graph: ModelWrapper, pool: NodeProto, pe: int) -> None:
    """Pool and window of the same width: the channels of a word are the pool's, word by word."""
    getCustomOp(pool).set_nodeattr("PE", pe)
    getCustomOp(graph.find_producer(pool.input[0])).set_nodeattr("SIMD", pe)


def _check_pool(graph: ModelWrapper, pool: NodeProto) -> None:
    window, pe = graph.find_producer(pool.input[0]), getCustomOp(pool).get_nodeattr("PE")
    fits = window is not None and feeds_pool(window)
    if not (fits and getCustomOp(window).get_nodeattr("SIMD") == pe):
        raise LoweringError(f"node {pool.name}: its window does not deliver {pe} channels a word")


def _takes_all_at_once(node: NodeProto) -> bool:
    """FINN's RTL loses results of such a unit when it has to wait: its queue is one short."""
    if node.op_type != "MVAU":
        return False
    operator = getCustomOp(node)
    return bool(operator.get_nodeattr("SIMD") == operator.get_nodeattr("MW"))


def _specialized(graph: ModelWrapper, styles: Configuration, part: str) -> ModelWrapper:
    """A copy as FINN's own step leaves it."""
    after = ModelWrapper(graph.model, make_deepcopy=True)
    for step in (ApplyConfig(styles), SpecializeLayers(part), GiveUniqueNodeNames()):
        after = after.transform(step)
    return after


def _within(units: Mapping[str, Operator], part: str, dsps: int) -> set[str]:
    """Names of the units in RTL that `dsps` suffice for: first those with the most products in
    one, then the largest."""

    def rank(name: str) -> tuple[float, int]:
        products = units[name].get_nodeattr("PE") * units[name].get_nodeattr("SIMD")
        return -products / units[name].dsp_estimation(part), -products

    kept = set()
    for name in sorted((n for n, u in units.items() if _is_rtl(u)), key=rank):
        needed = units[name].dsp_estimation(part)
        if needed <= dsps:
            kept.add(name)
            dsps -= needed
    return kept


def _is_rtl(unit: Operator) -> bool:
    return bool(unit.onnx_node.op_type.endswith("_rtl"))
