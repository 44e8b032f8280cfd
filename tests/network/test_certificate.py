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
