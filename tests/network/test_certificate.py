"""The certificate: what it needs; canonicalisation gives it and changes no integer."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.errors import UserError, VerificationFailed
from pipeline.dataflow import integer_model
from pipeline.network import frozen as frozen_module
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.certificate import (
    Certificate,
    Moved,
    _line,
    _margins,
    canonicalise,
    certify,
    has_power_of_two_scales,
)
from pipeline.network.chain import BatchNorm, Block, Chain, Quantizer
from pipeline.network.freezing import float32_codes, float64_codes, freeze_chain
from pipeline.network.frozen import freeze_network
from tests.network.exported import network
from tests.network.test_freezing import one_block
from tests.small import LENGTH, settled, small_network


def chain_of(kind: str) -> Chain:
    return read_brevitas(network(kind), LENGTH)


def certified(chain: Chain) -> Certificate:
    return certify(chain, freeze_chain(chain, float32_codes).model)


def failing(certificate: Certificate) -> list[str]:
    return [c.name.split()[0] for c in certificate.conditions if not c.holds]


def detail(certificate: Certificate, name: str) -> str:
    """What the condition says whose name starts like that."""
    (found,) = (c.detail for c in certificate.conditions if c.name.startswith(f"{name} "))
    return found


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
    assert len(summary.moved) >= 1
    assert 0 < summary.largest_shift < 0.1
    assert summary.without_margin == ""


def test_a_canonical_network_stays_as_it_is() -> None:
    chain = chain_of("power of two")
    moved, _ = canonicalise(chain, freeze_chain(chain, float32_codes).model)
    again, summary = canonicalise(moved, freeze_chain(moved, float32_codes).model)
    assert summary.moved == ()
    assert all(a is b for a, b in zip(moved.blocks, again.blocks, strict=True))


def test_a_threshold_near_an_integer_is_no_certificate() -> None:
    chain = chain_of("power of two")
    moved, _ = canonicalise(chain, freeze_chain(chain, float32_codes).model)
    assert failing(certified(moved)) == []
    certificate = certified(on_an_integer(moved, 5, 0, 1e-5))
    assert failing(certificate) == ["threshold"]
    assert detail(certificate, "threshold") == "too small in conv5 channel 0"


def test_a_scale_that_is_no_power_of_two_is_named() -> None:
    chain = chain_of("power of two")
    assert has_power_of_two_scales(chain)
    scale = chain.blocks[4].weight_scale.copy()
    scale[1] *= np.float32(1.5)
    odd = with_block(chain, 4, weight_scale=scale)
    assert not has_power_of_two_scales(odd)
    assert "power-of-two" in failing(certified(odd))
    assert detail(certified(odd), "power-of-two") == "not in conv4.weight"


def test_accumulators_beyond_what_float32_counts_are_named() -> None:
    codes = Quantizer(np.float32(1), integer_model.Codes(0, 3))
    chain = one_block(codes, None, True)
    huge = with_block(chain, 0, weights=np.full((1, 1, 1), 2**22))
    assert "accumulators" in failing(certified(huge))
    assert "conv0 reaches" in detail(certified(huge), "accumulators")


def test_logits_beyond_what_float32_counts_are_named() -> None:
    """The sums are small, their bias is not."""
    chain = one_block(Quantizer(np.float32(1), integer_model.Codes(0, 3)), None, True)
    model = freeze_chain(chain, float32_codes).model
    assert failing(certify(chain, model)) == []
    last = replace(model.layers[-1], output=integer_model.Codes(0, 2**24))
    certificate = certify(chain, replace(model, layers=(model.layers[0], last)))
    assert failing(certificate) == ["accumulators"]
    assert detail(certificate, "accumulators").startswith(f"dense1 reaches {2**24}, ")


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
    assert [(m.layer, m.channel) for m in summary.moved] == [("conv2", channel), ("conv6", channel)]
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
        certificate = certify(moved, after, summary)
        assert certificate.certified == (summary.without_margin == "")
        assert failing(certificate) == ([] if certificate.certified else ["threshold"])


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


# --- conditions, each with a network that does not meet it ---------------------------------------


def certified_network() -> Chain:
    chain = chain_of("power of two")
    return canonicalise(chain, freeze_chain(chain, float32_codes).model)[0]


def test_a_scale_of_the_input_and_one_out_of_range_are_named() -> None:
    chain = certified_network()
    odd = replace(chain, input=replace(chain.input, scale=np.float32(0.3)))
    assert detail(certified(odd), "power-of-two") == "not in input"
    # 2^-130 is a power of two, but float32 has lost digits there
    tiny = replace(chain.blocks[2].activation, scale=np.float32(2.0**-130))
    assert not has_power_of_two_scales(with_block(chain, 2, activation=tiny))
    huge = with_block(chain, 5, weight_scale=np.full(4, 2.0**60, np.float32))
    assert not has_power_of_two_scales(huge)


def test_no_partial_sum_leaves_the_reach() -> None:
    """In whatever order: all subsets of the terms of a small sum, at the extremes of the codes."""
    rng = np.random.default_rng(4)
    weights = rng.integers(-7, 8, (5, 1, 8))
    low, high = integer_model.reachable(weights, integer_model.Codes(-8, 7))
    for codes in rng.choice([-8, 7], (40, 8)):
        subsets = (np.arange(256)[:, None] >> np.arange(8)) & 1
        partial = subsets @ (weights[:, 0] * codes).T
        assert (partial >= low).all()
        assert (partial <= high).all()


@pytest.mark.parametrize("bias", [0.5, 2.0**-20, np.inf])
def test_logits_that_are_no_whole_steps_are_named(bias: float) -> None:
    """`freeze` takes a bias within a rounding of its code; the certificate does not."""
    chain = certified_network()
    model = freeze_chain(chain, float32_codes).model
    last = chain.blocks[-1]
    values = last.bias.copy()
    values[3] += np.float32(bias * chain.accumulator_scale(9)[3])
    certificate = certify(with_block(chain, 9, bias=values), model)
    assert detail(certificate, "logits") == "not in dense9 channel 3"
    scales = last.weight_scale.copy()
    scales[1] *= 2
    certificate = certify(with_block(chain, 9, weight_scale=scales), model)
    assert "logits" in failing(certificate)


@pytest.mark.parametrize(("layer", "channel"), [(0, 3), (6, 0), (8, 1)])
def test_integer_thresholds_of_something_else_are_named(layer: int, channel: int) -> None:
    """Rising and falling channels; the margins know nothing of the integers."""
    chain = certified_network()
    model = freeze_chain(chain, float32_codes).model
    wrong = model.layers[layer].thresholds.copy()
    low, high = (end[channel] for end in chain.reach(layer))
    inside = (wrong[channel] > min(low, -high)) & (wrong[channel] < max(high, -low))
    wrong[channel, np.flatnonzero(inside)[0]] -= 1
    layers = list(model.layers)
    layers[layer] = replace(layers[layer], thresholds=wrong)
    certificate = certify(chain, replace(model, layers=tuple(layers)))
    assert failing(certificate) == ["thresholds"]
    name = f"{chain.blocks[layer].name} channel {channel}"
    assert detail(certificate, "thresholds") == f"not in {name}"


@pytest.mark.parametrize(("beta", "code"), [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (99.0, 15)])
def test_a_constant_channel_has_the_code_of_beta_with_ties_to_even(beta: float, code: int) -> None:
    values = [np.array([x], np.float32) for x in (0, beta, 3, 1)]
    activation = Quantizer(np.float32(1), integer_model.Codes(0, 15))
    chain = one_block(activation, BatchNorm(*values, 0.0), True)
    model = freeze_chain(chain, float32_codes).model
    assert (model.trace(np.zeros((1, 1, 1), np.int64))["act0"] == code).all()
    assert failing(certify(chain, model)) == []
    wrong = 1 - model.layers[0].thresholds
    layers = (replace(model.layers[0], thresholds=wrong), model.layers[1])
    certificate = certify(chain, replace(model, layers=layers))
    assert detail(certificate, "thresholds") == "not in conv0 channel 0"


@pytest.mark.parametrize("gamma", [1e-5, -1e-12, 1e-30, -1e-38, 1e-42])
@pytest.mark.parametrize("beta", [0.4, -3.0, 99.0])
def test_dead_and_always_on_channels_are_certified(gamma: float, beta: float) -> None:
    """Their thresholds lie beyond every accumulator, farther than float32 may be wrong."""
    values = [np.array([x], np.float32) for x in (gamma, beta, 3, 1)]
    activation = Quantizer(np.float32(1), integer_model.Codes(0, 15))
    chain = one_block(activation, BatchNorm(*values, 0.0), True)
    frozen = freeze_chain(chain, float32_codes)
    assert frozen.constant_channels == {"act0": 1}
    certificate = certify(chain, frozen.model)
    assert failing(certificate) == []
    assert certificate.layers[0].margin > 1


def test_a_tiny_gamma_on_a_boundary_is_not_certified() -> None:
    """Whatever a float32 of 1e-42 times an accumulator is, it decides here."""
    values = [np.array([x], np.float32) for x in (1e-42, 0.5, 0.2, 1)]
    activation = Quantizer(np.float32(1), integer_model.Codes(0, 15))
    chain = one_block(activation, BatchNorm(*values, 0.0), True)
    assert "threshold" in failing(certify(chain, freeze_chain(chain, float32_codes).model))


UNUSABLE = {
    "gamma": ("conv2 channel 1", np.nan),
    "beta": ("conv2 channel 1", np.inf),
    "mean": ("conv2 channel 1", -np.inf),
    "variance": ("conv2 channel 1", -1.0),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_parameters_that_are_no_numbers_are_named(name: str) -> None:
    chain = certified_network()
    model = freeze_chain(chain, float32_codes).model
    place, value = UNUSABLE[name]
    values = getattr(chain.blocks[2].norm, name).copy()
    values[1] = value
    broken = with_block(chain, 2, norm=replace(chain.blocks[2].norm, **{name: values}))
    with pytest.raises(UserError, match="not finite") as raised:
        freeze_chain(broken, float32_codes)
    assert raised.value.where == place
    with np.errstate(invalid="ignore"):
        certificate = certify(broken, model)
    assert detail(certificate, "finite") == f"not in {place}"


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -0.5])
def test_scales_that_are_no_numbers_are_named(scale: float) -> None:
    chain, value = chain_of("float"), np.float32(scale)
    scales = chain.blocks[4].weight_scale.copy()
    scales[2] = value
    activation = replace(chain.blocks[7].activation, scale=value)
    for broken, place in (
        (with_block(chain, 4, weight_scale=scales), "conv4 channel 2"),
        (with_block(chain, 7, activation=activation), "dense7 activation scale"),
        (replace(chain, input=replace(chain.input, scale=value)), "the input's scale"),
    ):
        with pytest.raises(UserError) as raised:
            freeze_chain(broken, float64_codes)
        assert raised.value.where == place


def test_a_bias_among_the_terms_of_a_sum_rounds_with_each() -> None:
    """One of whole steps does not."""
    rng = np.random.default_rng(8)
    chain = random_block(rng, integer_model.Codes(0, 15), True)
    step = float(chain.accumulator_scale(0)[0])
    bounds = []
    for bias in (1024.0, 1024.25):
        biased = with_block(chain, 0, bias=np.full(3, bias * step, np.float32))
        bounds.append(_margins(biased, 0, freeze_chain(biased, float32_codes).model.layers[0])[1])
    low, high = chain.reach(0)
    least = 2.0**-24 * 9 * (np.maximum(-low, high) + 1024)
    assert (bounds[1] - bounds[0] > 0.99 * least[:, None]).all()


def test_the_first_places_are_named_and_the_rest_counted() -> None:
    chain = certified_network()
    beta = np.full(8, np.nan, np.float32)
    broken = with_block(chain, 8, norm=replace(chain.blocks[8].norm, beta=beta))
    model = freeze_chain(chain, float32_codes).model
    certificate = certify(broken, model)
    wrong = detail(certificate, "thresholds")
    assert wrong == "not in dense8 channels 0, 1, 2 and 5 more"


# --- what is stated about them -------------------------------------------------------------------


def test_reachable_values_are_counted_one_by_one() -> None:
    chain = chain_of("two bits")
    model = freeze_chain(chain, float32_codes).model
    for index, layer in enumerate(certify(chain, model).layers):
        low, high = integer_model.reachable(model.layers[index].weights, model.input_codes(index))
        values = [range(int(a), int(b) + 1) for a, b in zip(low, high, strict=True)]
        assert layer.values == sum(len(v) for v in values)
        assert layer.exhaustive
        assert (layer.margin is None) == (index == 9)
    _, moved = canonicalise(chain, model)
    assert moved.codes_compared == sum(x.values for x in certify(chain, model).layers[:-1])


def two_thresholds(first: float, second: float) -> Chain:
    """One channel whose accumulators reach -56..49 and whose codes are 0, 1 and 2."""
    middle, spacing = np.float32((first + second) / 2), np.float32(second - first)
    values = [np.array([x], np.float32) for x in (1 / spacing, 1, middle, 1)]
    activation = Quantizer(np.float32(1), integer_model.Codes(0, 2))
    chain = one_block(activation, BatchNorm(*values, 0.0), True)
    return with_block(chain, 0, weights=np.full((1, 1, 1), 7))


@pytest.mark.parametrize(
    ("thresholds", "scaled"),
    [((10.0005, 40.0005), False), ((9.9995, 39.9995), False), ((10.0005, 39.9995), True)],
)
def test_moves_are_those_of_the_thresholds(thresholds: tuple[float, float], scaled: bool) -> None:
    """Where one has to rise and the other to fall, gamma is scaled too."""
    chain = two_thresholds(*thresholds)
    model = freeze_chain(chain, float32_codes).model
    after, summary = canonicalise(chain, model)
    assert integer_model.difference(model, freeze_chain(after, float32_codes).model) == ""
    assert certify(after, model, summary).certified
    (moved,) = summary.moved
    before, now = (_line(c, 0).thresholds()[0] for c in (chain, after))
    assert np.abs(now - before).max() == pytest.approx(moved.shift, abs=1e-5)
    assert 0.0005 < moved.shift < 0.1
    assert summary.largest_shift == moved.shift
    gamma = [c.blocks[0].norm.gamma[0] for c in (chain, after)]
    assert gamma[1] / gamma[0] == pytest.approx(moved.gamma_ratio)
    assert (moved.gamma_ratio != 1) == scaled


def test_a_certificate_is_written_with_its_rules() -> None:
    chain = certified_network()
    text = certified(chain).text()
    fields = json.loads(text)
    assert fields["certified"]
    assert "half to even" in fields["code_ties"]
    assert "lowest index" in fields["label_ties"]
    assert [x["name"] for x in fields["layers"]] == [b.name for b in chain.blocks]
    assert fields["moved"] == {"moved": [], "without_margin": "", "codes_compared": 0}
    assert "NaN" not in text


# --- freezing a network --------------------------------------------------------------------------


def parameters(model: nn.Sequential) -> list[torch.Tensor]:
    return [value.detach().clone() for value in model.state_dict().values()]


def test_a_frozen_network_has_the_norms_of_its_integers() -> None:
    model = copy.deepcopy(network("power of two"))
    before = parameters(model)
    frozen, certificate = freeze_network(model, LENGTH)
    assert certificate.certified
    assert certificate.moved.moved
    assert not all(map(torch.equal, before, parameters(model)))
    chain = read_brevitas(model, LENGTH)
    assert failing(certified(chain)) == []
    # a certified network has the same integers in both
    for arithmetic in (float32_codes, float64_codes):
        assert integer_model.difference(freeze_chain(chain, arithmetic).model, frozen.model) == ""
    again, _ = freeze_network(model, LENGTH)
    assert integer_model.difference(again.model, frozen.model) == ""


def test_what_cannot_be_certified_is_frozen_in_float64_and_left_alone() -> None:
    """Eight bits: sums beyond 10^4 steps and 255 thresholds a channel leave float32 no room."""
    model = settled(small_network(weight_bits=8, activation_bits=8, input_bits=8))
    before = parameters(model)
    frozen, certificate = freeze_network(model, LENGTH)
    assert failing(certificate) == ["threshold"]
    assert certificate.moved.without_margin == "conv0 channel 0"
    assert certificate.moved.moved == ()
    assert "too small in conv0 channels 0, " in detail(certificate, "threshold")
    assert all(map(torch.equal, before, parameters(model)))
    chain = read_brevitas(model, LENGTH)
    assert integer_model.difference(freeze_chain(chain, float64_codes).model, frozen.model) == ""


def test_canonicalising_that_changes_an_integer_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wild(chain: Chain, model: integer_model.IntegerModel) -> tuple[Chain, Moved]:
        norm = chain.blocks[1].norm
        return with_block(chain, 1, norm=replace(norm, beta=norm.beta + 1)), Moved((), "", 0)

    monkeypatch.setattr(frozen_module, "canonicalise", wild)
    with pytest.raises(VerificationFailed, match="changed integers: layer conv1: thresholds"):
        freeze_network(copy.deepcopy(network("power of two")), LENGTH)
