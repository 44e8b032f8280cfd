"""RTL of every node of a stream graph: a wrapper around one of our kernels, and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.dataflow.folding import Operator
from pipeline.dataflow.kernel import wrapper_text
from pipeline.dataflow.lowering import grouped


@dataclass(frozen=True)
class NodeStream:
    """The output stream of a node.

    bits, signed: of an element; elements: of a word; words: a frame; stream: the integer model's
    name of the same values, or "" where the node only buffers or reshapes.
    """

    bits: int
    signed: bool
    elements: int
    words: int
    stream: str


@dataclass(frozen=True)
class NodeHdl:
    """A node's module (named like the node), padded widths, files and what leaves it.

    kernel: the module of `hw/rtl` that it instantiates; source: SystemVerilog of the node's module;
    tables: text of each by file name.
    """

    name: str
    in_bits: int
    out_bits: int
    kernel: str
    source: str
    tables: Mapping[str, str]
    output: NodeStream


def generate(graph: ModelWrapper, streams: Mapping[str, str]) -> Iterator[NodeHdl]:
    """The RTL of each node, in data order.

    `streams` maps node names to the integer model's stream names (`stream_names`).
    """
    for node in graph.graph.node:
        operator = getCustomOp(node)
        kernel = operator.kernel(graph)
        widths = operator.get_instream_width_padded(), operator.get_outstream_width_padded()
        yield NodeHdl(
            name=node.name,
            in_bits=widths[0],
            out_bits=widths[1],
            kernel=kernel.module,
            source=wrapper_text(node.name, kernel, *widths),
            tables=kernel.tables,
            output=_output(operator, streams.get(node.name, "")),
        )


def _output(operator: Operator, stream: str) -> NodeStream:
    datatype = operator.get_output_datatype()
    shape = operator.get_folded_output_shape()
    return NodeStream(
        bits=datatype.bitwidth(),
        signed=datatype.signed(),
        elements=int(shape[-1]),
        words=int(np.prod(shape[:-1])),
        stream=stream,
    )


def stream_names(
    graph: ModelWrapper, accumulators: list[str], boundaries: list[str]
) -> dict[str, str]:
    """The integer model's stream that leaves each computing node of a stream graph."""
    names = {}
    for accumulator, boundary, nodes in zip(accumulators, boundaries, grouped(graph), strict=True):
        computing = [n for n in nodes if n.op_type.startswith(_COMPUTING)]
        names[computing[0].name] = accumulator
        if len(computing) > 1:
            names[computing[-1].name] = boundary
        else:  # logits without a bias: one stream is both
            names[computing[0].name] = boundary
    (label,) = [n for n in graph.graph.node if n.op_type.startswith("LabelSelect")]
    names[label.name] = "label"
    return names


_COMPUTING = ("DenseMVAU", "Thresholds", "MaxPool1D", "BiasAdd")
