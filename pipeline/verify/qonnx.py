"""Rung 2: the codes of the exported QONNX graph, computed by qonnx's own executor.

The executor runs node by node and starts an onnxruntime session for each, so many frames go
through at once: the graph is copied with another batch size.  Which tensor holds which boundary
is what the reader found on its way through the graph, whatever the tensors are called.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.network.chain import Chain
from pipeline.network.qonnx_reader import SHAPE_OPERATORS, Places, read_with_places
from pipeline.verify.grid import on_grid
from pipeline.verify.teacher import codes_of, lessons, real_values

BATCH = 50
"""Frames at once: all tensors of VGG10 on 50 frames of 1,024 positions are some 150 MB."""

SOURCE = "the exported graph"


def boundaries(
    graph: ModelWrapper, integers: IntegerModel, frames: NDArray[np.float32]
) -> dict[str, Integers]:
    """Boundary values of frames (n, positions, channels), end to end in float32.

    `graph` is a cleaned one (`load_qonnx`); boundaries have the names they have in `integers`,
    which is used for nothing else.  For networks whose float32 is exact.
    Raises VerificationFailed where a value is not a whole number of steps, or where the graph has
    another number of layers.
    """
    chain, places = read_with_places(graph, SOURCE)
    names = _names(chain, integers)
    start = graph.graph.input[0].name
    parts: dict[str, list[Integers]] = {name: [] for name in names}
    for first, batch in _batches(frames):
        values = np.ascontiguousarray(batch.transpose(0, 2, 1), np.float32)
        tensors = _execute(graph, start, places.boundaries[-1], values)
        for index, (name, tensor) in enumerate(zip(names, places.boundaries, strict=True)):
            channels = len(chain.blocks[index].weights)
            real, step = tensors[tensor], chain.step(index)
            parts[name].append(on_grid(name, "QONNX", real, channels, step, first))
    return {name: np.concatenate(found) for name, found in parts.items()}


def input_codes(graph: ModelWrapper, frames: NDArray[np.float32]) -> Integers:
    """Codes after the graph's own input quantizer, (frames, positions, channels)."""
    chain, places = read_with_places(graph, SOURCE)
    start, found = graph.graph.input[0].name, []
    for first, batch in _batches(frames):
        values = np.ascontiguousarray(batch.transpose(0, 2, 1), np.float32)
        real = _execute(graph, start, places.input, values)[places.input]
        found.append(on_grid("input", "QONNX", real, chain.channels, chain.input.scale, first))
    return np.concatenate(found)


def forced_codes(
    graph: ModelWrapper, integers: IntegerModel, frames: NDArray[np.float32]
) -> dict[str, Integers]:
    """Codes in float32 with every layer fed with the integer model's codes.

    The graph runs in parts, one a layer.  By name of the integer model's layer, before the
    max-pool (the last one's: logits, to the nearest step), and those of the quantizer of frames
    (n, positions, channels) as "input".
    Raises VerificationFailed where a code is not a whole number of steps, or where the graph has
    another number of layers.
    """
    chain, places = read_with_places(graph, SOURCE)
    _names(chain, integers)
    named = tuple(
        replace(block, name=layer.name)
        for block, layer in zip(chain.blocks, integers.layers, strict=True)
    )
    chain = replace(chain, blocks=named)
    parts = [
        codes_of(chain, _forced_values(graph, chain, places, integers, batch), "QONNX", first)
        for first, batch in _batches(frames)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _forced_values(
    graph: ModelWrapper,
    chain: Chain,
    places: Places,
    integers: IntegerModel,
    frames: NDArray[np.float32],
) -> dict[str, NDArray[np.float32]]:
    """Real values of the codes of "input" and of every block, (frames, channels[, positions])."""
    values = np.ascontiguousarray(frames.transpose(0, 2, 1), np.float32)
    start = graph.graph.input[0].name
    real = {"input": _execute(graph, start, places.input, values)[places.input]}
    starts = (places.input, *places.boundaries)
    for index, lesson in enumerate(lessons(integers, integers.quantize(frames))):
        entering = real_values(lesson.entering, chain.input_quantizer(index).scale)
        stop = places.codes[index]
        real[lesson.layer.name] = _execute(graph, starts[index], stop, entering)[stop]
    return real


def _names(chain: Chain, integers: IntegerModel) -> tuple[str, ...]:
    if len(chain.blocks) != len(integers.layers):
        raise VerificationFailed(
            f"{SOURCE} has {len(chain.blocks)} layers, the integer model {len(integers.layers)}"
        )
    return integers.boundaries


def _batches(values: NDArray) -> Iterator[tuple[int, NDArray]]:
    """The index of the first frame of every batch, and the batch."""
    for first in range(0, len(values), BATCH):
        yield first, values[first : first + BATCH]


# --- parts of a graph -----------------------------------------------------------------------------


def _execute(
    graph: ModelWrapper, start: str, stop: str, values: NDArray[np.float32]
) -> dict[str, NDArray]:
    """All tensors of the nodes that lead from tensor `start`, which holds `values`, to `stop`."""
    part = _part(graph, start, stop, len(values))
    shaped = values.reshape(part.get_tensor_shape(start))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Output shapes disagree")
        context: dict[str, NDArray] = execute_onnx(part, {start: shaped}, True)
    return context


def _part(graph: ModelWrapper, start: str, stop: str, frames: int) -> ModelWrapper:
    """A copy of the nodes that lead from `start` to `stop`, for `frames` frames at once."""
    part = copy.deepcopy(graph)
    nodes = [copy.deepcopy(node) for node in _nodes_between(graph.graph.node, start, stop)]
    shapes = {name: graph.get_tensor_shape(name) for node in nodes for name in node.output}
    shapes[start] = graph.get_tensor_shape(start)
    data = _reached(nodes, start)
    for name in data:
        shapes[name] = [frames, *shapes[name][1:]]
    for node in nodes:
        if node.op_type in SHAPE_OPERATORS:
            _reshape(part, node, shapes[node.output[0]])
    constants = [info for info in part.graph.value_info if info.name not in shapes]
    for field in ("node", "input", "output", "value_info", "quantization_annotation"):
        del getattr(part.graph, field)[:]  # annotations would have the executor mend values
    part.graph.node.extend(nodes)
    infos = {name: _info(name, shape) for name, shape in shapes.items()}
    part.graph.input.append(infos.pop(start))
    part.graph.output.append(infos.pop(stop))
    part.graph.value_info.extend([*constants, *infos.values()])
    return part


def _info(name: str, shape: Sequence[int]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _nodes_between(nodes: Sequence[NodeProto], start: str, stop: str) -> list[NodeProto]:
    """Nodes that `stop` depends on, up to `start`, in the order of the graph."""
    needed, found = {stop}, []
    for node in reversed(nodes):
        if start not in node.output and not needed.isdisjoint(node.output):
            needed.update(node.input)
            found.append(node)
    return found[::-1]


def _reached(nodes: Sequence[NodeProto], start: str) -> set[str]:
    """Tensors that depend on `start`, itself included: those with a batch axis."""
    reached = {start}
    for node in nodes:
        if not reached.isdisjoint(node.input):
            reached.update(node.output)
    return reached


def _reshape(part: ModelWrapper, node: NodeProto, shape: Sequence[int]) -> None:
    """Writes `node`, which only reshapes a frame, so that it does so to a batch.

    An exported graph has the batch of one that it was exported with in its constants.
    """
    target = f"{node.output[0]}_shape_of_batch"
    part.set_initializer(target, np.array(shape, np.int64))
    node.CopyFrom(
        helper.make_node("Reshape", [node.input[0], target], [node.output[0]], name=node.name)
    )
