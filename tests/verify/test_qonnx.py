"""The exported graph, executed, has the integers of every boundary; planted faults are located."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, TensorAnnotation, helper
from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.freezing import float32_codes, freeze_chain
from pipeline.network.qonnx_reader import load_qonnx, read_qonnx, read_with_places
from pipeline.verify import pytorch, qonnx
from pipeline.verify.compare import compare, require_equal
from tests.network.exported import POWER_OF_TWO, exported, graph, network
from tests.small import LENGTH, noise_frames

Change = Callable[[ModelWrapper], None]


def integers(kind: str) -> IntegerModel:
    return freeze_chain(read_brevitas(network(kind), LENGTH), float32_codes).model


def differing(found: dict[str, np.ndarray], model: IntegerModel, frames: np.ndarray) -> list[str]:
    """Boundaries at which the graph's values are not the integer model's."""
    wanted = model.trace(model.quantize(frames))
    results = [compare(name, wanted[name], values) for name, values in found.items()]
    return [result.name for result in results if result.mismatches]


@pytest.mark.parametrize("kind", POWER_OF_TWO)
def test_the_graph_has_the_integers_of_every_boundary(kind: str, tmp_path: Path) -> None:
    model, frames, exported_graph = integers(kind), noise_frames(20), graph(kind, tmp_path)
    found = qonnx.boundaries(exported_graph, model, frames)
    assert tuple(found) == model.boundaries
    assert differing(found, model, frames) == []
    assert all(len(np.unique(values)) > 2 for values in found.values())
    assert np.array_equal(qonnx.input_codes(exported_graph, frames), model.quantize(frames))


@pytest.mark.parametrize("kind", POWER_OF_TWO)
def test_the_graph_has_the_codes_of_pytorch(kind: str, tmp_path: Path) -> None:
    """Without the integer model, and with the names of PyTorch's modules."""
    frames, torch_model = noise_frames(5), network(kind)
    wanted = pytorch.float32_boundaries(torch_model, read_brevitas(torch_model, LENGTH), frames)
    found = qonnx.boundaries(graph(kind, tmp_path), integers(kind), frames)
    require_equal([compare(name, wanted[name], values) for name, values in found.items()])
    assert list(found) == list(wanted)


@pytest.mark.parametrize("count", [1, 4, 6, 9])
def test_frames_are_the_same_whatever_batch_they_are_in(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full batches, and one that is not."""
    monkeypatch.setattr(qonnx, "BATCH", 4)
    model, frames = integers("other"), noise_frames(count)
    found = qonnx.boundaries(graph("other", tmp_path), model, frames)
    assert {len(values) for values in found.values()} == {count}
    assert differing(found, model, frames) == []


def test_the_graph_that_was_given_is_left_as_it_is(tmp_path: Path) -> None:
    given = graph("other", tmp_path)
    before = given.model.SerializeToString(deterministic=True)
    qonnx.boundaries(given, integers("other"), noise_frames(3))
    assert given.model.SerializeToString(deterministic=True) == before


# --- other graphs of the same network ----------------------------------------------------------


def renamed(model: ModelWrapper) -> None:
    """All tensors have names that say nothing, and nodes another order where that is possible."""
    names = dict.fromkeys(name for node in model.graph.node for name in node.output)
    for index, name in enumerate(names):
        model.rename_tensor(name, f"t{(index * 37) % 101}")


def flattened_before_the_quantizer(model: ModelWrapper) -> None:
    """The last codes of the convolutions are made of a flattened frame."""
    (flatten,) = (n for n in model.graph.node if n.op_type in ("Reshape", "Flatten"))
    quantizer = model.find_producer(flatten.input[0])
    moved = helper.make_node("Flatten", [quantizer.input[0]], ["flat"], name="moved", axis=1)
    quantizer.input[0] = "flat"
    for consumer in model.find_consumers(flatten.output[0]):
        consumer.input[0] = quantizer.output[0]
    model.graph.node.remove(flatten)
    model.graph.node.insert(list(model.graph.node).index(quantizer), moved)


def flatten_with(axis: int) -> Change:
    """Flattens along an axis that holds for one frame alone."""

    def change(model: ModelWrapper) -> None:
        (old,) = (n for n in model.graph.node if n.op_type in ("Reshape", "Flatten"))
        new = helper.make_node("Flatten", [old.input[0]], [old.output[0]], name="new", axis=axis)
        old.CopyFrom(new)

    return change


def annotated(model: ModelWrapper) -> None:
    """A claim about a tensor's type, to which the executor rounds values."""
    _, places = read_with_places(model, "network.onnx")
    note = TensorAnnotation(tensor_name=places.codes[0])
    entry = note.quant_parameter_tensor_names.add()
    entry.key, entry.value = "finn_datatype", "INT8"
    model.graph.quantization_annotation.append(note)


GRAPHS = {
    "renamed": renamed,
    "flattened before the quantizer": flattened_before_the_quantizer,
    "flattened along axis 0": flatten_with(0),
    "flattened along axis -2": flatten_with(-2),
    "annotated": annotated,
}


@pytest.mark.parametrize("change", GRAPHS.values(), ids=GRAPHS)
def test_boundaries_are_found_by_structure(change: Change, tmp_path: Path) -> None:
    model, frames, path = integers("other"), noise_frames(3), exported("other", tmp_path)
    changed = load_qonnx(path)
    change(changed)
    changed.save(str(path))
    read = load_qonnx(path)
    found = qonnx.boundaries(read, model, frames)
    assert tuple(found) == model.boundaries
    assert differing(found, model, frames) == []


# --- planted faults ----------------------------------------------------------------------------


def quantizer_of(model: ModelWrapper, layer: int) -> NodeProto:
    _, places = read_with_places(model, "network.onnx")
    return model.find_producer(places.codes[layer])


@pytest.mark.parametrize(("layer", "boundary"), [(0, "pool0"), (1, "act1"), (2, "act2")])
def test_a_changed_weight_is_found_at_its_layer(layer: int, boundary: str, tmp_path: Path) -> None:
    changed, frames, model = graph("other", tmp_path), noise_frames(12), integers("other")
    kernels = [n for n in changed.graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
    name = changed.find_producer(kernels[layer].input[1]).input[0]
    changed.set_initializer(name, -changed.get_initializer(name))
    assert differing(qonnx.boundaries(changed, model, frames), model, frames)[0] == boundary


def test_a_changed_scale_is_found_at_its_layer(tmp_path: Path) -> None:
    """Its codes are whole numbers of another step."""
    changed, frames = graph("power of two", tmp_path), noise_frames(12)
    model = integers("power of two")
    quantizer = quantizer_of(changed, 4)
    changed.set_initializer("wider", 2 * changed.get_initializer(quantizer.input[1]))
    quantizer.input[1] = "wider"
    found = qonnx.boundaries(changed, model, frames)
    assert differing(found, model, frames)[0] == "pool4"


def test_a_value_between_two_codes_is_reported_with_its_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor is made to return half a step in the second batch."""
    monkeypatch.setattr(qonnx, "BATCH", 2)
    given = graph("other", tmp_path)
    chain, places = read_with_places(given, "network.onnx")
    execute, calls = qonnx.execute_onnx, []

    def faulty(*arguments: object) -> dict[str, np.ndarray]:
        tensors = execute(*arguments)
        calls.append(tensors)
        if len(calls) == 2:
            tensors[places.boundaries[1]][1, 5, 7] += chain.blocks[1].activation.scale / 2
        return tensors

    monkeypatch.setattr(qonnx, "execute_onnx", faulty)
    where = r"layer act1, frame 3, position 7, channel 5: QONNX gives .*, which is no whole number"
    with pytest.raises(VerificationFailed, match=where):
        qonnx.boundaries(given, integers("other"), noise_frames(6))


def test_a_value_that_is_no_number_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = graph("other", tmp_path)
    _, places = read_with_places(given, "network.onnx")
    execute = qonnx.execute_onnx

    def faulty(*arguments: object) -> dict[str, np.ndarray]:
        tensors = execute(*arguments)
        tensors[places.boundaries[3]][0, 2] = np.nan
        return tensors

    monkeypatch.setattr(qonnx, "execute_onnx", faulty)
    with pytest.raises(VerificationFailed, match=r"layer dense3, frame 0, .*channel 2: .* nan"):
        qonnx.boundaries(given, integers("other"), noise_frames(2))


def test_another_number_of_layers_is_reported(tmp_path: Path) -> None:
    model = integers("other")
    fewer = replace(model, layers=model.layers[:-1])
    with pytest.raises(VerificationFailed, match="has 4 layers, the integer model 3"):
        qonnx.boundaries(graph("other", tmp_path), fewer, noise_frames(2))


def test_places_are_those_of_the_chain(tmp_path: Path) -> None:
    given = graph("other", tmp_path)
    chain, places = read_with_places(given, "network.onnx")
    assert [b.pool > 1 for b in chain.blocks] == [
        a != b for a, b in zip(places.codes, places.boundaries, strict=True)
    ]
    assert given.find_producer(places.input).op_type == "Quant"
    assert places.boundaries[-1] == given.graph.output[0].name
    assert len(read_qonnx(given, "network.onnx").blocks) == 4
