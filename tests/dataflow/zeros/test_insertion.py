"""Layers of FINN's graph in one node: it holds them, computes them, and knows what they are."""

from pathlib import Path

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from pipeline.codegen.nodes import generate
from pipeline.codegen.zeros_operator import ZeroSkipping_rtl
from pipeline.dataflow.folding import build_stream_graph, fold
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.lowering import UseOwnKernels
from pipeline.dataflow.operators import ZERO_SKIPPING
from pipeline.dataflow.zeros.insertion import in_one_node
from pipeline.dataflow.zeros.run import Arrival, paced
from tests.dataflow.lowered import lowered, model_of, prepare

KINDS = ["power of two", "other"]
RATE = 2000


def with_run(kind: str, first: int, last: int, spacing: int = 2) -> ModelWrapper:
    """The stream graph, of which layers `first` .. `last` - 1 are one node."""
    model = model_of(kind)
    graph = fold(lowered(kind).graph, RATE, model.channels).transform(UseOwnKernels())
    layers = model.layers[first:last]
    pace = paced(layers, Arrival(model.positions_into(first), 1, spacing))
    return build_stream_graph(in_one_node(graph, first, layers, pace))


def node_of(graph: ModelWrapper) -> ZeroSkipping_rtl:
    (node,) = graph.get_nodes_by_op_type(ZERO_SKIPPING)
    return getCustomOp(node)


@pytest.fixture(autouse=True)
def finn(tmp_path: Path) -> None:
    prepare(tmp_path)


def codes_of(model: IntegerModel) -> np.ndarray:
    rng = np.random.default_rng(3)
    shape = (1, model.positions, model.channels)
    return rng.integers(model.input.low, model.input.high + 1, shape)


@pytest.mark.parametrize("kind", KINDS)
def test_the_layers_of_a_node_are_the_integer_models(kind: str) -> None:
    model = model_of(kind)
    found = node_of(with_run(kind, 0, len(model.layers))).run()
    assert found.entering == model.input
    for mine, theirs in zip(found.layers, model.layers, strict=True):
        for name in ("name", "boundary", "padding", "pool"):
            assert getattr(mine, name) == getattr(theirs, name)
        for name in ("weights", "thresholds", "bias"):
            assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name
    assert [x.output for x in found.layers[:-1]] == [x.output for x in model.layers[:-1]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("first", "last"), [(0, None), (0, 2), (1, 3), (2, None)])
def test_the_graph_still_computes_what_it_did(kind: str, first: int, last: int | None) -> None:
    model = model_of(kind)
    graph = with_run(kind, first, last or len(model.layers))
    codes = codes_of(model)
    (entering,), (leaving,) = graph.graph.input, graph.graph.output
    shaped = codes.reshape(graph.get_tensor_shape(entering.name)).astype(np.float32)
    found = execute_onnx(graph, {entering.name: shaped})[leaving.name]
    assert found.reshape(-1).tolist() == model.trace(codes)["label"].reshape(-1).tolist()


def test_every_layer_has_cells_and_every_boundary_is_seen() -> None:
    model = model_of("power of two")
    nodes = list(generate(with_run("power of two", 1, 3), model.layers))
    assert {name for node in nodes for name in node.cells} >= {x.name for x in model.layers}
    (run,) = [node for node in nodes if node.taps]
    taps = [part.boundary for tap in run.taps for part in tap.parts]
    streams = [node.output.stream for node in nodes if node.output.stream]
    assert {*taps, *streams} >= set(model.boundaries)
    assert run.output.stream == model.layers[2].boundary
    # the layers in the run have no accumulators to show, the others do
    shown = [x.accumulator_name for x in model.layers if x.accumulator_name in streams]
    assert shown == [x.accumulator_name for x in (model.layers[0], *model.layers[3:])]


def test_the_node_says_how_long_a_frame_takes() -> None:
    node = node_of(with_run("power of two", 0, 2, spacing=4))
    assert node.get_exp_cycles() == 4 * model_of("power of two").positions
