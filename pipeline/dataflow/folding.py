"""Folding: how many multipliers each layer gets, and the streaming graph that follows.

A matrix-vector unit with PE rows and SIMD columns takes (MH / PE) * (MW / SIMD) cycles for each
position.  Every operator gets the least parallelism that keeps its cycles for a frame within the
target; the slowest one sets the accelerator's interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames

from pipeline.core.errors import UserError
from pipeline.dataflow.lowering import RTL_DOMAIN, LoweringError, UseOwnKernels, grouped
from pipeline.dataflow.operators import ZERO_SKIPPING

from finn.transformation.fpgadataflow.insert_dwc import InsertDWC  # isort: skip
from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO  # isort: skip

Operator = Any
"""An instance of a FINN operator (FINN has no type annotations)."""

FIFO_DEPTH = 32
"""Words between two operators.  Windows and folded units deliver in bursts; with two words the
stalls add up to half as many cycles again, with this many the interval is the slowest layer's."""

SHALLOW = 2
"""Words beside a run of the zero-skipping engine, which has room for its frames itself."""


@dataclass(frozen=True)
class NodeFolding:
    """One operator: its layer, parallelism, and predicted cycles for a frame."""

    name: str
    operator: str
    layer: str
    parallelism: dict[str, int]
    cycles: int


@dataclass(frozen=True)
class LayerFolding:
    """A layer's parallelism: of its matrix-vector unit, and of what follows it up to the next."""

    simd: int
    pe: int
    after: int


def layer_foldings(nodes: Sequence[NodeFolding]) -> list[LayerFolding]:
    """The layers of a folding report, in data order."""
    by_layer: dict[str, dict[str, dict[str, int]]] = {}
    for node in nodes:
        by_layer.setdefault(node.layer, {})[node.operator] = node.parallelism
    return [
        LayerFolding(
            simd=operators["MVAU"]["SIMD"],
            pe=operators["MVAU"]["PE"],
            after=operators.get("Thresholding", operators["MVAU"])["PE"],
        )
        for operators in by_layer.values()
    ]


def target_cycles(clock_mhz: float, frames_per_second: int) -> int:
    """Clock cycles available for one frame."""
    return int(clock_mhz * 1e6 / frames_per_second)


def fold(graph: ModelWrapper, cycles: int, channels: int) -> ModelWrapper:
    """Sets PE and SIMD of every operator of the abstract hardware graph.

    The first layer takes all `channels` of a position at once, since that is the accelerator's
    input beat.  Raises UserError, naming the layer, where even full parallelism needs more than
    `cycles`.
    """
    for layer in range(len(grouped(graph))):
        fold_layer(graph, layer, cycles, channels)
    for node in graph.graph.node:
        _require_in_time(node, cycles)
    return graph


def fold_layer(graph: ModelWrapper, layer: int, cycles: int, channels: int) -> None:
    """Sets PE and SIMD of one layer's operators, as `fold` does."""
    nodes = grouped(graph)[layer]
    operators = {n.op_type: getCustomOp(n) for n in nodes}
    narrowest = 1 if layer else channels
    simd, pe = unit_folding(_unit(operators, layer), narrowest, cycles)
    operators["MVAU"].set_nodeattr("SIMD", simd)
    operators["MVAU"].set_nodeattr("PE", pe)
    _fold_around(operators, simd, cycles)
    for node in nodes:
        _require_in_time(node, cycles)


def _require_in_time(node: NodeProto, cycles: int) -> None:
    if (needed := _cycles(getCustomOp(node))) > cycles:
        raise _out_of_reach(node.name, needed, cycles)


def _out_of_reach(name: str, needed: int, cycles: int) -> UserError:
    return UserError(
        f"{name} needs {needed} cycles for a frame even when fully parallel, "
        f"but the target leaves {cycles}",
        "hardware.target_fps",
        "lower the frame rate or raise hardware.clock_mhz",
    )


@dataclass(frozen=True)
class Unit:
    """A matrix-vector unit to fold: matrix size, input vectors a frame, and the channels of a
    position where a window feeds it, else its whole input."""

    name: str
    width: int
    height: int
    vectors: int
    channels: int


def _unit(operators: dict[str, Operator], layer: int) -> Unit:
    unit, window = operators["MVAU"], operators.get("ConvolutionInputGenerator")
    width = unit.get_nodeattr("MW")
    return Unit(
        name=f"layer {layer} ({unit.onnx_node.name})",
        width=width,
        height=unit.get_nodeattr("MH"),
        vectors=int(np.prod(unit.get_nodeattr("numInputVectors"))),
        channels=width if window is None else window.get_nodeattr("IFMChannels"),
    )


def unit_folding(unit: Unit, narrowest: int, cycles: int) -> tuple[int, int]:
    """The cheapest (SIMD, PE) that keeps `unit` within `cycles`.

    SIMD divides the channels, so that a window delivers whole words, and is at least
    `narrowest`.  Among equally cheap ones the widest SIMD, which the window feeds fastest.
    """
    choices = [
        (simd * pe, -simd, simd, pe)
        for simd in divisors(unit.channels)
        for pe in divisors(unit.height)
        if simd >= narrowest and (unit.width // simd) * (unit.height // pe) * unit.vectors <= cycles
    ]
    if not choices:
        raise _out_of_reach(unit.name, unit.width // unit.channels * unit.vectors, cycles)
    _, _, simd, pe = min(choices)
    return simd, pe


def divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def _fold_around(operators: dict[str, Operator], simd: int, cycles: int) -> None:
    """Padding and window deliver the unit's words; what follows the unit keeps up with it."""
    for kind in ("FMPadding", "ConvolutionInputGenerator"):
        if kind in operators:
            operators[kind].set_nodeattr("SIMD", simd)
    threshold = operators.get("Thresholding")
    if threshold is None:
        return
    channels = threshold.get_nodeattr("NumChannels")
    vectors = int(np.prod(threshold.get_nodeattr("numInputVectors")))
    enough = (d for d in divisors(channels) if vectors * channels // d <= cycles)
    pe = next(enough, channels)
    threshold.set_nodeattr("PE", pe)
    if "MaxPool1D" in operators:
        operators["MaxPool1D"].set_nodeattr("PE", pe)


def build_stream_graph(graph: ModelWrapper, depth: int = FIFO_DEPTH) -> ModelWrapper:
    """The folded graph with width converters and FIFOs, every node with our RTL back end."""
    for node in graph.graph.node:
        own = SHALLOW if node.op_type == ZERO_SKIPPING else depth
        operator = getCustomOp(node)
        operator.set_nodeattr("outFIFODepths", [own])
        operator.set_nodeattr("inFIFODepths", [own] * len(node.input))
    for step in (
        UseOwnKernels(),
        InsertDWC(),
        InsertFIFO(create_shallow_fifos=True),
        UseOwnKernels(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
    ):
        graph = graph.transform(step)
    check_stream_graph(graph)
    return graph


def check_stream_graph(graph: ModelWrapper) -> None:
    """Raises LoweringError unless the graph is one chain of RTL nodes of matching streams."""
    before = None
    for node in graph.graph.node:
        if node.domain != RTL_DOMAIN:
            raise LoweringError(f"node {node.name} ({node.op_type}) has no RTL back end")
        operator = getCustomOp(node)
        if before is not None:
            if node.input[0] != before.onnx_node.output[0]:
                raise LoweringError(f"node {node.name} does not follow {before.onnx_node.name}")
            if operator.get_instream_width() != before.get_outstream_width():
                raise LoweringError(f"node {node.name}: stream width")
        before = operator


def report(graph: ModelWrapper, layers: Sequence[str]) -> list[NodeFolding]:
    """Parallelism and predicted cycles of every operator of the folded abstract graph."""
    rows = []
    for layer, nodes in zip(layers, grouped(graph), strict=True):
        for node in nodes:
            operator = getCustomOp(node)
            known = operator.get_nodeattr_types()
            chosen = {k: operator.get_nodeattr(k) for k in ("PE", "SIMD") if k in known}
            cycles = _cycles(operator)
            rows.append(NodeFolding(node.name, node.op_type, layer, chosen, cycles))
    return rows


def _cycles(operator: Operator) -> int:
    """Words in or out, whichever are more, at one a cycle (a unit: its own formula)."""
    if operator.onnx_node.op_type == "MVAU":
        return int(operator.get_exp_cycles())
    parallel = "SIMD" if "SIMD" in operator.get_nodeattr_types() else "PE"
    values = max(
        np.prod(operator.get_normal_input_shape()), np.prod(operator.get_normal_output_shape())
    )
    return int(values) // int(operator.get_nodeattr(parallel))
