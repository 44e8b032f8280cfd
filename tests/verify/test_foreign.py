"""Float scales: what float32 computes differently is explained by its rounding, or an error."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.config import load_config
from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.chain import Chain, Quantizer
from pipeline.network.freezing import float64_codes, freeze_chain
from pipeline.network.qonnx_reader import load_qonnx
from pipeline.network.source import load_network
from pipeline.stages.export import export_network
from pipeline.verify import pytorch, qonnx
from pipeline.verify.compare import Difference, LayerResult
from pipeline.verify.foreign import (
    LIMIT,
    Channels,
    ForeignDifference,
    ForeignLayer,
    explain,
    merged,
)
from pipeline.verify.stimulus import stimulus
from pipeline.verify.teacher import lessons, real_values
from tests.conftest import ROOT
from tests.network.exported import graph, network
from tests.network.test_certificate import on_an_integer
from tests.network.test_freezing import with_one_more
from tests.small import LENGTH, noise_frames


@cache
def frozen() -> tuple[nn.Sequential, Chain, IntegerModel]:
    """The small network with float scales."""
    model = network("float")
    chain = read_brevitas(model, LENGTH)
    return model, chain, freeze_chain(chain, float64_codes).model


def unexplained(layers: tuple[ForeignLayer, ...]) -> dict[str, int]:
    return {layer.name: layer.unexplained for layer in layers if layer.unexplained}


# --- the computations ----------------------------------------------------------------------------


def test_pytorch_differs_nowhere_without_an_explanation() -> None:
    model, chain, integers = frozen()
    frames = noise_frames(40)
    layers = explain(chain, integers, frames, pytorch.forced_codes(model, chain, integers, frames))
    assert unexplained(layers) == {}
    assert [layer.name for layer in layers] == ["input", *(b.name for b in chain.blocks)]
    positions = [LENGTH, LENGTH, LENGTH // 2]  # a pool lies between conv0 and conv1
    wanted = [40 * p * c for p, c in zip(positions, (2, 4, 4), strict=True)]
    assert [layer.values for layer in layers[:3]] == wanted


def test_the_graph_differs_nowhere_without_an_explanation(tmp_path: Path) -> None:
    _, chain, integers = frozen()
    frames = noise_frames(40)
    found = qonnx.forced_codes(graph("float", tmp_path), integers, frames)
    layers = explain(chain, integers, frames, found)
    assert unexplained(layers) == {}
    assert [layer.name for layer in layers] == ["input", *(b.name for b in chain.blocks)]


@pytest.mark.parametrize("kind", ["other", "float"])
def test_both_compute_the_same_codes_but_for_what_is_explained(kind: str, tmp_path: Path) -> None:
    """A network with a bias, signed codes, and a pool with a remainder too."""
    model = network(kind)
    chain = read_brevitas(model, LENGTH)
    integers = freeze_chain(chain, float64_codes).model
    frames = noise_frames(30)
    codes = pytorch.forced_codes(model, chain, integers, frames)
    assert unexplained(explain(chain, integers, frames, codes)) == {}
    values = qonnx.forced_codes(graph(kind, tmp_path), integers, frames)
    assert list(values) == list(codes)
    assert unexplained(explain(chain, integers, frames, values)) == {}
    assert all(len(np.unique(v)) > 2 for v in values.values())


def test_the_batch_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network("other")
    chain = read_brevitas(model, LENGTH)
    integers, frames = freeze_chain(chain, float64_codes).model, noise_frames(9)
    given = graph("other", tmp_path)
    whole = [pytorch.forced_codes(model, chain, integers, frames)]
    whole.append(qonnx.forced_codes(given, integers, frames))
    monkeypatch.setattr(pytorch, "BATCH", 4)
    monkeypatch.setattr(qonnx, "BATCH", 4)
    parts = [pytorch.forced_codes(model, chain, integers, frames)]
    parts.append(qonnx.forced_codes(given, integers, frames))
    for one, other in zip(whole, parts, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


# --- the bound -----------------------------------------------------------------------------------


def float32_steps(model: nn.Sequential, chain: Chain, index: int, codes: np.ndarray) -> np.ndarray:
    """The quantizer's input of a block as its modules compute it, in steps of its code."""
    block = chain.blocks[index]
    modules = dict(model.named_children())
    paths = list(modules)
    values = torch.from_numpy(real_values(codes, chain.input_quantizer(index).scale))
    layer = modules[block.name]
    with torch.no_grad(), torch.backends.nnpack.flags(enabled=False):
        values = layer(values if hasattr(layer, "kernel_size") else values.flatten(1))
        values = getattr(values, "value", values)
        if block.norm is not None:
            values = modules[paths[paths.index(block.name) + 1]](values)
    steps = values.numpy() / np.float32(block.activation.scale)
    return steps.reshape(len(codes), steps.shape[1], -1).transpose(0, 2, 1)


@pytest.mark.parametrize("kind", ["float", "other"])
def test_the_bound_holds_at_every_value(kind: str) -> None:
    """Not at the values alone that round the other way; and it is not a bound of anything."""
    model = network(kind)
    chain = read_brevitas(model, LENGTH)
    integers = freeze_chain(chain, float64_codes).model
    codes = integers.quantize(noise_frames(40))
    for index, lesson in enumerate(lessons(integers, codes)):
        if chain.blocks[index].activation is None:
            continue
        weights = chain.blocks[index].weights
        sums = replace(lesson.layer, weights=weights).accumulators(lesson.entering)
        absolute = replace(lesson.layer, weights=np.abs(weights))
        magnitudes = absolute.accumulators(np.abs(lesson.entering))
        channels = Channels.of_block(chain, index)
        exact, bound = channels.exact(sums), channels.bound(sums, magnitudes)
        error = np.abs(float32_steps(model, chain, index, lesson.entering) - exact)
        assert (error <= bound).all(), lesson.layer.name
        assert bound.max() < 1e-2
        if kind == "float":
            assert error.max() > bound.max() * 1e-3


def test_the_bound_of_one_product_is_that_of_the_formula() -> None:
    """By hand: K = 1, no BatchNorm, no bias; x w = 6 steps, all scales 1."""
    one = np.ones(1, np.longdouble)
    channels = Channels(1, one, one, 0 * one, one, 0 * one, 0 * one)
    gamma = {n: np.longdouble(n) / (2**24 - n) for n in (2, 4, 8)}
    wanted = (6 * gamma[4] * (1 + gamma[8]) + 6 * gamma[8]) * (1 + gamma[2]) + 6 * gamma[2]
    assert channels.bound(np.array([6]), np.array([6])) == pytest.approx(wanted, rel=1e-15)
    more = replace(channels, terms=100).bound(np.array([6]), np.array([6]))
    assert more > 10 * wanted / 2
    cancelling = channels.bound(np.array([0]), np.array([6]))
    assert cancelling == pytest.approx(6 * gamma[4] * (1 + gamma[8]) * (1 + gamma[2]), rel=1e-15)


# --- differences ---------------------------------------------------------------------------------


def write_norm(model: nn.Sequential, chain: Chain, index: int) -> nn.Sequential:
    changed = copy.deepcopy(model)
    norm = chain.blocks[index].norm
    with torch.no_grad():
        getattr(changed, f"norm{index}").bias.copy_(torch.from_numpy(norm.beta))
    return changed


def thin(distance: float) -> tuple[nn.Sequential, Chain, IntegerModel]:
    """The float network with a threshold of conv3's channels close to an accumulator."""
    model, chain, _ = frozen()
    for channel in (0, 1, 3):
        chain = on_an_integer(chain, 3, channel, distance)
    model = write_norm(model, chain, 3)
    chain = read_brevitas(model, LENGTH)
    return model, chain, freeze_chain(chain, float64_codes).model


def test_what_rounds_the_other_way_is_explained_with_its_numbers() -> None:
    """A threshold within float32's rounding of an accumulator that occurs."""
    model, _, _ = frozen()
    frames, found = noise_frames(60), []
    for distance in np.linspace(-1e-6, 1e-6, 9):
        model, chain, integers = thin(distance)
        codes = pytorch.forced_codes(model, chain, integers, frames)
        layers = explain(chain, integers, frames, codes, first=100)
        assert unexplained(layers) == {}
        found += [d for layer in layers for d in layer.listed]
    assert found
    assert {d.layer for d in found} <= {"conv3", "conv0", "conv1", "conv2"}
    for difference in found:
        assert abs(difference.expected - difference.actual) == 1
        assert difference.explained
        assert difference.distance < 1e-4
        assert 100 <= difference.frame < 160
        assert ", explained by a float32 error of at most" in str(difference)


def of(layers: tuple[ForeignLayer, ...], name: str) -> ForeignLayer:
    (layer,) = (layer for layer in layers if layer.name == name)
    return layer


@pytest.mark.parametrize("name", ["thresholds", "weights"])
def test_another_integer_is_not_explained_and_stays_in_its_layer(name: str) -> None:
    """Layers behind it are fed with the integer model's codes, on both sides."""
    model, chain, integers = frozen()
    frames = noise_frames(40)
    broken = with_one_more(integers, 2, name)
    found = pytorch.forced_codes(model, chain, broken, frames)
    layers = explain(chain, broken, frames, found)
    assert list(unexplained(layers)) == ["conv2"]
    first = of(layers, "conv2").listed[0]
    assert not first.explained
    assert first.channel == 0
    assert f"expected {first.expected}, got {first.actual}" in str(first)
    assert "NOT explained" in str(first)
    result = of(layers, "conv2").result()
    assert result.mismatches == of(layers, "conv2").unexplained
    place = (first.frame, first.position, first.channel, first.expected, first.actual)
    assert result.first == Difference("conv2", *place)


def test_another_scale_in_the_graph_is_not_explained(tmp_path: Path) -> None:
    """One of a BatchNorm's gains, by a thousandth: far more than float32 rounds."""
    _, chain, integers = frozen()
    changed, frames = graph("float", tmp_path), noise_frames(40)
    norm = [n for n in changed.graph.node if n.op_type == "BatchNormalization"][1]
    gamma = changed.get_initializer(norm.input[1])
    changed.set_initializer(norm.input[1], (gamma * 1.001).astype(np.float32))
    layers = explain(chain, integers, frames, qonnx.forced_codes(changed, integers, frames))
    assert list(unexplained(layers)) == ["conv1"]


@pytest.mark.parametrize("layer", ["input", "conv0", "conv6", "dense8", "dense9"])
@pytest.mark.parametrize("change", [1, -1, 7])
def test_one_code_is_found_wherever_it_is(layer: str, change: int) -> None:
    """Also where the max-pool would hide it."""
    _, chain, integers = frozen()
    frames = noise_frames(4)
    codes = integers.quantize(frames)
    found = {"input": codes, **{x.layer.name: x.codes for x in lessons(integers, codes)}}
    assert not any(x.differences for x in explain(chain, integers, frames, found))
    found[layer] = found[layer].copy()
    found[layer][3, 0, 1] += change
    layers = explain(chain, integers, frames, found, first=10)
    assert unexplained(layers) == {layer: 1}
    (difference,) = of(layers, layer).listed
    assert (difference.frame, difference.position, difference.channel) == (13, 0, 1)
    assert difference.actual - difference.expected == change


def test_the_farthest_boundary_that_was_crossed_counts() -> None:
    """Two codes too high: the second boundary is more than a step away."""
    _, chain, integers = frozen()
    frames = noise_frames(4)
    codes = integers.quantize(frames)
    found = {"input": codes, **{x.layer.name: x.codes for x in lessons(integers, codes)}}
    found["conv2"] = found["conv2"] + 2
    layer = of(explain(chain, integers, frames, found), "conv2")
    assert layer.unexplained == layer.values
    assert len(layer.listed) == layer.values
    highest = chain.blocks[2].activation.codes.high
    above = [d for d in layer.listed if d.expected > 0]
    inside = [d for d in above if d.expected < highest]  # what is clipped may lie anywhere beyond
    assert inside
    assert all(d.distance <= 2 + 1e-6 for d in above)
    assert all(d.distance >= 1 - 1e-6 for d in inside)


def test_an_input_that_lies_on_a_boundary_may_round_either_way() -> None:
    """With a scale that is no power of two, the quotient of a half-way value is rounded."""
    _, chain, integers = frozen()
    scale = np.float32(0.3)
    chain = replace(chain, input=Quantizer(scale, Codes(-8, 7)))
    integers = replace(integers, input_scale=float(scale), input=Codes(-8, 7))
    frames = np.zeros((1, LENGTH, 2), np.float32)
    frames[0, 0] = np.float32(2.5) * scale, np.float32(2.4) * scale
    codes = integers.quantize(frames)
    found = {"input": codes.copy(), **{x.layer.name: x.codes for x in lessons(integers, codes)}}
    found["input"][0, 0] += 1 if codes[0, 0, 0] == 2 else -1
    layer = of(explain(chain, integers, frames, found), "input")
    assert (layer.differences, layer.unexplained) == (2, 1)
    assert [d.channel for d in layer.listed] == [1, 0]


def difference(distance: float, bound: float = 1e-3, frame: int = 0) -> ForeignDifference:
    return ForeignDifference("conv0", frame, 1, 2, 3, 4, distance, bound)


def test_only_a_distance_within_the_bound_explains() -> None:
    assert difference(0.0).explained
    assert difference(1e-3).explained
    assert not difference(1.001e-3).explained
    # the exact value is beyond the boundary already: it is the integer model that is wrong
    assert not difference(-1e-4).explained
    assert not difference(float("nan")).explained


def test_results_of_groups_are_added_and_unexplained_ones_come_first() -> None:
    many = tuple(difference(0.0, frame=i) for i in range(LIMIT))
    one = ForeignLayer("conv0", 100, 30, 0, many)
    other = ForeignLayer("conv0", 50, 2, 1, (difference(0.5, frame=40), difference(0.0, frame=41)))
    (both,) = merged([[one], [other]])
    assert (both.values, both.differences, both.unexplained, both.explained) == (150, 32, 1, 31)
    assert len(both.listed) == LIMIT
    assert both.listed[0].frame == 40
    assert both.result() == LayerResult("conv0", 150, 1, Difference("conv0", 40, 1, 2, 3, 4))
    assert one.result() == LayerResult("conv0", 100, 0, None)
    assert both.fields()["explained"] == 31


def test_a_layer_that_was_not_computed_is_a_failure() -> None:
    model, chain, integers = frozen()
    frames = noise_frames(2)
    found = pytorch.forced_codes(model, chain, integers, frames)
    for name in ("input", "conv4", "dense9"):
        fewer = {key: values for key, values in found.items() if key != name}
        with pytest.raises(VerificationFailed, match=f"layer {name} was not computed"):
            explain(chain, integers, frames, fewer)
    with pytest.raises(VerificationFailed, match="expected 2 frames"):
        explain(chain, integers, frames, {**found, "conv4": found["conv4"][:1]})


# --- networks of others --------------------------------------------------------------------------

PUBLISHED = {
    "published_w4a4": "amc_team_vgg10_w4a4_imp.pth",
    "published_w8a8": "itu_baseline_vgg10_w8a8.pth",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_difference_of_the_published_networks_is_explained(
    name: str, networks: Path, tmp_path: Path
) -> None:
    model = load_network(load_config(ROOT / "models" / name), networks / PUBLISHED[name])
    chain = read_brevitas(model, 1024)
    integers = freeze_chain(chain, float64_codes).model
    frames = stimulus(integers, 100, 1)
    export_network(model, (1, 2, 1024), tmp_path / "network.onnx")
    exported = load_qonnx(tmp_path / "network.onnx")
    computations: list[Callable[[np.ndarray], dict[str, np.ndarray]]] = [
        lambda batch: pytorch.forced_codes(model, chain, integers, batch),
        lambda batch: qonnx.forced_codes(exported, integers, batch),
    ]
    for compute in computations:
        bounds = [(a, b) for a, b in pairwise(range(0, 101, 25))]
        parts = [explain(chain, integers, frames[a:b], compute(frames[a:b]), a) for a, b in bounds]
        layers = merged(parts)
        assert unexplained(layers) == {}
        assert sum(layer.values for layer in layers) == 100 * 132376
        assert sum(layer.differences for layer in layers) > 0, "else this shows little"
