"""Both readers see the same network; what cannot be read is named."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.chain import Block, Chain
from pipeline.network.checkpoint import load_weights
from pipeline.network.qonnx_reader import load_qonnx, read_qonnx
from pipeline.network.vgg10 import build_vgg10
from pipeline.stages.export import export_network
from tests.network.exported import KINDS, exported, network
from tests.small import LENGTH

NAMES = ("name", "boundary")


def differing_fields(one: Chain, other: Chain) -> list[str]:
    """Block and field, for all that differs but the names, which a graph does not know."""
    differing = [] if one.input == other.input else ["input"]
    for mine, theirs in zip(one.blocks, other.blocks, strict=True):
        differing += [f"{mine.name}.{f}" for f in _fields() if not _same(mine, theirs, f)]
    return differing


def _fields() -> list[str]:
    return [field.name for field in fields(Block) if field.name not in NAMES]


def _same(one: Block, other: Block, field: str) -> bool:
    a, b = getattr(one, field), getattr(other, field)
    if field == "norm" and a is not None and b is not None:
        return all(np.array_equal(getattr(a, x.name), getattr(b, x.name)) for x in fields(a))
    return np.array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_both_readers_see_the_same_network(kind: str, tmp_path: Path) -> None:
    chain = read_brevitas(network(kind), LENGTH)
    read = read_qonnx(load_qonnx(exported(kind, tmp_path)), "network.onnx")
    assert (chain.positions, chain.channels) == (read.positions, read.channels) == (LENGTH, 2)
    assert differing_fields(chain, read) == []
    assert chain.blocks[-1].bias is not None
    assert {int(np.sign(g)) for b in chain.blocks[:-1] for g in b.norm.gamma} == {-1, 0, 1}


def test_a_changed_weight_is_a_difference(tmp_path: Path) -> None:
    path = exported("power of two", tmp_path)
    model = onnx.load(path)
    weight = next(x for x in model.graph.initializer if len(x.dims) == 3 and x.dims[1] == 4)
    values = numpy_helper.to_array(weight).copy()
    values[0, 0, 0] = values.max() if values[0, 0, 0] < 0 else values.min()
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)
    read = read_qonnx(load_qonnx(path), "network.onnx")
    chain = read_brevitas(network("power of two"), LENGTH)
    assert [x.split(".")[1] for x in differing_fields(chain, read)] == ["weights"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "bits"), [("amc_team_vgg10_w4a4_imp.pth", 4), ("itu_baseline_vgg10_w8a8.pth", 8)]
)
def test_published_networks_are_read_alike(
    file: str, bits: int, networks: Path, tmp_path: Path
) -> None:
    kinds = ("input_bits", "weight_bits", "activation_bits")
    keys = {"scales": "float", **dict.fromkeys(kinds, bits)}
    model = build_vgg10(Config.from_dict({"network": keys}).network)
    load_weights(model, networks / file)
    export_network(model.eval(), (1, 2, 1024), tmp_path / "network.onnx")
    read = read_qonnx(load_qonnx(tmp_path / "network.onnx"), file)
    assert differing_fields(read_brevitas(model, 1024), read) == []


# --- graphs that cannot be compiled -------------------------------------------------------------

Change = Callable[[ModelWrapper], None]


def nodes(model: ModelWrapper, kind: str) -> list[NodeProto]:
    return list(model.get_nodes_by_op_type(kind))


def attribute(kind: str, index: int = 0, **values: Any) -> Change:
    """Sets attributes of a node."""

    def change(model: ModelWrapper) -> None:
        node = nodes(model, kind)[index]
        kept = [a for a in node.attribute if a.name not in values]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(k, v) for k, v in values.items())])

    return change


def constant(kind: str, index: int, slot: int, value: np.ndarray) -> Change:
    """Replaces an input of a node by a constant."""

    def change(model: ModelWrapper) -> None:
        node = nodes(model, kind)[index]
        name = f"changed_{slot}"
        node.input[slot] = name
        model.set_initializer(name, value)

    return change


def follow(operator: str, **values: Any) -> Change:
    """Puts another node behind the first Relu."""

    def change(model: ModelWrapper) -> None:
        relu = nodes(model, "Relu")[0]
        inner = f"{relu.output[0]}_inner"
        added = helper.make_node(operator, [inner], [relu.output[0]], name="added", **values)
        relu.output[0] = inner
        model.graph.node.insert(list(model.graph.node).index(relu) + 1, added)

    return change


def residual(model: ModelWrapper) -> None:
    """Adds the output of one quantizer to that of another convolution of the same shape."""
    norm = nodes(model, "BatchNormalization")[1]
    inner = f"{norm.output[0]}_inner"
    added = helper.make_node("Add", [inner, inner], [norm.output[0]], name="added")
    norm.output[0] = inner
    model.graph.node.insert(list(model.graph.node).index(norm) + 1, added)


def second_output(model: ModelWrapper) -> None:
    name = nodes(model, "Relu")[0].output[0]
    inferred = next(x for x in model.graph.value_info if x.name == name)
    model.graph.output.append(inferred)
    model.graph.value_info.remove(inferred)


def plain_weight(model: ModelWrapper) -> None:
    constant("Conv", 1, 1, np.ones((4, 4, 3), np.float32))(model)


def plain_input(model: ModelWrapper) -> None:
    """The first quantizer is bypassed."""
    first = next(n for n in nodes(model, "Quant") if n.input[0] == model.graph.input[0].name)
    for consumer in model.find_consumers(first.output[0]):
        consumer.input[list(consumer.input).index(first.output[0])] = first.input[0]
    model.graph.node.remove(first)


def data_quant(model: ModelWrapper) -> int:
    """Index among the Quant nodes of the first one behind a Relu."""
    return next(
        i
        for i, n in enumerate(nodes(model, "Quant"))
        if getattr(model.find_producer(n.input[0]), "op_type", "") == "Relu"
    )


def of_data_quant(change: Callable[[int], Change]) -> Change:
    return lambda model: change(data_quant(model))(model)


UNSUPPORTED: dict[str, tuple[Change, str]] = {
    "stride": (attribute("Conv", strides=[2]), r"\(Conv\): stride other than 1"),
    "dilation": (attribute("Conv", dilations=[2]), r"\(Conv\): dilation other than 1"),
    "groups": (attribute("Conv", group=2), r"\(Conv\): grouped convolution"),
    "padding of one side": (attribute("Conv", pads=[0, 2]), r"\(Conv\): padding differs"),
    "weights that are not quantized": (
        plain_weight,
        r"\(Conv\): its weight .* is not quantized",
    ),
    "input that is not quantized": (plain_input, r"\(Conv\): its input is not quantized"),
    "another activation": (follow("Sigmoid"), r"node added \(Sigmoid\): this operator has no"),
    "residual": (residual, r"node added \(Add\): adds two streams"),
    "overlapping pool": (attribute("MaxPool", strides=[1]), r"\(MaxPool\): max-pool with kernel"),
    "padded pool": (attribute("MaxPool", pads=[1, 1]), r"\(MaxPool\): padded max-pool"),
    "pool in ceil mode": (attribute("MaxPool", ceil_mode=1), r"\(MaxPool\): max-pool in ceil"),
    "rounding down": (
        of_data_quant(lambda i: attribute("Quant", i, rounding_mode="FLOOR")),
        r"\(Quant\): rounding mode FLOOR",
    ),
    "zero point": (
        of_data_quant(lambda i: constant("Quant", i, 2, np.array(1, np.float32))),
        r"\(Quant\): zero point other than 0",
    ),
    "half a bit": (
        of_data_quant(lambda i: constant("Quant", i, 3, np.array(3.5, np.float32))),
        r"\(Quant\): fractional bit width",
    ),
    "a scale for each channel": (
        of_data_quant(lambda i: constant("Quant", i, 1, np.ones((1, 4, 1), np.float32))),
        r"\(Quant\): activation scales must be one number",
    ),
    "a scale of zero": (
        of_data_quant(lambda i: constant("Quant", i, 1, np.array(0, np.float32))),
        r"\(Quant\): a scale is not a positive number",
    ),
    "statistics that are no numbers": (
        constant("BatchNormalization", 0, 4, np.full(4, np.nan, np.float32)),
        r"\(BatchNormalization\): a parameter is not finite",
    ),
    "two outputs": (second_output, "the graph has 2 outputs"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_is_not_supported_is_named(case: str, tmp_path: Path) -> None:
    change, message = UNSUPPORTED[case]
    path = exported("power of two", tmp_path)
    model = load_qonnx(path)
    change(model)
    model.save(str(path))
    with pytest.raises(UserError, match=message) as raised:
        read_qonnx(load_qonnx(path), str(path))
    assert raised.value.where == str(path)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x07"])
def test_files_that_are_no_graphs_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_qonnx(load_qonnx(path), str(path))
    assert raised.value.where == str(path)


def test_a_truncated_graph_is_refused(tmp_path: Path) -> None:
    path = exported("power of two", tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="not a readable QONNX graph"):
        load_qonnx(path)
