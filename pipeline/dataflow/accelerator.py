"""A network's graph of streams in which each layer has its engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.errors import UserError
from pipeline.dataflow.folding import NodeFolding, build_stream_graph, fold, fold_layer, report
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.lowering import UseOwnKernels
from pipeline.dataflow.zeros.insertion import in_one_node
from pipeline.dataflow.zeros.run import Run


@dataclass(frozen=True)
class Accelerator:
    """graph: of streams; runs: layers that skip zeros, by the number of the first one of each;
    folded: the operators of all others; interval: cycles between frames."""

    graph: ModelWrapper
    runs: Mapping[int, Run]
    folded: tuple[NodeFolding, ...]
    interval: int


def folded_accelerator(graph: ModelWrapper, model: IntegerModel, cycles: int) -> Accelerator:
    """All layers folded for `cycles` a frame.  Raises UserError as `fold` does."""
    graph = fold(graph, cycles, model.channels)
    nodes = report(graph, [layer.name for layer in model.layers])
    interval = max(node.cycles for node in nodes)
    return Accelerator(build_stream_graph(graph), {}, tuple(nodes), interval)


def mixed_accelerator(
    graph: ModelWrapper, model: IntegerModel, runs: Mapping[int, Run], cycles: int
) -> Accelerator:
    """Layers in runs skip zeros, the others are folded for `cycles` a frame, which runs have too.

    graph: the abstract one.  Raises UserError where folding does not reach that.
    """
    skipping = {i for first, run in runs.items() for i in range(first, first + len(run.layers))}
    others = [i for i in range(len(model.layers)) if i not in skipping]
    for index in others:
        fold_layer(graph, index, cycles, model.channels)
    names = {model.layers[i].name for i in others}
    nodes = report(graph, [layer.name for layer in model.layers])
    folded = tuple(node for node in nodes if node.layer in names)
    graph = graph.transform(UseOwnKernels())
    for first in sorted(runs, reverse=True):  # so that those before keep their numbers
        graph = in_one_node(graph, first, runs[first].layers, runs[first].pace)
    slowest = max([*(run.interval for run in runs.values()), *(node.cycles for node in folded)])
    return Accelerator(build_stream_graph(graph), runs, folded, slowest)


def fold_where_possible(graph: ModelWrapper, model: IntegerModel, cycles: int) -> set[int]:
    """Folds the layers that can have `cycles` a frame, and tells which these are."""
    found = set()
    for index in range(len(model.layers)):
        try:
            fold_layer(graph, index, cycles, model.channels)
        except UserError:
            continue
        found.add(index)
    return found
