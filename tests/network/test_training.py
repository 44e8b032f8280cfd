"""Training: the light path is the exported network, and a killed run ends as an unbroken one."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.config import Config
from pipeline.network.light import LightPath, PoolAndQuantize
from pipeline.network.quantizers import activation_scales
from pipeline.network.trainer import DivergedError, Splits, predict, shuffled, turn
from pipeline.network.training import BEST, CHECKPOINT, plateau_factor, rate_factor, train
from pipeline.network.vgg10 import build_vgg10, initialise

LENGTH = 128
CONFIG = Config.from_dict(
    {
        "network": {"filters": 8, "dense": 8, "frame_length": LENGTH, "classes": 3},
        "train": {"epochs": 2, "batch_size": 32, "learning_rate": 0.01, "seed": 4},
    }
)
TRAIN, VALIDATION = np.arange(256), np.arange(256, 320)


class Killed(Exception):  # noqa: N818  (it is an event here)
    """Stands for the end of the process."""


@dataclass
class Tones:
    """A set of three classes of noisy tones that ends the run after some reads."""

    reads_left: float = float("inf")
    values: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(9)
        frequency = 0.02 * (1 + np.arange(320) % 3)[:, None]
        phase = 2 * np.pi * (frequency * np.arange(LENGTH) + rng.uniform(size=(320, 1)))
        noise = 0.3 * rng.standard_normal((320, LENGTH, 2))
        self.values = (np.stack([np.cos(phase), np.sin(phase)], -1) + noise).astype(np.float32)

    def frames(self, numbers: np.ndarray, /) -> np.ndarray:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise Killed
        return self.values[numbers]

    def labels(self, numbers: np.ndarray, /) -> np.ndarray:
        return numbers % 3

    def snrs_db(self, numbers: np.ndarray, /) -> np.ndarray:
        return 10 + 2 * (numbers % 2)


READS_PER_EPOCH = 2
"""The training split, all of which fits into memory, and the validation split."""


def trained(work: Path, data: Tones | None = None, **plan: Any) -> nn.Sequential:
    """The network after training in ``work``, from whatever is there."""
    model = build_vgg10(CONFIG.network)
    changed = CONFIG.train.model_copy(update=plan)
    initialise(model, changed.seed)
    train(model, Splits(data or Tones(), TRAIN, VALIDATION), changed, work)
    return model


def same_weights(one: nn.Sequential, other: nn.Sequential) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def same_ends(one: Path, other: Path) -> bool:
    """Whether two trainings have the same weights after their last step, the best or not."""
    ends = [
        torch.load(work / CHECKPOINT, weights_only=True)["trainer"]["model"]
        for work in (one, other)
    ]
    return all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def work_folder(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def settled() -> nn.Sequential:
    """A network whose BatchNorm statistics and scales are no longer the initial ones."""
    model = build_vgg10(CONFIG.network).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    data = Tones()
    for _ in range(8):
        optimizer.zero_grad()
        logits = LightPath(model)(torch.from_numpy(data.frames(TRAIN)))
        nn.functional.cross_entropy(logits, torch.from_numpy(data.labels(TRAIN))).backward()
        optimizer.step()
    return model.double().eval()


def brevitas_codes(model: nn.Sequential, frames: torch.Tensor) -> dict[str, torch.Tensor]:
    """Codes after each pool, and the logits, as the Brevitas model computes them."""
    scales, codes, x = activation_scales(model), {}, frames.permute(0, 2, 1)
    for name, module in model.named_children():
        x = module(x)
        if name.startswith("pool"):
            codes[name] = (x / scales[name.replace("pool", "act")]).long()
    return {**codes, "logits": getattr(x, "value", x)}


def light_codes(model: nn.Sequential, frames: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same from the light path."""
    path, scales, codes = LightPath(model), activation_scales(model), {}
    x = path.input_values(frames)
    for i in range(7):
        x = path.conv_block(i, x)
        codes[f"pool{i}"] = (x / scales[f"act{i}"]).long().squeeze(2)
    return {**codes, "logits": path(frames)}


@torch.no_grad()
def differing_layers(model: nn.Sequential, frames: torch.Tensor) -> list[str]:
    expected, actual = brevitas_codes(model, frames), light_codes(model, frames)
    assert all((codes != 0).any() for codes in expected.values())
    return [name for name in expected if not torch.equal(expected[name], actual[name])]


@pytest.mark.parametrize("amplitude", [1.0, 0.2, 5.0])
def test_the_light_path_has_the_codes_of_the_exported_network(
    settled: nn.Sequential, amplitude: float
) -> None:
    """In double precision, so that no rounding boundary is within reach of a rounding error."""
    frames = torch.from_numpy(Tones().values * amplitude).double()
    assert differing_layers(settled, frames) == []


def test_a_light_path_with_another_pool_is_found_out(
    settled: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = PoolAndQuantize.apply
    monkeypatch.setattr(
        PoolAndQuantize, "apply", lambda x, scale, top: right(x.roll(1, -1), scale, top)
    )
    frames = torch.from_numpy(Tones().values).double()
    assert differing_layers(settled, frames)[0] == "pool0"


def test_training_statistics_are_those_of_batch_norm(settled: nn.Sequential) -> None:
    frames = torch.from_numpy(Tones().values).double()
    models = [build_vgg10(CONFIG.network).double() for _ in range(2)]
    for model in models:
        model.load_state_dict(settled.state_dict())
        model.train()
    with torch.no_grad():
        models[0](frames.permute(0, 2, 1))
        LightPath(models[1])(frames)
    first, second = (model.norm0 for model in models)
    assert first.num_batches_tracked == second.num_batches_tracked
    torch.testing.assert_close(first.running_var, second.running_var)
    assert not torch.equal(first.running_var, settled.norm0.running_var)


def test_the_compiled_block_keeps_the_statistics_of_batch_norm() -> None:
    """In float32 on the CPU, where BatchNorm is part of one compiled operation."""
    frames = torch.from_numpy(Tones().values)
    models = [build_vgg10(CONFIG.network).train() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    with torch.no_grad():
        models[0](frames.permute(0, 2, 1))
        LightPath(models[1])(frames)
    expected, actual = (model.norm0 for model in models)
    assert actual.num_batches_tracked == expected.num_batches_tracked == 1
    assert not torch.equal(actual.running_mean, torch.zeros(8))
    torch.testing.assert_close(actual.running_mean, expected.running_mean)
    torch.testing.assert_close(actual.running_var, expected.running_var)


def test_gradients_of_pool_and_quantizer() -> None:
    """By hand: scale 0.5, codes 0..3; all numbers are exact in binary."""
    x = torch.tensor([[[[0.1875, -2.0, 0.625, 0.875, 9.0, 1.0, -3.0, -1.0]]]], dtype=torch.float64)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    scale = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    y = PoolAndQuantize.apply(x, scale, 3)
    assert y.flatten().tolist() == [0.0, 1.0, 1.5, 0.0]
    y.backward(torch.tensor([[[[1.0, 2.0, 4.0, 8.0]]]], dtype=torch.float64))
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]
    # rounding errors -0.375 and 0.25 steps inside, the highest and the lowest code outside
    assert scale.grad == 1 * -0.375 + 2 * 0.25 + 4 * 3 + 8 * 0


def test_a_network_learns(tmp_path: Path) -> None:
    model = trained(work_folder(tmp_path, "a"), epochs=6)
    predictions = predict(model, Tones(), VALIDATION)
    assert predictions.correct.mean() > 0.9
    assert (predictions.snrs_db == 10 + 2 * (VALIDATION % 2)).all()


def test_two_runs_are_equal_and_another_seed_is_not(tmp_path: Path) -> None:
    one, same, other = (work_folder(tmp_path, name) for name in "abc")
    first = trained(one)
    assert same_weights(first, trained(same))
    assert not same_weights(first, trained(other, seed=5))


@pytest.mark.parametrize("reads", range(2 * READS_PER_EPOCH))
def test_a_killed_run_ends_as_an_unbroken_one(reads: int, tmp_path: Path) -> None:
    whole, work = work_folder(tmp_path, "unbroken"), work_folder(tmp_path, "killed")
    unbroken = trained(whole)
    with pytest.raises(Killed):
        trained(work, Tones(reads_left=reads))
    assert (work / CHECKPOINT).exists() == (reads >= READS_PER_EPOCH)
    assert same_weights(trained(work), unbroken)
    assert same_ends(work, whole)


def test_a_run_that_loses_the_optimizers_state_is_found_out(tmp_path: Path) -> None:
    whole, work = work_folder(tmp_path, "unbroken"), work_folder(tmp_path, "killed")
    trained(whole)
    with pytest.raises(Killed):
        trained(work, Tones(reads_left=READS_PER_EPOCH + 1))
    state = torch.load(work / CHECKPOINT, weights_only=True)
    for moments in state["trainer"]["optimizer"]["state"].values():
        moments["exp_avg"].zero_()
    torch.save(state, work / CHECKPOINT)
    trained(work)
    assert not same_ends(work, whole)


def test_the_best_weights_so_far_are_on_file(tmp_path: Path) -> None:
    work = work_folder(tmp_path, "a")
    model = trained(work)
    kept = torch.load(work / BEST, weights_only=True)
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())


def test_frames_that_are_not_numbers_stop_the_run(tmp_path: Path) -> None:
    data = Tones()
    data.values[:] = np.nan
    with pytest.raises(DivergedError, match=r"nan(?s:.*)lower train.learning_rate"):
        trained(work_folder(tmp_path, "a"), data)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [rate_factor(share) for share in np.linspace(0, 1, 101)]
    peak = int(np.argmax(rates))
    assert rates[peak] == 1.0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-9 < rates[0]


def test_turning_keeps_magnitudes_and_angles_between_samples() -> None:
    frames = Tones().values
    turned = turn(frames, np.random.default_rng(1))
    before, after = (x[..., 0] + 1j * x[..., 1] for x in (frames, turned))
    ratio = after / before
    assert np.abs(np.abs(ratio) - 1).max() < 1e-5
    assert np.abs(ratio - ratio[:, :1]).max() < 1e-4
    assert len(np.unique(ratio[:, 0])) == len(frames)


def test_a_plateau_halves_the_rate_where_accuracy_stands_still() -> None:
    assert plateau_factor([], 2) == 1.0
    assert plateau_factor([0.1, 0.2, 0.2], 2) == 1.0
    assert plateau_factor([0.1, 0.2, 0.2, 0.1], 2) == 0.5
    assert plateau_factor([0.1, 0.2, 0.2, 0.1, 0.3, 0.3], 2) == 0.5
    assert plateau_factor([0.1, 0.2, 0.2, 0.1, 0.1, 0.1], 2) == 0.25


def test_a_plateau_trains(tmp_path: Path) -> None:
    work = work_folder(tmp_path, "a")
    model = trained(work, epochs=8, schedule="plateau", patience=1)
    assert predict(model, Tones(), VALIDATION).correct.mean() > 0.9


@pytest.mark.parametrize("count", [10, 1000])
def test_shuffling_in_chunks_keeps_every_frame(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set larger than the pool: each pool holds whole runs of the file, from all over it."""
    monkeypatch.setattr("pipeline.network.trainer.POOL", 100)
    monkeypatch.setattr("pipeline.network.trainer.RUN", 5)
    numbers = 3 * np.arange(count)
    order = shuffled(numbers, np.random.default_rng(1))
    assert sorted(order) == list(numbers)
    assert (order != numbers).any()
    if count > 100:
        pools = order.reshape(-1, 100)
        assert all(len(set(pool // 15)) == 20 for pool in pools)
        assert all(np.ptp(pool) > count for pool in pools)
