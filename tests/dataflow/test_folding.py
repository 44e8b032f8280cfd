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
    unit_folding,
)
from pipeline.dataflow.lowering import LoweringError
from tests.dataflow.lowered import lowered, model_of, prepare

PART = "xc7z020clg400-1"
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


@pytest.mark.parametrize("cycles", [384, 1000, 5000])
def test_every_operator_keeps_the_rate(cycles: int) -> None:
    graph = folded(cycles)
    rows = report(graph, [layer.name for layer in model_of(KIND).layers])
    assert max(row.cycles for row in rows) <= cycles
    assert {row.layer for row in rows} == {layer.name for layer in model_of(KIND).layers}


def test_streams_fit_together_and_every_node_is_rtl() -> None:
    graph = build_stream_graph(folded(1000), PART)
    assert {node.domain for node in graph.graph.node} == {"finn.custom_op.fpgadataflow.rtl"}
    check_stream_graph(graph)
    last = [n for n in graph.graph.node if n.op_type == "StreamFIFO_rtl"][-1]
    getCustomOp(last).set_nodeattr("folded_shape", [1, 1, 7])
    with pytest.raises(LoweringError, match="stream width"):
        check_stream_graph(graph)


def test_a_node_without_rtl_is_found() -> None:
    graph = build_stream_graph(folded(1000), PART)
    graph.graph.node[3].domain = "finn.custom_op.fpgadataflow.hls"
    with pytest.raises(LoweringError, match="has no RTL back end"):
        check_stream_graph(graph)
