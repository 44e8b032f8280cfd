"""The certificate: what it needs; canonicalisation gives it and changes no integer."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.dataflow import integer_model
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.certificate import (
    Certificate,
    canonicalise,
    certify,
    has_power_of_two_scales,
)
from pipeline.network.chain import BatchNorm, Block, Chain, Quantizer
from pipeline.network.freezing import float32_codes, freeze_chain
from tests.network.exported import network
from tests.network.test_freezing import one_block
from tests.small import LENGTH


def chain_of(kind: str) -> Chain:
    return read_brevitas(network(kind), LENGTH)


def certified(chain: Chain) -> Certificate:
    return certify(chain, freeze_chain(chain, float32_codes).model)


def failing(certificate: Certificate) -> list[str]:
    return [c.name.split()[0] for c in certificate.conditions if not c.holds]


def with_block(chain: Chain, index: int, **changes: object) -> Chain:
    blocks = list(chain.blocks)
    blocks[index] = replace(blocks[index], **changes)
    return replace(chain, blocks=tuple(blocks))


def on_an_integer(chain: Chain, index: int, channel: int, distance: float = 0.0) -> Chain:
    """BatchNorm of a block moved so that its middle threshold is ``distance`` from an integer."""
    block = chain.blocks[index]
    norm = block.norm
    step = chain.accumulator_scale(index)[channel]
    gain = norm.gamma[channel] / np.sqrt(norm.variance[channel] + norm.epsilon)
    level = (block.activation.codes.high // 2 + 0.5) * block.activation.scale
    low, high = (int(x[channel]) for x in chain.reach(index))
    beta = norm.beta.copy()
    target = ((low + high) // 2 + distance) * step
    beta[channel] = level - (target - norm.mean[channel]) * gain
    return with_block(chain, index, norm=replace(norm, beta=beta))


def test_a_canonical_network_is_certified_and_no_integer_has_changed() -> None:
    chain = on_an_integer(chain_of("power of two"), 3, 0, 1e-5)
    before = freeze_chain(chain, float32_codes).model
    assert failing(certify(chain, before)) == ["threshold"]
    moved, summary = canonicalise(chain, before)
    after = freeze_chain(moved, float32_codes).model
    assert integer_model.difference(before, after) == ""
    assert certify(moved, after, summary).certified
    assert summary.channels >= 1
    assert 0 < summary.largest_shift < 0.1
    assert summary.without_margin == 0


def test_a_canonical_network_stays_as_it_is() -> None:
    chain = chain_of("power of two")
    moved, _ = canonicalise(chain, freeze_chain(chain, float32_codes).model)
    again, summary = canonicalise(moved, freeze_chain(moved, float32_codes).model)
    assert summary.channels == 0
    assert all(a is b for a, b in zip(moved.blocks, again.blocks, strict=True))


def test_a_threshold_near_an_integer_is_no_certificate() -> None:
    chain = chain_of("power of two")
    moved, _ = canonicalise(chain, freeze_chain(chain, float32_codes).model)
    assert failing(certified(moved)) == []
    certificate = certified(on_an_integer(moved, 5, 0, 1e-5))
    assert failing(certificate) == ["threshold"]
    assert "too small in conv5" in certificate.conditions[2].detail


def test_a_scale_that_is_no_power_of_two_is_named() -> None:
    chain = chain_of("power of two")
    assert has_power_of_two_scales(chain)
    scale = chain.blocks[4].weight_scale.copy()
    scale[1] *= np.float32(1.5)
    odd = with_block(chain, 4, weight_scale=scale)
    assert not has_power_of_two_scales(odd)
    assert "power-of-two" in failing(certified(odd))
    assert certified(odd).conditions[0].detail == "not in conv4"


def test_accumulators_beyond_what_float32_counts_are_named() -> None:
    codes = Quantizer(np.float32(1), integer_model.Codes(0, 3))
    chain = one_block(codes, None, True)
    huge = with_block(chain, 0, weights=np.full((1, 1, 1), 2**22))
    assert "accumulators" in failing(certified(huge))
    assert "conv0 reaches" in certified(huge).conditions[1].detail


def test_logits_beyond_what_float32_counts_are_named() -> None:
    """The sums are small, their bias is not."""
    chain = one_block(Quantizer(np.float32(1), integer_model.Codes(0, 3)), None, True)
    model = freeze_chain(chain, float32_codes).model
    assert failing(certify(chain, model)) == []
    last = replace(model.layers[-1], output=integer_model.Codes(0, 2**24))
    certificate = certify(chain, replace(model, layers=(model.layers[0], last)))
    assert failing(certificate) == ["accumulators"]
    assert certificate.conditions[1].detail == f"dense1 reaches {2**24}"


def test_channels_without_a_gain_do_no_harm() -> None:
    """The code of such a channel is a constant; that it lies on a boundary is not its threshold's
    concern."""
    chain = chain_of("power of two")
    moved, _ = canonicalise(chain, freeze_chain(chain, float32_codes).model)
    for index, block in enumerate(moved.blocks[:-1]):
        assert (block.norm.gamma == 0).any()
        norm = replace(block.norm, gamma=np.zeros_like(block.norm.gamma))
        assert failing(certified(with_block(moved, index, norm=norm))) == []


def test_a_mean_and_a_bias_that_cancel_cost_the_rounding_of_both() -> None:
    values = [np.array([x], np.float32) for x in (1, 0, 0, 1)]
    chain = one_block(
        Quantizer(np.float32(1), integer_model.Codes(0, 15)), BatchNorm(*values, 0.0), True
    )
    large = replace(chain.blocks[0].norm, mean=np.array([3e4], np.float32))
    cancelling = with_block(chain, 0, norm=large, bias=np.array([3e4], np.float32))
    models = [freeze_chain(x, float32_codes).model for x in (chain, cancelling)]
    assert integer_model.difference(*models) == ""
    assert failing(certified(chain)) == []
    bounds = [certified(x).layers[0].bound for x in (chain, cancelling)]
    assert bounds[1] > bounds[0] + 2**-24 * 6e4


@pytest.mark.parametrize("steps", [1e-5, -1e-5, 3e-4])
@pytest.mark.parametrize("channel", [0, 1])
def test_moved_channels_are_counted(steps: float, channel: int) -> None:
    moved, _ = canonicalise(
        chain_of("power of two"), freeze_chain(chain_of("power of two"), float32_codes).model
    )
    near = on_an_integer(on_an_integer(moved, 2, channel, steps), 6, channel, steps)
    model = freeze_chain(near, float32_codes).model
    again, summary = canonicalise(near, model)
    assert summary.channels == 2
    assert integer_model.difference(model, freeze_chain(again, float32_codes).model) == ""
    changed = [
        i for i, (a, b) in enumerate(zip(near.blocks, again.blocks, strict=True)) if a is not b
    ]
    assert changed == [2, 6]


@pytest.mark.parametrize("relu", [True, False])
def test_any_block_is_certified_or_said_to_have_no_margin(relu: bool) -> None:
    rng = np.random.default_rng(3)
    codes = integer_model.Codes(0, 15) if relu else integer_model.Codes(-8, 7)
    for _ in range(50):
        chain = random_block(rng, codes, relu)
        model = freeze_chain(chain, float32_codes).model
        moved, summary = canonicalise(chain, model)
        after = freeze_chain(moved, float32_codes).model
        assert integer_model.difference(model, after) == ""
        assert certify(moved, after).conditions[2].holds == (summary.without_margin == 0)


def random_block(rng: np.random.Generator, codes: integer_model.Codes, relu: bool) -> Chain:
    """One dense layer of 8 inputs and 3 outputs with a random BatchNorm."""

    def draw(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, 3).astype(np.float32)

    norm = BatchNorm(draw(-2, 2), draw(-3, 3), draw(-5, 5), draw(0.1, 9), 1e-5)
    weights = rng.integers(-7, 8, (3, 1, 8))
    scale, activation = np.full(3, 0.125, np.float32), Quantizer(np.float32(0.5), codes)
    first = Block("dense0", "act0", weights, 4, scale, 0, None, norm, relu, activation, 1)
    ones, one = np.ones((2, 1, 3), np.int64), np.ones(2, np.float32)
    last = Block("dense1", "dense1", ones, 4, one, 0, None, None, False, None, 1)
    entering = Quantizer(np.float32(0.25), integer_model.Codes(-8, 7))
    return Chain(entering, 1, 8, (first, last))
