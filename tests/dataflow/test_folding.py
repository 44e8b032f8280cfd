"""Folding: the cheapest parallelism that keeps the rate; the graph of streams that follows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.core.errors import UserError
from pipeline.dataflow.folding import (
    Unit,
    build_stream_graph,
    check_stream_graph,
    divisors,
    fold,
    report,
    target_cycles,
    unit_folding,
)
from pipeline.dataflow.lowering import LoweringError
from tests.dataflow.lowered import lowered, model_of, prepare

KIND = "power of two"


@pytest.fixture(autouse=True)
def finn(tmp_path: Path) -> None:
    prepare(tmp_path)


def folded(cycles: int) -> ModelWrapper:
    return fold(lowered(KIND).graph, cycles, model_of(KIND).channels)


@given(
    channels=st.sampled_from([2, 6, 8, 12]),
    kernel=st.integers(1, 3),
    height=st.sampled_from([4, 9, 24]),
    vectors=st.integers(1, 40),
    slack=st.integers(1, 30),
)
def test_no_cheaper_folding_keeps_the_rate(
    channels: int, kernel: int, height: int, vectors: int, slack: int
) -> None:
    unit = Unit("mvau", channels * kernel, height, vectors, channels)
    cycles = vectors * kernel * slack
    simd, pe = unit_folding(unit, 1, cycles)

    def needed(simd: int, pe: int) -> int:
        return unit.width // simd * (height // pe) * vectors

    assert channels % simd == 0
    assert height % pe == 0
    assert needed(simd, pe) <= cycles
    others = [(s, p) for s in divisors(channels) for p in divisors(height)]
    assert min(s * p for s, p in others if needed(s, p) <= cycles) == simd * pe


def test_a_rate_out_of_reach_names_the_layer() -> None:
    with pytest.raises(UserError, match=r"mvau needs 30 cycles .* but the target leaves 29"):
        unit_folding(Unit("mvau", 24, 4, 10, 8), 1, 29)


def test_a_network_out_of_reach_names_the_layer() -> None:
    with pytest.raises(UserError, match=r"layer 0 \(MVAU_0\) needs 384 cycles .* leaves 383"):
        folded(383)


def test_a_rate_that_only_a_serial_operator_misses_is_refused() -> None:
    """The sum of one-value words of a wide last layer is slower than every unit."""
    graph = lowered(KIND).graph
    (node,) = graph.get_nodes_by_op_type("LabelSelect")
    getCustomOp(node).set_nodeattr("Labels", 1000)
    with pytest.raises(UserError, match=r"LabelSelect_0 needs 1000 cycles .* leaves 384"):
        fold(graph, 384, 2)


@pytest.mark.parametrize("cycles", [384, 1000, 5000])
def test_every_operator_keeps_the_rate(cycles: int) -> None:
    graph, model = folded(cycles), model_of(KIND)
    rows = report(graph, [layer.name for layer in model.layers])
    assert max(row.cycles for row in rows) <= cycles
    assert list(dict.fromkeys(row.layer for row in rows)) == [x.name for x in model.layers]


@pytest.mark.parametrize("cycles", [384, 1000, 5000])
def test_predicted_cycles_are_words_and_multiplications(cycles: int) -> None:
    """Counted from the integer model's shapes, not from the graph."""
    model = model_of(KIND)
    rows = report(folded(cycles), [layer.name for layer in model.layers])
    for index, layer in enumerate(model.layers):
        found = {row.operator: row for row in rows if row.layer == layer.name}
        out, kernel, inputs = layer.weights.shape
        positions = model.positions_into(index)
        vectors = positions + 2 * layer.padding - kernel + 1
        unit = found["MVAU"]
        assert unit.cycles * unit.parallelism["PE"] * unit.parallelism["SIMD"] == (
            vectors * out * kernel * inputs
        )
        if "Thresholding" in found:
            threshold = found["Thresholding"]
            assert threshold.cycles * threshold.parallelism["PE"] == vectors * out
        if "FMPadding" in found:
            padding = found["FMPadding"]
            words = (positions + 2 * layer.padding) * inputs
            assert padding.cycles * padding.parallelism["SIMD"] == words


def test_the_first_layer_takes_a_position_at_once() -> None:
    unit = folded(5000).get_nodes_by_op_type("MVAU")[0]
    assert getCustomOp(unit).get_nodeattr("SIMD") == 2


@pytest.mark.parametrize(
    ("clock", "rate", "cycles"), [(100.0, 8000, 12500), (100.0, 3, 33333333), (0.5, 7, 71428)]
)
def test_cycles_of_a_frame_are_rounded_down(clock: float, rate: int, cycles: int) -> None:
    assert target_cycles(clock, rate) == cycles


def test_streams_fit_together_and_every_node_is_rtl() -> None:
    graph = build_stream_graph(folded(1000))
    assert {node.domain for node in graph.graph.node} == {"finn.custom_op.fpgadataflow.rtl"}
    check_stream_graph(graph)
    last = [n for n in graph.graph.node if n.op_type == "StreamFIFO_rtl"][-1]
    getCustomOp(last).set_nodeattr("folded_shape", [1, 1, 7])
    with pytest.raises(LoweringError, match="stream width"):
        check_stream_graph(graph)


def test_a_node_that_reads_another_stream_is_found() -> None:
    graph = build_stream_graph(folded(1000))
    nodes = graph.graph.node
    nodes[5].input[0] = nodes[3].output[0]
    with pytest.raises(LoweringError, match=f"node {nodes[5].name} does not follow"):
        check_stream_graph(graph)


def test_a_node_without_rtl_is_found() -> None:
    graph = build_stream_graph(folded(1000))
    graph.graph.node[3].domain = "finn.custom_op.fpgadataflow.hls"
    with pytest.raises(LoweringError, match="has no RTL back end"):
        check_stream_graph(graph)
