"""VGG10: its layers, its quantizers, and the loading of state dicts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.core.config import Config, Network
from pipeline.core.errors import UserError
from pipeline.network.checkpoint import load_weights
from pipeline.network.quantizers import (
    DeadScaleError,
    activation_scales,
    assert_power_of_two_scales,
)
from pipeline.network.vgg10 import build_vgg10, initialise

WEIGHTED = [f"conv{i}" for i in range(7)] + ["dense7", "dense8", "dense9"]


def network(**keys: Any) -> Network:
    return Config.from_dict({"network": keys}).network


def small(**keys: Any) -> nn.Sequential:
    return build_vgg10(network(filters=4, dense=8, frame_length=128, **keys))


def weight_codes(model: nn.Sequential, name: str) -> torch.Tensor:
    return getattr(model, name).quant_weight().int()


def test_layers_are_named_and_in_the_published_positions() -> None:
    names = [name for name, _ in small().named_children()]
    assert len(names) == 37
    assert names[:6] == ["input", "conv0", "norm0", "act0", "pool0", "conv1"]
    assert names[25:31] == ["conv6", "norm6", "act6", "pool6", "flatten", "dense7"]
    assert names[-4:] == ["dense8", "norm8", "act8", "dense9"]


@pytest.mark.parametrize("scales", ["power_of_two", "float"])
def test_logits_have_one_column_a_class(scales: str) -> None:
    model = small(scales=scales, classes=5).eval()
    assert model(torch.randn(3, 2, 128)).shape == (3, 5)


@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_use_the_bits_asked_for(bits: int) -> None:
    model = small(input_bits=bits, weight_bits=bits, activation_bits=bits).eval()
    ends = torch.tensor([-99.0, 99.0])
    step = 4 / 2**bits
    codes = getattr(model.input(ends), "value", model.input(ends)) / step
    assert codes.tolist() == [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    assert weight_codes(model, "conv1").abs().max() <= 2 ** (bits - 1) - 1
    assert (model.act0(ends) / activation_scales(model)["act0"]).tolist() == [0, 2**bits - 1]


def test_the_input_rounds_half_to_even() -> None:
    model = small(input_bits=4).eval()
    halves = torch.tensor([0.125, 0.375, -0.125, -0.375])
    assert (model.input(halves) / 0.25).tolist() == [0, 2, 0, -2]


@pytest.mark.parametrize(("kind", "scales"), [("channel", 4), ("tensor", 1)])
def test_weight_scales_are_powers_of_two(kind: str, scales: int) -> None:
    model = small(weight_scale=kind)
    for name in WEIGHTED:
        scale = getattr(model, name).quant_weight().scale
        assert (torch.frexp(scale).mantissa == 0.5).all()
    assert model.conv3.quant_weight().scale.numel() == scales
    assert model.dense9.quant_weight().scale.numel() == 1


def test_activation_scales_are_powers_of_two_from_the_first_step() -> None:
    model = small()
    assert_power_of_two_scales(model)
    assert set(activation_scales(model)) == {f"act{i}" for i in range(9)}
    model.train()(torch.randn(8, 2, 128))
    assert_power_of_two_scales(model)


@pytest.mark.parametrize("value", [-40.0, float("nan")])
def test_a_dead_activation_scale_is_named(value: float) -> None:
    model = small()
    scaling = model.act3.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl
    nn.init.constant_(scaling.value, value)
    with pytest.raises(DeadScaleError, match="act3"):
        assert_power_of_two_scales(model)


def test_a_float_scale_is_not_taken_for_a_power_of_two() -> None:
    with pytest.raises(DeadScaleError, match="act0"):
        assert_power_of_two_scales(small(scales="float").eval())


def test_initial_weights_depend_on_the_seed_alone() -> None:
    models = [small(), small(), small()]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        initialise(model, seed)
    first, again, other = (model.conv2.weight for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


PUBLISHED = {
    "amc_team_vgg10_w4a4_imp.pth": (
        4,
        [194, 1290, 1419, 1278, 1141, 1217, 1257, 6267, 1854, 1101],
    ),
    "itu_baseline_vgg10_w8a8.pth": (8, None),
}


@pytest.mark.parametrize("file", PUBLISHED)
def test_published_networks_load(file: str, networks: Path) -> None:
    bits, nonzeros = PUBLISHED[file]
    model = build_vgg10(
        network(scales="float", input_bits=bits, weight_bits=bits, activation_bits=bits)
    )
    load_weights(model, networks / file)
    model.eval()
    assert model(torch.zeros(1, 2, 1024)).shape == (1, 24)
    found = [int(weight_codes(model, name).count_nonzero()) for name in WEIGHTED]
    assert nonzeros is None or found == nonzeros


def positional(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The keys as in a state dict of an `nn.Sequential` without names."""
    names = [name for name, _ in small().named_children()]
    keys = {key: key.partition(".") for key in state}
    return {f"{names.index(keys[k][0])}.{keys[k][2]}": value for k, value in state.items()}


@pytest.mark.parametrize("rename", [dict, positional])
def test_a_state_dict_loads_by_name_and_by_position(rename: Callable, tmp_path: Path) -> None:
    source, target = small(), small()
    torch.save(rename(source.state_dict()), tmp_path / "w.pt")
    assert not torch.equal(source.conv0.weight, target.conv0.weight)
    load_weights(target, tmp_path / "w.pt")
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key]), key


def drop(key: str) -> Callable[[dict], dict]:
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop("norm1.bias"), "'norm1.bias' is missing"),
        (lambda s: {**s, "40.weight": torch.zeros(1)}, "'40.weight' is unexpected"),
        (
            lambda s: {**s, "conv1.weight": torch.zeros(8, 4, 3)},
            r"\(8, 4, 3\), expected \(4, 4, 3\)",
        ),
        (lambda s: {"model": s}, "entry 'model'"),
        (lambda _: [torch.zeros(1)], "it holds a list"),
        (lambda _: {}, "it holds a dict"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused(
    spoil: Callable, message: str, tmp_path: Path
) -> None:
    model = small()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.save(spoil(before), tmp_path / "w.pt")
    with pytest.raises(UserError, match=message) as caught:
        load_weights(model, tmp_path / "w.pt")
    assert str(tmp_path / "w.pt") in str(caught.value)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("weights")
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    torch.save(small().state_dict(), tmp_path / "cut.pt")
    whole = (tmp_path / "cut.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    for name in ("text.pt", "model.pt", "cut.pt"):
        with pytest.raises(UserError, match="not a PyTorch state dict"):
            load_weights(small(), tmp_path / name)
    with pytest.raises(UserError, match="no such checkpoint"):
        load_weights(small(), tmp_path / "none.pt")
