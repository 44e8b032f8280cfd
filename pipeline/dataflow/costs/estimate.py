"""What an accelerator takes, layer by layer, before anything is generated or synthesised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.dataflow.costs.cost import Cost, summed
from pipeline.dataflow.costs.kernels import LIVE_LANES, NONZEROS, kernel_cost
from pipeline.dataflow.costs.zeros import convolution_cost, ends_cost, engine_cost
from pipeline.dataflow.integer_model import Layer
from pipeline.dataflow.lowering import grouped
from pipeline.dataflow.operators import ZERO_SKIPPING, folded_weights
from pipeline.dataflow.zeros.run import Run

SHELL = "shell"
SHELL_COST = Cost(lut=583, dsp=0, bram36=0.5)
"""AXI shell: `make synth` finds 581 LUT for vgg10_w4a4_fmp and 585 for vgg10_tiny, both folded."""
ENDS, UNIT = "ends", "matrix_vector_unit"


@dataclass(frozen=True)
class Row:
    """engine: of `choice.ENGINES`, "" for what belongs to no layer."""

    name: str
    engine: str
    cost: Cost


def estimate(
    graph: ModelWrapper, layers: Sequence[Layer], runs: Mapping[int, Run]
) -> Iterator[Row]:
    """Of every layer of a graph of streams, or of several that share hardware; then the shell.

    runs: those in the graph, by the number of their first layer.
    """
    first = 0
    for nodes in grouped(graph):
        around = summed(_node(graph, node) for node in nodes if node.op_type != ZERO_SKIPPING)
        if first in runs:
            yield from run_rows(runs[first])
            ends = ends_cost(runs[first])
            first += len(runs[first].layers)
            yield Row(f"{ENDS} of {layers[first - 1].name}", "", around + ends)
        else:
            yield Row(layers[first].name, "dense", around)
            first += 1
    (label,) = (node for node in graph.graph.node if node.op_type.startswith("LabelSelect"))
    yield Row("label", "", _node(graph, label))
    yield Row(SHELL, "", SHELL_COST)


def _node(graph: ModelWrapper, node: NodeProto) -> Cost:
    operator = getCustomOp(node)
    kernel = operator.kernel(graph)
    parameters = dict(kernel.parameters)
    if kernel.module == UNIT:
        matrix = graph.get_initializer(node.input[1]).astype(np.int64)
        words = folded_weights(matrix, operator.get_nodeattr("PE"), operator.get_nodeattr("SIMD"))
        parameters[LIVE_LANES] = int((words != 0).any(axis=0).sum())
        parameters[NONZEROS] = int(np.count_nonzero(words))
    return kernel_cost(kernel.module, parameters)


def run_rows(run: Run) -> Iterator[Row]:
    """Of its layers."""
    for layer in run.convolutions:
        yield Row(layer.name, "zero_skipping", convolution_cost(layer))
    if run.schedule is not None:
        name = ", ".join(layer.name for layer in run.dense)
        yield Row(name, "zero_skipping", engine_cost(run.schedule.shape))
