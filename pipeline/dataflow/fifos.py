"""FIFOs of a stream graph: which of them have a size to choose, and the graph with other sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.dataflow.operators import ZERO_SKIPPING

FIFO, FOLDED = "StreamFIFO_rtl", "DenseMVAU_rtl"
LEAST = 2
"""Words of `stream_fifo`; with these it takes and gives one a cycle."""


@dataclass(frozen=True)
class Fifo:
    """name, depth: of the node; after: the node that fills it, "" at the input; bits: of a word;
    words: of a frame."""

    name: str
    after: str
    bits: int
    words: int
    depth: int


def between_folded(graph: ModelWrapper) -> tuple[Fifo, ...]:
    """The FIFOs of the folded engine, in data order: a run of the other has its own room, and what
    is beside it stays."""
    nodes = list(graph.graph.node)
    if not any(node.op_type == FOLDED for node in nodes):
        return ()
    found = []
    for index, node in enumerate(nodes):
        beside = {n.op_type for n in nodes[max(index - 1, 0) : index + 2]}
        if node.op_type == FIFO and ZERO_SKIPPING not in beside:
            before = nodes[index - 1].name if index else ""
            found.append(_fifo(getCustomOp(node), before))
    return tuple(found)


def _fifo(operator: Any, after: str) -> Fifo:
    return Fifo(
        name=operator.onnx_node.name,
        after=after,
        bits=int(operator.get_instream_width_padded()),
        words=int(np.prod(operator.get_folded_output_shape()[:-1])),
        depth=int(operator.get_nodeattr("depth")),
    )


def with_depths(graph: ModelWrapper, depths: Mapping[str, int]) -> ModelWrapper:
    """A copy in which the FIFOs of these names have these depths."""
    copy = ModelWrapper(graph.model, make_deepcopy=True)
    for name, depth in depths.items():
        getCustomOp(copy.get_node_from_name(name)).set_nodeattr("depth", depth)
    return copy
