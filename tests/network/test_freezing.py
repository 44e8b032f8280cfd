"""Freezing: thresholds are where the network's own arithmetic puts them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.errors import UserError, VerificationFailed
from pipeline.dataflow import integer_model
from pipeline.dataflow.integer_model import Codes, IntegerModel, Layer
from pipeline.network import freezing
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.chain import BatchNorm, Block, Chain, Quantizer
from pipeline.network.freezing import (
    find_thresholds,
    float32_codes,
    float64_codes,
    freeze_chain,
    slopes,
)
from pipeline.verify import pytorch
from pipeline.verify.compare import compare, require_equal
from tests.network.exported import KINDS, POWER_OF_TWO, network
from tests.small import LENGTH, noise_frames


def frozen(kind: str) -> tuple[Chain, IntegerModel]:
    chain = read_brevitas(network(kind), LENGTH)
    arithmetic = float32_codes if kind in POWER_OF_TWO else float64_codes
    return chain, freeze_chain(chain, arithmetic).model


@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_give_the_codes_of_every_reachable_accumulator(kind: str) -> None:
    chain, model = frozen(kind)
    for index in range(len(model.layers) - 1):
        layer, slope = model.layers[index], slopes(chain.blocks[index])
        low, high = model.accumulator_range(index)
        evaluate = (float32_codes if kind in POWER_OF_TWO else float64_codes)(chain, index)
        values = np.arange(low, high + 1)[:, None] * np.ones((1, len(slope)), np.int64)
        wanted = evaluate(values * np.where(slope == 0, 1, slope))
        assert len(np.unique(wanted)) > 2
        ends = integer_model.reachable(layer.weights, model.input_codes(index))
        reachable = (values >= ends[0]) & (values <= ends[1])
        found = layer.quantized(values[None])[0]
        assert np.array_equal(found[reachable], wanted[reachable]), layer.name
        moved = replace(layer, thresholds=layer.thresholds + 1).quantized(values[None])[0]
        assert (moved[reachable] != wanted[reachable]).any(), layer.name


@pytest.mark.parametrize("index", range(9))
def test_float32_evaluation_is_that_of_the_modules(index: int) -> None:
    model, (chain, _) = network("power of two"), frozen("power of two")
    channels = len(chain.blocks[index].weights)
    accumulators = np.random.default_rng(index).integers(-400, 400, (500, channels))
    real = torch.from_numpy((accumulators * chain.accumulator_scale(index)).astype(np.float32))
    modules = dict(model.named_children())
    with torch.no_grad():
        output = modules[f"act{index}"](modules[f"norm{index}"](real))
    codes = getattr(output, "value", output).numpy() / chain.blocks[index].activation.scale
    assert len(np.unique(codes)) > 8
    assert np.array_equal(float32_codes(chain, index)(accumulators), codes.astype(np.int64))


def test_bisection_finds_what_exhaustion_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, exhaustive = frozen("float")
    monkeypatch.setattr(freezing, "EXHAUSTIVE_LIMIT", 0)
    assert integer_model.difference(exhaustive, freeze_chain(chain, float64_codes).model) == ""


def test_codes_that_fall_while_the_accumulator_rises_are_found_out() -> None:
    def falling(accumulators: np.ndarray) -> np.ndarray:
        return np.where(accumulators == 3, 0, np.clip(accumulators, 0, 7))

    bounds = np.array([0]), np.array([9])
    with pytest.raises(AssertionError, match="falls"):
        find_thresholds(falling, np.array([1]), *bounds, Codes(0, 7))


def one_block(activation: Quantizer, norm: BatchNorm | None, relu: bool) -> Chain:
    """A chain whose first block has one weight, 1; its logits are one code."""
    scale, one = np.ones(1, np.float32), np.ones((1, 1, 1), np.int64)
    first = Block("conv0", "act0", one, 4, scale, 0, None, norm, relu, activation, 1)
    last = Block("dense1", "dense1", one, 4, scale, 0, None, None, False, None, 1)
    return Chain(Quantizer(np.float32(1), Codes(-8, 7)), 1, 1, (first, last))


def through(chain: Chain) -> list[int]:
    """The code of every input code, -8..7."""
    model = freeze_chain(chain, float32_codes).model
    return model.trace(np.arange(-8, 8).reshape(-1, 1, 1))["act0"].ravel().tolist()


def test_halves_round_to_even_and_codes_saturate() -> None:
    signed = Quantizer(np.float32(2), Codes(-2, 1))
    assert through(one_block(signed, None, False)) == [
        *(-2, -2, -2, -2, -2, -2, -1, 0, 0, 0, 1, 1, 1, 1, 1, 1)
    ]
    unsigned = Quantizer(np.float32(2), Codes(0, 3))
    assert through(one_block(unsigned, None, True)) == [
        *(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 3, 3)
    ]


@pytest.mark.parametrize("gamma", [-1.0, 0.0])
def test_falling_and_constant_channels(gamma: float) -> None:
    values = [np.array([x], np.float32) for x in (gamma, 2, 0, 1)]
    chain = one_block(Quantizer(np.float32(1), Codes(0, 15)), BatchNorm(*values, 0.0), True)
    expected = [max(0, int(2 + gamma * x)) for x in range(-8, 8)]
    assert through(chain) == expected
    constant = freeze_chain(chain, float32_codes).constant_channels
    assert constant == {"act0": int(gamma == 0)}


@pytest.mark.parametrize("activation", [Codes(0, 15), Codes(-8, 7), Codes(-7, 7)])
@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("biased", [True, False])
def test_thresholds_are_those_of_a_search_over_every_accumulator(
    activation: Codes, normed: bool, biased: bool
) -> None:
    """One value after another, against the formula on the page."""
    rng = np.random.default_rng([activation.low + 8, normed, biased])
    gamma, beta, mean, bias = (rng.uniform(-2, 2, 1).astype(np.float32) for _ in range(4))
    norm = BatchNorm(gamma, beta, mean, np.array([1.7], np.float32), 1e-5) if normed else None
    chain = one_block(Quantizer(np.float32(0.5), activation), norm, activation.low == 0)
    first = replace(chain.blocks[0], bias=bias if biased else None)
    wanted = []
    for code in range(-8, 8):
        real = torch.tensor([[float(code)]]) + (torch.from_numpy(bias) if biased else 0)
        if normed:
            module = nn.BatchNorm1d(1).eval()
            values = (gamma, beta, mean, norm.variance)
            names = ("weight", "bias", "running_mean", "running_var")
            module.load_state_dict(
                dict(zip(names, map(torch.from_numpy, values), strict=True)), strict=False
            )
            real = module(real).detach()
        steps = torch.round(real / 0.5).clamp(activation.low, activation.high)
        wanted.append(int(steps))
    assert through(replace(chain, blocks=(first, chain.blocks[1]))) == wanted
    assert len(set(wanted)) > 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_of_the_test_networks_has_something_to_compare(kind: str) -> None:
    """Where all frames end alike, equal logits would show nothing."""
    _, model = frozen(kind)
    streams = model.trace(model.quantize(noise_frames(40, seed=8)))
    for name in model.boundaries[:-1]:
        values = streams[name]
        assert values.max() >= 3, name
        assert (values != values[:1, :1]).any(axis=(0, 1)).sum() >= values.shape[2] - 1, name
    assert len(np.unique(streams["label"])) > 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_integer_model_is_pytorch(kind: str) -> None:
    model, (chain, integers) = network(kind), frozen(kind)
    frames = noise_frames(40, seed=8)
    codes = pytorch.input_codes(model, chain, frames)
    assert np.array_equal(codes, integers.quantize(frames))
    found = boundaries(kind, model, chain, integers, frames)
    wanted = integers.trace(codes)
    assert list(found) == list(integers.boundaries)
    require_equal([compare(name, wanted[name], values) for name, values in found.items()])


def boundaries(
    kind: str, model: nn.Sequential, chain: Chain, integers: IntegerModel, frames: np.ndarray
) -> dict[str, np.ndarray]:
    if kind in POWER_OF_TWO:
        return pytorch.float32_boundaries(model, chain, frames)
    return pytorch.float64_boundaries(model, chain, integers, integers.quantize(frames))


def test_one_moved_threshold_and_one_other_weight_are_found() -> None:
    model, (chain, integers) = network("power of two"), frozen("power of two")
    frames = noise_frames(40, seed=8)
    found = pytorch.float32_boundaries(model, chain, frames)
    for layer, name in ((2, "thresholds"), (4, "weights")):
        broken = with_one_more(integers, layer, name)
        wanted = broken.trace(broken.quantize(frames))
        results = [compare(key, wanted[key], values) for key, values in found.items()]
        with pytest.raises(VerificationFailed, match=f"layer pool{layer},"):
            require_equal(results)


def with_one_more(model: IntegerModel, index: int, name: str) -> IntegerModel:
    """A model with the values of one array of one layer one larger, in channel 0."""
    layers = list(model.layers)
    values = getattr(layers[index], name).copy()
    values[0] += 1
    layers[index] = replace(layers[index], **{name: values})
    return replace(model, layers=tuple(layers))


def test_values_between_two_codes_are_reported() -> None:
    model, (chain, _) = network("power of two"), frozen("power of two")
    finer = replace(chain.blocks[0].activation, scale=chain.blocks[0].activation.scale * 3)
    blocks = (replace(chain.blocks[0], activation=finer), *chain.blocks[1:])
    with pytest.raises(VerificationFailed, match=r"layer pool0, frame 0, .* no whole number"):
        pytorch.float32_boundaries(model, replace(chain, blocks=blocks), noise_frames(2))


def test_a_scale_for_each_class_is_refused() -> None:
    chain, _ = frozen("float")
    scales = np.linspace(1, 2, len(chain.blocks[-1].weights), dtype=np.float32)
    blocks = (*chain.blocks[:-1], replace(chain.blocks[-1], weight_scale=scales))
    with pytest.raises(UserError, match="a scale per class"):
        freeze_chain(replace(chain, blocks=blocks), float64_codes)


# --- the integer model ------------------------------------------------------------------------


def slow_layer(layer: Layer, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accumulators and output of one frame (positions, channels), value by value."""
    padded = np.pad(codes, ((layer.padding, layer.padding), (0, 0))).tolist()
    weights, pool = layer.weights.tolist(), layer.pool
    kernel = len(weights[0])
    sums = [
        [
            sum(w * x for k in range(kernel) for w, x in zip(row[k], padded[p + k], strict=True))
            for row in weights
        ]
        for p in range(len(padded) - kernel + 1)
    ]
    values = [
        [
            a + int(layer.bias[c])
            if layer.thresholds is None
            else layer.output.low + sum(a >= t for t in layer.thresholds[c].tolist())
            for c, a in enumerate(row)
        ]
        for row in sums
    ]
    pooled = [
        [max(column) for column in zip(*values[p : p + pool], strict=True)]
        for p in range(0, len(values) - pool + 1, pool)
    ]
    return np.array(sums), np.array(pooled)


def test_many_frames_at_once_are_as_one_value_at_a_time() -> None:
    _, model = frozen("power of two")
    codes = model.quantize(noise_frames(2, seed=11))
    streams = model.trace(codes)
    for frame in range(len(codes)):
        values = codes[frame]
        for layer in model.layers:
            sums, values = slow_layer(layer, values)
            assert np.array_equal(streams[layer.accumulator_name][frame], sums)
            assert np.array_equal(streams[layer.boundary][frame], values)
        assert streams["label"][frame].item() == values.argmax()


def test_labels_go_to_the_lowest_of_equal_logits() -> None:
    assert integer_model.labels(np.array([[[1, 5, 5]], [[-2, -2, -3]]])).ravel().tolist() == [1, 0]


@pytest.mark.parametrize("index", [0, 1, 7, 9])
def test_the_reach_of_an_accumulator_is_reached(index: int) -> None:
    _, model = frozen("power of two")
    layer, codes = model.layers[index], model.input_codes(index)
    low, high = model.accumulator_range(index)
    kernel, channels = layer.weights.shape[1:]
    ends = [np.where(layer.weights > 0, codes.high, codes.low)]
    ends += [np.where(layer.weights > 0, codes.low, codes.high)]
    frames = np.concatenate(ends).reshape(-1, kernel, channels)
    sums = replace(layer, padding=0).accumulators(frames)
    assert (sums.min(), sums.max()) == (low, high)
    width = model.accumulator(index)
    assert width.low <= low
    assert high <= width.high
    narrowest = next(bits for bits in range(1, 64) if fits(low, high, bits))
    assert width.bits == narrowest


def fits(low: int, high: int, bits: int) -> bool:
    if low >= 0:
        return high < 2**bits
    return -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)


@pytest.mark.parametrize(
    ("codes", "bits"), [(Codes(0, 1), 1), (Codes(0, 16), 5), (Codes(-8, 7), 4), (Codes(-9, 7), 5)]
)
def test_bits_of_a_stream(codes: Codes, bits: int) -> None:
    assert codes.bits == bits


def test_a_saved_model_is_read_back(tmp_path: Path) -> None:
    _, model = frozen("float")
    file = tmp_path / "integer_model.npz"
    integer_model.save(model, file)
    first = file.read_bytes()
    read = integer_model.load(file)
    assert integer_model.difference(model, read) == ""
    assert (read.input_scale, read.positions) == (model.input_scale, model.positions)
    integer_model.save(read, file)
    assert file.read_bytes() == first


def test_what_differs_between_two_models_is_named() -> None:
    _, model = frozen("float")
    fewer = replace(model, layers=model.layers[:-1])
    longer, finer = replace(model, positions=64), replace(model, input_scale=0.125)
    for other, name in (
        (with_one_more(model, 3, "weights"), "layer conv3: weights"),
        (with_one_more(model, 9, "bias"), "layer dense9: bias"),
        (fewer, "10 and 9 layers"),
        (longer, "the input: positions"),
        (finer, "the input: input_scale"),
    ):
        assert integer_model.difference(model, other) == name


def array_file() -> bytes:
    """An array alone, without the names that a model's arrays have."""
    buffer = io.BytesIO()
    np.save(buffer, np.arange(4))
    return buffer.getvalue()


def archive(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


GARBAGE = {
    "nothing": b"",
    "the start of an archive": b"PK\x03\x04",
    "text": b"something else",
    "one array": array_file(),
    "an archive of something else": archive(weights=np.arange(4)),
    "a header that is no object": archive(header=np.array("[1, 2]")),
    "a header of something else": archive(header=np.array("{}")),
    "pickled objects": archive(header=np.array([{}], dtype=object)),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "integer_model.npz"
    file.write_bytes(content)
    with pytest.raises(UserError, match="not an integer model") as raised:
        integer_model.load(file)
    assert raised.value.where == str(file)


def test_a_model_of_another_format_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = frozen("float")
    monkeypatch.setattr(integer_model, "FORMAT", 99)
    integer_model.save(model, tmp_path / "integer_model.npz")
    monkeypatch.undo()
    with pytest.raises(UserError, match="format 99"):
        integer_model.load(tmp_path / "integer_model.npz")
