"""RTL of every node of a stream graph: around one of our kernels, or a run of layers by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.codegen import zeros_operator, zeros_run  # noqa: F401  (FINN knows the former then)
from pipeline.dataflow.folding import Operator
from pipeline.dataflow.integer_model import Layer
from pipeline.dataflow.kernel import wrapper_text
from pipeline.dataflow.lowering import grouped
from pipeline.dataflow.operators import ZERO_SKIPPING
from pipeline.dataflow.zeros.run import Run


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

    kernels: the modules of `hw/rtl` that it is made of; sources, tables: texts by file name; cells:
    of each layer the cells inside, with their modules, "" being the node itself; taps: streams
    inside that it shows.
    """

    name: str
    in_bits: int
    out_bits: int
    in_elements: int
    kernels: tuple[str, ...]
    sources: Mapping[str, str]
    tables: Mapping[str, str]
    output: NodeStream
    cells: Mapping[str, Mapping[str, str]]
    taps: tuple[zeros_run.Tap, ...] = ()


def generate(graph: ModelWrapper, layers: Sequence[Layer]) -> Iterator[NodeHdl]:
    """The RTL of each node, in data order; layers: of the integer model."""
    names = _names(graph, layers)
    for node in graph.graph.node:
        stream, layer = names[node.name]
        if node.op_type == ZERO_SKIPPING:
            yield run_hdl(node.name, getCustomOp(node).run(), stream)
        else:
            yield _kernel(getCustomOp(node), graph, stream, layer)


def _kernel(operator: Operator, graph: ModelWrapper, stream: str, layer: str) -> NodeHdl:
    kernel, name = operator.kernel(graph), operator.onnx_node.name
    widths = operator.get_instream_width_padded(), operator.get_outstream_width_padded()
    return NodeHdl(
        name,
        *widths,
        in_elements=int(operator.get_folded_input_shape()[-1]),
        kernels=(kernel.module,),
        sources={f"{name}.v": wrapper_text(name, kernel, *widths)},
        tables=kernel.tables,
        output=_output(operator, stream),
        cells={layer: {"": name}},
    )


def run_hdl(name: str, run: Run, stream: str) -> NodeHdl:
    """A run of layers as a node of this name; stream: the integer model's name of what leaves."""
    files = {k: v.decode() for k, v in zeros_run.run_files(run, name).items()}
    entering, leaving = zeros_run.ends(run)
    return NodeHdl(
        name,
        entering.word_bits,
        leaving.word_bits,
        in_elements=entering.elements,
        kernels=zeros_run.kernels(run),
        sources={k: v for k, v in files.items() if k.endswith(".sv")},
        tables={k: v for k, v in files.items() if not k.endswith(".sv")},
        output=NodeStream(
            leaving.codes.bits, leaving.codes.signed, leaving.elements, leaving.words, stream
        ),
        cells={f"ends of {name}": {"": name}, **zeros_run.cells(run, name)},
        taps=zeros_run.taps(run),
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


def _names(graph: ModelWrapper, layers: Sequence[Layer]) -> dict[str, tuple[str, str]]:
    """For each node the integer model's stream that leaves it, or "", and its layer."""
    names: dict[str, tuple[str, str]] = {}
    left = list(layers)
    for nodes in grouped(graph):
        own = left[: _layers_in(nodes)]
        del left[: len(own)]
        streams = _streams(nodes, own)
        names |= {node.name: (streams.get(node.name, ""), own[-1].name) for node in nodes}
    assert not left, f"layer {left[0].name} is in no node"
    for node in graph.graph.node:
        if node.op_type.startswith("LabelSelect"):
            names[node.name] = ("label", layers[-1].name)
    return names


def _layers_in(nodes: Sequence[NodeProto]) -> int:
    runs: list[Any] = [getCustomOp(node) for node in nodes if node.op_type == ZERO_SKIPPING]
    return len(runs[0].get_nodeattr("layers")) if runs else 1


def _streams(nodes: Sequence[NodeProto], layers: Sequence[Layer]) -> dict[str, str]:
    computing = [n for n in nodes if n.op_type.startswith(_COMPUTING)]
    first, last = computing[0], computing[-1]
    if first is not last:
        return {first.name: layers[0].accumulator_name, last.name: layers[-1].boundary}
    # a run; or logits without a bias: one stream is both
    return {first.name: layers[-1].boundary}


_COMPUTING = ("DenseMVAU", "Thresholds", "MaxPool1D", "BiasAdd", ZERO_SKIPPING)
