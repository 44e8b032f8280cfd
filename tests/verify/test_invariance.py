"""A certified network's codes are the same however PyTorch computes them; others' need not be."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.config import load_config
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.certificate import canonicalise, certify
from pipeline.network.chain import Chain
from pipeline.network.freezing import float32_codes, freeze_chain
from pipeline.network.frozen import freeze_network
from pipeline.network.shipped import shipped_weights
from pipeline.network.source import load_own_network, write_norms
from pipeline.radio.synthetic import sample_frames
from pipeline.verify import invariance
from pipeline.verify.compare import LayerResult
from pipeline.verify.invariance import ALGORITHMS, compare_variants, variants
from tests.conftest import ROOT
from tests.network.exported import network
from tests.small import LENGTH, noise_frames

NAMES = {
    *(f"batches of {n}" for n in (1, 7, 64)),
    *("threads: 1", "threads: 2"),
    *("input not contiguous", "float64", "without oneDNN"),
    *("4-D, channels last", "last tap first", "last channel first"),
}
INPUT_STEP = 0.25


def hard_frames(positions: int) -> np.ndarray:
    """Codes drawn evenly, values half-way between two codes, their neighbours, and far outside."""
    rng, shape = np.random.default_rng(2), (4, positions, 2)
    codes = rng.integers(-8, 8, shape) * INPUT_STEP
    halves = ((rng.integers(-10, 10, shape) + 0.5) * INPUT_STEP).astype(np.float32)
    above = np.nextafter(halves, np.float32(np.inf))
    extremes = rng.choice([-1e30, -3.0, 3.0, 1e30], shape)
    one_extreme = np.broadcast_to(np.array([-9.0, 9, 0, 1e-30])[:, None, None], shape)
    parts = [codes, halves, above, extremes, one_extreme]
    return np.concatenate(parts).astype(np.float32)


def mismatches(results: dict[str, tuple[LayerResult, ...]]) -> dict[str, int]:
    """Differing codes of all layers, for the variants that have any."""
    counts = {name: sum(x.mismatches for x in layers) for name, layers in results.items()}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.slow
def test_codes_of_the_shipped_network_do_not_depend_on_how_they_are_computed() -> None:
    folder = ROOT / "models" / "vgg10_w4a4"
    config = load_config(folder)
    model = load_own_network(config, shipped_weights(folder))
    frozen, certificate = freeze_network(model, config.network.frame_length)
    assert certificate.certified
    signals, _, _ = sample_frames(80, 3)
    frames = np.concatenate([signals, hard_frames(1024)])
    results = compare_variants(model, frozen.chain, frozen.model, frames)
    assert mismatches(results) == {}
    assert set(results) >= NAMES
    for layers in results.values():
        assert [x.name for x in layers] == list(frozen.model.boundaries)
        assert sum(x.values for x in layers) == 100 * 65304


@pytest.mark.parametrize("kind", ["power of two", "two bits"])
def test_codes_of_certified_networks_do_not_depend_on_how_they_are_computed(kind: str) -> None:
    model = copy.deepcopy(network(kind))
    frozen, certificate = freeze_network(model, LENGTH)
    assert certificate.certified
    frames = np.concatenate([noise_frames(50), hard_frames(LENGTH)])
    results = compare_variants(model, frozen.chain, frozen.model, frames)
    assert mismatches(results) == {}
    assert set(results) >= NAMES


# --- networks that are not certified -------------------------------------------------------------


def thin(chain: Chain, integers: IntegerModel, frames: np.ndarray, distance: float) -> Chain:
    """The middle threshold of all rising channels of conv3 is `distance` from an accumulator that
    occurs more often than any other."""
    index, block = 3, chain.blocks[3]
    assert block.norm is not None
    assert block.activation is not None
    sums = integers.trace(integers.quantize(frames))["conv3.accumulator"]
    beta, step = block.norm.beta.copy(), chain.accumulator_scale(index)
    level = (block.activation.codes.high // 2 + 0.5) * float(block.activation.scale)
    gain = block.norm.gamma / np.sqrt(block.norm.variance + block.norm.epsilon)
    for channel in np.flatnonzero(block.norm.gamma > 0):
        values, counts = np.unique(sums[..., channel], return_counts=True)
        target = (values[counts.argmax()] + distance) * step[channel]
        beta[channel] = level - (target - block.norm.mean[channel]) * gain[channel]
    blocks = list(chain.blocks)
    blocks[index] = replace(block, norm=replace(block.norm, beta=beta))
    return replace(chain, blocks=tuple(blocks))


@pytest.mark.slow
def test_codes_of_a_network_without_margins_do_depend_on_it() -> None:
    """As trained, a threshold may lie anywhere: here within float32's error of an accumulator.

    The certificate refuses it; canonicalised, it is as good as any, and its integers are the same.
    """
    model, frames = copy.deepcopy(network("power of two")), noise_frames(40)
    frozen, _ = freeze_network(model, LENGTH)
    differing: set[str] = set()
    for distance in (-1e-6, 0.0, 1e-6):
        planted = thin(frozen.chain, frozen.model, frames, distance)
        write_norms(model, planted)
        integers = freeze_chain(planted, float32_codes).model
        certificate = certify(planted, integers)
        assert not certificate.certified
        assert certificate.conditions[-1].detail.startswith("too small in conv3 channel")
        differing |= mismatches(compare_variants(model, planted, integers, frames)).keys()
    assert "float64" in differing
    canonical, moved = canonicalise(planted, integers)
    assert moved.moved
    write_norms(model, canonical)
    assert mismatches(compare_variants(model, canonical, integers, frames)) == {}


# --- the variants themselves ---------------------------------------------------------------------


def broken(x: torch.Tensor, weight: torch.Tensor, padding: int) -> torch.Tensor:
    """A convolution that forgets its last channel."""
    weight = weight.clone()
    weight[:, -1] = 0
    return nn.functional.conv1d(x, weight, padding=padding)


def test_a_convolution_that_is_none_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariance, "ALGORITHMS", {**ALGORITHMS, "broken": broken})
    model = copy.deepcopy(network("power of two"))
    frozen, _ = freeze_network(model, LENGTH)
    results = compare_variants(model, frozen.chain, frozen.model, noise_frames(10))
    assert list(mismatches(results)) == ["broken"]
    assert next(x for x in results["broken"] if x.first).name == "pool0"


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(("channels", "kernel", "padding"), [(2, 3, 1), (5, 4, 0), (1, 1, 2)])
def test_algorithms_are_convolutions(name: str, channels: int, kernel: int, padding: int) -> None:
    rng = torch.Generator().manual_seed(1)
    x = torch.randint(-8, 8, (3, channels, 9), generator=rng).double()
    weight = torch.randint(-7, 8, (6, channels, kernel), generator=rng).double()
    wanted = nn.functional.conv1d(x, weight, padding=padding)
    assert torch.equal(ALGORITHMS[name](x, weight, padding), wanted)


def seen(name: str, look: Callable[[torch.Tensor], object]) -> list[object]:
    """What `look` sees in the inputs of a network that a variant runs."""
    model, found = copy.deepcopy(network("power of two")), []
    model[0].register_forward_pre_hook(lambda _, inputs: found.append(look(inputs[0])))
    variants()[name](model, read_brevitas(model, LENGTH), noise_frames(20))
    return found


def test_variants_do_what_their_names_say() -> None:
    assert seen("batches of 7", len) == [7, 7, 6]
    assert seen("batches of 1", len) == [1] * 20
    assert seen("threads: 2", lambda _: torch.get_num_threads())[0] == 2
    assert seen("threads: 1", lambda _: torch.get_num_threads())[0] == 1
    assert not any(seen("input not contiguous", torch.Tensor.is_contiguous))
    assert set(seen("float64", lambda x: x.dtype)) == {torch.float64}
    assert not any(
        seen(
            "without oneDNN",
            lambda _: torch.backends.mkldnn.is_available() and torch._C._get_mkldnn_enabled(),
        )
    )


def test_settings_are_put_back() -> None:
    def settings() -> tuple[object, ...]:
        nnpack = torch.backends.nnpack.set_flags(False)
        torch.backends.nnpack.set_flags(*nnpack)
        return torch.get_num_threads(), torch._C._get_mkldnn_enabled(), nnpack

    before = settings()
    model = copy.deepcopy(network("two bits"))
    chain = read_brevitas(model, LENGTH)
    weights = [value.clone() for value in model.state_dict().values()]
    for variant in variants().values():
        variant(model, chain, noise_frames(3))
        assert settings() == before
    assert all(map(torch.equal, weights, model.state_dict().values()))


@pytest.mark.skipif(not torch.backends.nnpack.is_available(), reason="no NNPACK in this PyTorch")
def test_nnpack_rounds_where_the_reference_does_not() -> None:
    """Else its variant would show nothing."""
    rng = torch.Generator().manual_seed(1)
    x = torch.randint(-8, 8, (16, 64, 128), generator=rng).float()
    weight = torch.randint(-7, 8, (64, 64, 3), generator=rng).float()
    exact = nn.functional.conv1d(x.double(), weight.double(), padding=1)
    with torch.backends.mkldnn.flags(enabled=False), torch.backends.nnpack.flags(enabled=True):
        assert not torch.equal(nn.functional.conv1d(x, weight, padding=1).double(), exact)
    with torch.backends.mkldnn.flags(enabled=False), torch.backends.nnpack.flags(enabled=False):
        assert torch.equal(nn.functional.conv1d(x, weight, padding=1).double(), exact)
