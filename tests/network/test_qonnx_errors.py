"""QONNX graphs that the hardware cannot compute are refused by node, operator and reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.core.runner import Build, run_stage
from pipeline.dataflow.integer_model import difference
from pipeline.network.freezing import float32_codes, freeze_chain
from pipeline.network.qonnx_reader import load_qonnx, read_qonnx
from pipeline.stages import find_stage
from tests.network.exported import exported

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


def weight_quant(model: ModelWrapper, kind: str = "Conv", index: int = 2) -> NodeProto:
    """The quantizer of a layer's weight."""
    return model.find_producer(nodes(model, kind)[index].input[1])


def weight_input(slot: int, value: np.ndarray, kind: str = "Conv", index: int = 2) -> Change:
    """Replaces an input of a weight's quantizer."""

    def change(model: ModelWrapper) -> None:
        model.set_initializer("changed", value)
        weight_quant(model, kind, index).input[slot] = "changed"

    return change


def with_one(kind: str, index: int, slot: int, value: float) -> Change:
    """One value of a constant of a node becomes another."""

    def change(model: ModelWrapper) -> None:
        values = model.get_initializer(nodes(model, kind)[index].input[slot]).copy()
        values.flat[0] = value
        constant(kind, index, slot, values)(model)

    return change


def weight_that_is_no_number(model: ModelWrapper) -> None:
    values = model.get_initializer(weight_quant(model).input[0]).copy()
    values.flat[0] = np.nan
    weight_input(0, values)(model)


def bipolar_weight(model: ModelWrapper) -> None:
    node = weight_quant(model)
    node.op_type = "BipolarQuant"
    del node.input[2:]
    del node.attribute[:]


def behind(kind: str, index: int, operator: str, **constants: np.ndarray) -> Change:
    """Puts a node with constants behind another."""

    def change(model: ModelWrapper) -> None:
        node = nodes(model, kind)[index]
        inner = f"{node.output[0]}_inner"
        for name, value in constants.items():
            model.set_initializer(name, value)
        added = helper.make_node(operator, [inner, *constants], [node.output[0]], name="added")
        node.output[0] = inner
        model.graph.node.insert(list(model.graph.node).index(node) + 1, added)

    return change


def averages(model: ModelWrapper) -> None:
    node = nodes(model, "MaxPool")[1]
    node.op_type = "AveragePool"
    kept = [a for a in node.attribute if a.name in ("kernel_shape", "strides")]
    del node.attribute[:]
    node.attribute.extend(kept)


def norm_behind_relu(model: ModelWrapper) -> None:
    """The values come out of a BatchNormalization and Relu that have changed places."""
    norm = nodes(model, "BatchNormalization")[1]
    (relu,) = model.find_consumers(norm.output[0])
    relu.input[0], norm.input[0] = norm.input[0], relu.output[0]
    (quant,) = [n for n in model.find_consumers(relu.output[0]) if n.op_type == "Quant"]
    quant.input[0] = norm.output[0]
    model.graph.node.remove(norm)
    model.graph.node.insert(list(model.graph.node).index(relu) + 1, norm)


def shortcut(model: ModelWrapper) -> None:
    """A convolution reads what a pool reads, and an addition joins both."""
    pool = nodes(model, "MaxPool")[2]
    norm = nodes(model, "BatchNormalization")[3]
    behind("BatchNormalization", 3, "Add")(model)
    node = next(n for n in model.graph.node if n.name == "added")
    node.input.append(pool.output[0])
    assert norm.output[0] in node.input


def second_input(model: ModelWrapper) -> None:
    """The zero point of a quantizer becomes an input of the graph."""
    model.graph.input.append(helper.make_tensor_value_info("point", TensorProto.FLOAT, []))
    nodes(model, "Quant")[data_quant(model)].input[2] = "point"


def input_shape(*shape: int | str) -> Change:
    def change(model: ModelWrapper) -> None:
        old = model.graph.input[0]
        new = helper.make_tensor_value_info(old.name, TensorProto.FLOAT, shape)
        old.CopyFrom(new)

    return change


def last_is_relu(model: ModelWrapper) -> None:
    behind("Gemm", 2, "Relu")(model)


def not_flattened(model: ModelWrapper) -> None:
    node = nodes(model, "Reshape")[0]
    (consumer,) = model.find_consumers(node.output[0])
    consumer.input[0] = node.input[0]


def two_dimensions(model: ModelWrapper) -> None:
    values = model.get_initializer(weight_quant(model, index=0).input[0])
    weight_input(1, float32(1), index=0)(model)
    constant(
        "Quant", nodes(model, "Quant").index(weight_quant(model, index=0)), 0, values[..., None]
    )(model)


def float32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


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
    "weights of one bit": (
        weight_input(3, np.array(1, np.float32)),
        r"\(Quant\): 1 bits, 2 to 8 are supported",
    ),
    "weights of 9 bits": (
        weight_input(3, np.array(9, np.float32)),
        r"\(Quant\): 9 bits, 2 to 8 are supported",
    ),
    "bit widths that differ": (
        weight_input(3, float32(2, 4, 4, 4).reshape(4, 1, 1)),
        r"\(Quant\): more than one bit width",
    ),
    "a scale for each input": (
        weight_input(1, float32(1, 2, 4, 8).reshape(1, 4, 1)),
        r"\(Conv\): its weight .* has a scale for each input",
    ),
    "a scale for each input of a matrix": (
        weight_input(1, np.arange(1, 9, dtype=np.float32).reshape(1, 8), "Gemm", 1),
        r"\(Gemm\): its weight .* has a scale for each input",
    ),
    "scales that do not fit": (
        weight_input(1, float32(1, 2, 3, 4, 5).reshape(5, 1, 1)),
        r"\(Conv\): a constant of shape \(5, 1, 1\) does not fit \(4, 4, 3\)",
    ),
    "a weight that is no number": (
        weight_that_is_no_number,
        r"\(Conv\): its weight .* is not finite",
    ),
    "bipolar weights": (bipolar_weight, r"\(Conv\): its weight .* is quantized by BipolarQuant"),
    "a negative scale": (
        of_data_quant(lambda i: constant("Quant", i, 1, np.array(-1, np.float32))),
        r"\(Quant\): a scale is not a positive number",
    ),
    "a signed quantizer behind Relu": (
        of_data_quant(lambda i: attribute("Quant", i, signed=1)),
        r"\(Quant\): a signed or narrow quantizer behind Relu",
    ),
    "a narrow quantizer behind Relu": (
        of_data_quant(lambda i: attribute("Quant", i, narrow=1)),
        r"\(Quant\): a signed or narrow quantizer behind Relu",
    ),
    "automatic padding": (
        attribute("Conv", 1, auto_pad="SAME_UPPER"),
        r"\(Conv\): padding by auto_pad",
    ),
    "negative padding": (attribute("Conv", 1, pads=[-1, -1]), r"\(Conv\): negative padding"),
    "two-dimensional convolution": (two_dimensions, r"\(Conv\): only 1-D convolutions"),
    "a pool with holes": (attribute("MaxPool", dilations=[2]), r"\(MaxPool\): dilation other"),
    "automatic padding of a pool": (
        attribute("MaxPool", auto_pad="VALID"),
        r"\(MaxPool\): padding by auto_pad",
    ),
    "average pool": (averages, r"\(AveragePool\): this operator has no hardware kernel"),
    "BatchNormalization behind Relu": (
        norm_behind_relu,
        r"\(BatchNormalization\): BatchNormalization behind Relu",
    ),
    "BatchNormalization in training": (
        attribute("BatchNormalization", training_mode=1),
        r"\(BatchNormalization\): it is in training mode",
    ),
    "a negative variance": (
        with_one("BatchNormalization", 0, 4, -1.0),
        r"\(BatchNormalization\): a variance is not positive",
    ),
    "other channels": (
        constant("BatchNormalization", 0, 1, np.ones(3, np.float32)),
        r"\(BatchNormalization\): its channels are not its layer's",
    ),
    "a bias behind Relu": (
        behind("Relu", 1, "Add", bias=np.ones((1, 4, 1), np.float32)),
        r"node added \(Add\): a bias behind BatchNormalization or Relu",
    ),
    "a bias along the frame": (
        # the frame has as many positions here as channels
        behind("Conv", 5, "Add", bias=float32(1, 2, 3, 4)),
        r"node added \(Add\): its bias bias differs along the frame",
    ),
    "one number as bias": (
        behind("Conv", 1, "Add", bias=float32(1)),
        r"node added \(Add\): its bias bias is a single number",
    ),
    "a bias that is no number": (
        constant("Gemm", 2, 2, np.full(5, np.inf, np.float32)),
        r"\(Gemm\): its bias changed_2 is not finite",
    ),
    "a reordered frame": (
        behind("MaxPool", 1, "Reshape", shape=np.array([1, 8, 16])),
        r"node added \(Reshape\): it reorders the data",
    ),
    "a frame that is not flattened": (
        not_flattened,
        r"\(Gemm\): its input is not a flattened frame",
    ),
    "a subtraction": (
        behind("Conv", 1, "Sub", bias=np.ones((1, 4, 1), np.float32)),
        r"node added \(Sub\): this operator has no hardware kernel",
    ),
    "two Relus": (behind("Relu", 1, "Relu"), r"node added \(Relu\): two Relus in a row"),
    "Relu of the logits": (last_is_relu, r"\(Gemm\): only a bias may follow the last layer"),
    "probabilities": (behind("Gemm", 2, "Softmax"), r"node added \(Softmax\): this operator"),
    "a shortcut": (shortcut, r"\(Add\): adds two streams"),
    "several frames": (input_shape(2, 2, 128), r"shape \(2, 2, 128\), not that of one frame"),
    "frames of any number": (input_shape("N", 2, 128), "not that of one frame"),
    "frames of any length": (input_shape(1, 2, "L"), "not that of one frame"),
    "frames of another length": (input_shape(1, 2, 256), r"\(Reshape\): it reorders the data"),
    "other channels of the input": (input_shape(1, 3, 128), "it reads 2 channels of 3"),
    "two inputs": (second_input, "the graph has 2 inputs"),
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


def nowhere(model: ModelWrapper) -> None:
    """A second classifier, whose output nobody reads."""
    conv = nodes(model, "Conv")[2]
    added = helper.make_node("Conv", list(conv.input), ["nowhere"], name="added")
    added.attribute.extend(conv.attribute)
    model.graph.node.insert(list(model.graph.node).index(conv), added)


def other_matrix_order(model: ModelWrapper) -> None:
    """The second dense layer's matrix the other way round, with a scale for each output."""
    quant = weight_quant(model, "Gemm", 1)
    for name in quant.input[:2]:
        value = model.get_initializer(name)
        model.set_initializer(name, value.T if value.ndim == 2 else value)
    attribute("Gemm", 1, transB=0)(model)


def product_and_sum(model: ModelWrapper) -> None:
    """The last Gemm as a MatMul and an Add."""
    gemm = nodes(model, "Gemm")[2]
    quant = weight_quant(model, "Gemm", 2)
    model.set_initializer(quant.input[0], model.get_initializer(quant.input[0]).T)
    index = list(model.graph.node).index(gemm)
    model.graph.node.remove(gemm)
    product = helper.make_node("MatMul", gemm.input[:2], ["product"], name="product")
    total = helper.make_node("Add", [gemm.input[2], "product"], gemm.output, name="total")
    model.graph.node.insert(index, product)
    model.graph.node.insert(index + 1, total)


def no_operation(model: ModelWrapper) -> None:
    behind("Relu", 1, "Identity")(model)


@pytest.mark.parametrize("change", [nowhere, other_matrix_order, product_and_sum, no_operation])
def test_other_ways_to_say_the_same_are_read_alike(change: Change, tmp_path: Path) -> None:
    path = exported("power of two", tmp_path)
    before = freeze_chain(read_qonnx(load_qonnx(path), "network.onnx"), float32_codes).model
    model = load_qonnx(path)
    change(model)
    model.save(str(path))
    after = freeze_chain(read_qonnx(load_qonnx(path), "network.onnx"), float32_codes).model
    assert difference(before, after) == ""


@pytest.mark.parametrize("scale", [None, 0.0371])
def test_a_bias_between_two_steps_is_refused(scale: float | None, tmp_path: Path) -> None:
    """One that is not quantized, and one that is quantized with steps of its own."""
    path = exported("power of two", tmp_path)
    model = load_qonnx(path)
    if scale is None:
        constant("Gemm", 2, 2, float32(0.013, 0.5, -0.7, 0.02, 0.31))(model)
    else:
        quant = model.find_producer(nodes(model, "Gemm")[2].input[2])
        model.set_initializer("step", np.array(scale, np.float32))
        quant.input[1] = "step"
    model.save(str(path))
    chain = read_qonnx(load_qonnx(path), str(path))
    with pytest.raises(UserError, match=r"the bias is no whole number of accumulator steps"):
        freeze_chain(chain, float32_codes)


def test_a_stage_leaves_nothing_of_a_graph_that_cannot_be_compiled(tmp_path: Path) -> None:
    """Asked for the last stage, the first one stops, before anything is generated."""
    path = exported("power of two", tmp_path)
    model = load_qonnx(path)
    averages(model)
    model.save(str(path))
    config = Config.from_dict({"export": {"qonnx": str(path)}})
    build = Build(config, tmp_path / "model", find_stage, root=tmp_path)
    with pytest.raises(UserError, match=r"\(AveragePool\)"):
        run_stage("codegen", build)
    left = {file.name for file in build.folder.rglob("*") if file.is_file()}
    assert left <= {".lock", "log.txt", "freeze.log"}
    assert not build.target(find_stage("freeze")).exists()
