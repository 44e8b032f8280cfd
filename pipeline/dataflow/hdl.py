"""RTL of every node of a stream graph, by FINN's generators and our kernels' wrappers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.dataflow.folding import Operator
from pipeline.dataflow.lowering import grouped
from pipeline.dataflow.operators import OwnKernel

TABLE_SUFFIXES = (".dat", ".mem")


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

    kernel: the module of `hw/rtl` that it instantiates, "" for FINN's; sources, tables: files
    made for it or taken from FINN's library, in compile order.
    """

    name: str
    operator: str
    in_bits: int
    out_bits: int
    kernel: str
    sources: tuple[Path, ...]
    tables: tuple[Path, ...]
    output: NodeStream


def generate(
    graph: ModelWrapper, part: str, clock_ns: float, folder: Path, streams: dict[str, str]
) -> Iterator[NodeHdl]:
    """Writes the RTL of each node into `folder` and describes it, in data order.

    `streams` maps node names to the integer model's stream names (`stream_names`).
    """
    for node in graph.graph.node:
        operator = getCustomOp(node)
        own = folder / node.name
        own.mkdir()
        operator.set_nodeattr("code_gen_dir_ipgen", str(own))
        operator.code_generation_ipgen(graph, part, clock_ns)
        yield NodeHdl(
            name=node.name,
            operator=node.op_type,
            in_bits=operator.get_instream_width_padded(),
            out_bits=operator.get_outstream_width_padded(),
            kernel=operator.kernel(graph).module if isinstance(operator, OwnKernel) else "",
            sources=tuple(Path(f) for f in operator.get_rtl_file_list(abspath=True)),
            tables=tuple(sorted(f for f in own.iterdir() if f.suffix in TABLE_SUFFIXES)),
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


_COMPUTING = ("DenseMVAU", "Thresholding", "MaxPool1D", "BiasAdd")
