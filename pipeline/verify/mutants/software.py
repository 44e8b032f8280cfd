"""Faults in PyTorch, in the exported graph and in FINN's: integers, constants, attributes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from torch import nn

from pipeline.dataflow.integer_model import Layer
from pipeline.dataflow.lowering import grouped, matrix_of
from pipeline.dataflow.reference import run_graph
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.chain import Block
from pipeline.network.qonnx_reader import read_qonnx
from pipeline.verify import pytorch, qonnx
from pipeline.verify.compare import LayerResult
from pipeline.verify.ladder import OUTPUT
from pipeline.verify.mutants.targets import Targets
from pipeline.verify.mutation import REFUSED, Mutant

# --- PyTorch and QONNX --------------------------------------------------------------------------

Plant = Callable[[nn.Sequential], object]


def of_pytorch(targets: Targets) -> Iterator[Mutant]:
    """Parameters changed in a copy of the network."""
    rng = np.random.default_rng(targets.seed)
    for block in targets.chain.blocks:
        for kind, plant in _torch_faults(block, rng):
            yield _of_torch(targets, kind, block, plant)
    yield Mutant("host", "rounding", "the host rounds halves up", ("input",), targets.half_up)


def _torch_faults(block: Block, rng: np.random.Generator) -> Iterator[tuple[str, Plant]]:
    out, tap = (int(rng.integers(n)) for n in (len(block.weights), block.weights[0].size))
    step = float(block.weight_scale[0])

    def norm(model: nn.Sequential) -> nn.Module:
        paths = [path for path, _ in model.named_children()]
        return model.get_submodule(paths[paths.index(block.name) + 1])

    def weights(model: nn.Sequential) -> torch.Tensor:
        return model.get_parameter(f"{block.name}.weight")

    def swap(model: nn.Sequential) -> None:
        weights(model)[[0, 1]] = weights(model)[[1, 0]].clone()

    yield "weight", lambda model: weights(model)[out].view(-1)[tap].add_(step)
    yield "stream order", swap
    if block.norm is None:
        yield "bias", lambda model: model.get_parameter(f"{block.name}.bias")[out].add_(1.0)
        return
    yield "threshold", lambda model: norm(model).bias[out].add_(0.5)
    yield "sign", lambda model: norm(model).weight[out].neg_()
    yield "mean", lambda model: norm(model).running_mean[out].add_(0.5)


def _of_torch(targets: Targets, kind: str, block: Block, plant: Plant) -> Mutant:
    faulty = copy.deepcopy(targets.network)
    with torch.no_grad():
        plant(faulty)

    def run(_: Path) -> Sequence[LayerResult]:
        chain, frames = targets.chain, targets.subject.frames
        found = pytorch.float32_boundaries(faulty, chain, frames)
        return targets.boundaries(found, pytorch.input_codes(faulty, chain, frames))

    def argument() -> str:
        return targets.same_codes(read_brevitas(faulty, targets.model.positions))

    what = f"{block.name}: {kind} changed"
    return Mutant("pytorch", kind, what, (block.boundary,), run, argument)


def of_qonnx(targets: Targets) -> Iterator[Mutant]:
    """Constants and attributes changed in a copy of the exported graph."""
    rng = np.random.default_rng(targets.seed)
    graph = targets.exported
    for index, node in enumerate(graph.get_nodes_by_op_type("Conv")):
        block = targets.chain.blocks[index]
        yield _of_graph(targets, "padding", block, node.name, _shift_pads)
    normed = [block for block in targets.chain.blocks if block.norm is not None]
    norms = graph.get_nodes_by_op_type("BatchNormalization")
    for block, node in zip(normed, norms, strict=True):
        for kind, which in (("sign", 1), ("threshold", 2), ("mean", 3)):
            channel = int(rng.integers(len(block.weights)))
            yield _of_graph(targets, kind, block, node.name, _edit(which, channel))
    for block, node in zip(targets.chain.blocks, _quantizers_of_weights(graph), strict=True):
        place = int(rng.integers(block.weights.size))
        yield _of_graph(targets, "weight", block, node.name, _edit(0, place))


def _quantizers_of_weights(graph: ModelWrapper) -> list[NodeProto]:
    return [
        node
        for node in graph.get_nodes_by_op_type("Quant")
        if (values := graph.get_initializer(node.input[0])) is not None and values.ndim > 1
    ]


def _shift_pads(_: ModelWrapper, node: NodeProto) -> None:
    """Both zeros before the frame, none behind it."""
    (pads,) = [attribute for attribute in node.attribute if attribute.name == "pads"]
    pads.ints[0], pads.ints[1] = pads.ints[0] + pads.ints[1], 0


def _edit(which: int, place: int) -> Callable[[ModelWrapper, NodeProto], None]:
    """Turns the sign of one value of an input of a node, and moves it a little."""

    def edit(graph: ModelWrapper, node: NodeProto) -> None:
        values = graph.get_initializer(node.input[which]).copy()
        values.reshape(-1)[place] = -values.reshape(-1)[place] - np.float32(0.25)
        graph.set_initializer(node.input[which], values)

    return edit


def _of_graph(
    targets: Targets,
    kind: str,
    block: Block,
    name: str,
    plant: Callable[[ModelWrapper, NodeProto], None],
) -> Mutant:
    faulty = copy.deepcopy(targets.exported)
    plant(faulty, faulty.get_node_from_name(name))

    def run(_: Path) -> Sequence[LayerResult]:
        frames = targets.subject.frames
        found = qonnx.boundaries(faulty, targets.model, frames)
        return targets.boundaries(found, qonnx.input_codes(faulty, frames))

    def argument() -> str:
        return targets.same_codes(read_qonnx(faulty, "the mutant"))

    where = (block.boundary, *([REFUSED] if kind == "padding" else []))
    return Mutant("qonnx", kind, f"{block.name}: {kind} changed", where, run, argument)


# --- FINN's graph -------------------------------------------------------------------------------


def of_finn(targets: Targets) -> Iterator[Mutant]:
    """Single integers, and the attributes that say where zeros go and where codes start."""
    for change, argument in targets.changes():
        graph = copy.deepcopy(targets.graph)
        _set_layer(graph, change.layer, change.applied(targets.model).layers[change.layer])
        what = change.describe(targets.model)
        where = change.seen_at(targets.model)
        run = _finn_run(targets, graph)
        yield Mutant("finn", change.array, what, where, run, argument)
    for layer, nodes in zip(targets.model.layers, grouped(targets.graph), strict=True):
        for kind, operator, attribute, value, seen in (
            ("padding", "FMPadding", "Padding", [2, 0, 0, 0], layer.accumulator_name),
            ("signedness", "Thresholding", "ActVal", 1, layer.boundary),
        ):
            for node in (n for n in nodes if n.op_type == operator):
                graph = copy.deepcopy(targets.graph)
                getCustomOp(graph.get_node_from_name(node.name)).set_nodeattr(attribute, value)
                what = f"{layer.name}: {attribute} of {operator} is {value}"
                yield Mutant("finn", kind, what, (seen,), _finn_run(targets, graph))


def _finn_run(targets: Targets, graph: ModelWrapper) -> Callable[[Path], Sequence[LayerResult]]:
    def run(_: Path) -> Sequence[LayerResult]:
        found = run_graph(graph, targets.model, targets.subject.codes)
        return targets.hardware({**found, OUTPUT: found["label"]})

    return run


def _set_layer(graph: ModelWrapper, index: int, layer: Layer) -> None:
    """Puts the integers of a layer into the graph's nodes."""
    values = {
        "MVAU": matrix_of(layer),
        "Thresholding": layer.thresholds,
        "ElementwiseAdd": layer.bias,
    }
    for node in grouped(graph)[index]:
        if node.op_type in values:
            before = graph.get_initializer(node.input[1])
            now = np.asarray(values[node.op_type]).reshape(before.shape).astype(before.dtype)
            graph.set_initializer(node.input[1], now)
