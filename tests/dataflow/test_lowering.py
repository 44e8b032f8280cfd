"""Lowering: FINN's graph holds the integer model, and every pass's check can fail."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.core.quiet import quiet_libraries
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import lowering
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.lowering import PASSES, Lowering, LoweringError, Pass, lower
from pipeline.dataflow.reference import run_graph
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.freezing import float32_codes, float64_codes, freeze_chain
from tests.network.exported import KINDS, graph, network
from tests.small import LENGTH, noise_frames


@pytest.fixture(autouse=True)
def finn(tmp_path: Path) -> None:
    """FINN's own folder, and its silence."""
    prepare_finn(tmp_path / "finn")
    quiet_libraries()


@cache
def model_of(kind: str) -> IntegerModel:
    chain = read_brevitas(network(kind), LENGTH)
    return freeze_chain(chain, float32_codes if kind == "power of two" else float64_codes).model


@dataclass(frozen=True)
class Lowered:
    graph: ModelWrapper
    thresholds_replaced: dict[str, int]


@cache
def lowered(kind: str) -> Lowered:
    with TemporaryDirectory() as folder:
        work = Lowering(graph(kind, Path(folder)), model_of(kind))
        return Lowered(lower(work), work.thresholds_replaced)


def fresh(kind: str) -> Lowering:
    """The lowered graph of a kind, to be changed."""
    return Lowering(ModelWrapper(lowered(kind).graph.model, make_deepcopy=True), model_of(kind))


def after(name: str, folder: Path) -> Lowering:
    """The state after the pass of this name, which has just been checked."""
    work = Lowering(graph("power of two", folder), model_of("power of two"))
    for step in PASSES:
        work.graph = step.apply(work)
        if step.name == name:
            step.check(work)
            return work
    raise AssertionError(f"there is no pass {name}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_lowered_graph_equals_the_integer_model_at_every_layer(kind: str) -> None:
    model = model_of(kind)
    codes = model.quantize(noise_frames(3, seed=12))
    found, wanted = run_graph(lowered(kind).graph, model, codes), model.trace(codes)
    assert set(found) >= {*model.boundaries, "label"}
    assert all(np.array_equal(values, wanted[name]) for name, values in found.items())


@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_that_were_replaced_are_counted(kind: str) -> None:
    counts = lowered(kind).thresholds_replaced
    assert list(counts) == list(model_of(kind).boundaries[:-1])
    if kind == "power of two":
        # a constant channel has no threshold within reach: FINN puts it elsewhere out of reach
        assert sum(counts.values()) <= sum(16 for _ in counts)


def test_a_threshold_that_finn_has_wrong_is_replaced() -> None:
    work = fresh("power of two")
    node = work.graph.get_nodes_by_op_type("Thresholding")[3]
    values = work.graph.get_initializer(node.input[1]).copy()
    values[0, 0] -= 1
    work.graph.set_initializer(node.input[1], values)
    last = PASSES[-1]
    with pytest.raises(LoweringError, match="pool3"):
        last.check(work)
    work.graph = last.apply(work)
    last.check(work)
    assert work.thresholds_replaced["pool3"] == 1


def wrong_weight(work: Lowering) -> None:
    node = work.graph.get_nodes_by_op_type("MVAU")[4]
    values = work.graph.get_initializer(node.input[1]).copy()
    values[0, 0] += 1
    work.graph.set_initializer(node.input[1], values)


def wrong_bias(work: Lowering) -> None:
    node = work.graph.get_nodes_by_op_type("ElementwiseAdd")[0]
    work.graph.set_initializer(node.input[1], work.graph.get_initializer(node.input[1]) + 1)


def foreign_node(operator: str, domain: str = "") -> Callable[[Lowering], None]:
    def change(work: Lowering) -> None:
        nodes = work.graph.graph.node
        last = nodes[-1].output[0]
        nodes.append(helper.make_node(operator, [last], ["added"], name="added", domain=domain))

    return change


def other_input(work: Lowering) -> None:
    other = replace(work.model.input, high=work.model.input.high * 2 + 1)
    work.model = replace(work.model, input=other)


FAULTS = {
    "quantizer left": (
        "convert",
        foreign_node("Quant", "qonnx.custom_op.general"),
        "operators .'Quant'. remain",
    ),
    "scale left": ("streamline", foreign_node("Mul"), r"node added \(Mul\) could not be moved"),
    "other input": ("host input", other_input, "the input is INT4"),
    "foreign operator": (
        "hardware",
        foreign_node("Relu"),
        r"node added \(Relu\) has no hardware operator",
    ),
    "other weight": ("integers", wrong_weight, "the constants of MVAU_4 are not those of conv4"),
    "other bias": ("integers", wrong_bias, "the constants of ElementwiseAdd_0 are not those of"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_the_check_of_every_pass_can_fail(case: str, tmp_path: Path) -> None:
    name, change, message = FAULTS[case]
    step = next(p for p in PASSES if p.name == name)
    work = after(name, tmp_path)
    change(work)
    with pytest.raises(LoweringError, match=message):
        step.check(work)


def test_a_tensor_of_three_dimensions_is_found(tmp_path: Path) -> None:
    work = Lowering(graph("power of two", tmp_path), model_of("power of two"))
    step = next(p for p in PASSES if p.name == "dimensions")
    with pytest.raises(LoweringError, match="three dimensions"):
        step.check(work)


def test_a_failed_check_names_its_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Lowering) -> None:
        raise LoweringError("planted")

    step = Pass("a pass", "does nothing", lambda work: work.graph, fail)
    monkeypatch.setattr(lowering, "PASSES", (step,))
    with pytest.raises(LoweringError, match="after pass 'a pass': planted"):
        lower(fresh("power of two"))


@pytest.mark.parametrize("kind", KINDS)
def test_data_types_are_the_narrowest(kind: str) -> None:
    model = model_of(kind)
    for index, node in enumerate(lowered(kind).graph.get_nodes_by_op_type("MVAU")):
        operator = getCustomOp(node)
        assert operator.get_output_datatype().bitwidth() == model.accumulator(index).bits
        weights = model.layers[index].weights
        low, high = int(weights.min()), int(weights.max())
        datatype = operator.get_input_datatype(1)
        assert datatype.allowed(low)
        assert datatype.allowed(high)
