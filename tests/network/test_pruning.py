"""Pruning: what is cut, when a round ends, what feedback goes back to, and resuming."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.core.config import Config, Prune
from pipeline.core.errors import UserError
from pipeline.network import pruning
from pipeline.network.pruning import CHECKPOINT, Pruned, magnitude_masks, prunable, prune
from pipeline.network.shrinking import LAST_LAYER, LAYERS, LEAST_OUTPUTS, kept_outputs, shrink
from pipeline.network.trainer import Epoch, Splits, Trainer
from pipeline.network.vgg10 import build_vgg10, initialise
from pipeline.network.widths import Widths
from tests.network.test_training import CONFIG, TRAIN, VALIDATION, Killed, Tones, same_weights
from tests.small import settled

NETWORK = CONFIG.network


def plan(**keys: Any) -> Prune:
    base = {"method": "fmp", "epochs": 12, "patience": 2, "batch_size": 64, "learning_rate": 0.01}
    return Config.from_dict({"prune": base | keys}).prune


def run(work: Path, data: Tones | None = None, criterion: float = 0.3, **keys: Any) -> Pruned:
    """A pruning of a settled network, from whatever is in ``work``."""
    splits = Splits(data or Tones(), TRAIN, VALIDATION)
    model = settled(NETWORK)
    return prune(model, NETWORK, splits, criterion, plan(**keys), work)


def nonzeros(model: nn.Module) -> int:
    return sum(int(model.get_parameter(name).count_nonzero()) for name in prunable(model))


EPOCH = Trainer.epoch


def scripted(
    monkeypatch: pytest.MonkeyPatch, work: Path, accuracies: list[float], **keys: Any
) -> Pruned:
    """A run whose epochs train, but whose validation accuracies are those that a test planned."""

    def epoch(trainer: Trainer, number: int, rate: Any, shown: Any) -> Epoch:
        real = EPOCH(trainer, number, rate, shown)
        return replace(real, validation_accuracy=accuracies[number - 1])

    monkeypatch.setattr(Trainer, "epoch", epoch)
    monkeypatch.setattr(pruning, "validation_accuracy", lambda *_: 1.0)
    return run(work, criterion=0.5, **keys)


def told(pruned: Pruned) -> list[tuple[float, int, bool]]:
    return [(round(one.share, 4), one.epochs, one.met) for one in pruned.rounds]


def test_feedback_goes_back_with_a_smaller_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Met at once, met later, never met: back, and half the share, until that is too small."""
    script = [0.9, 0.1, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1]
    pruned = scripted(monkeypatch, tmp_path, script, threshold=0.05)
    assert told(pruned) == [
        (0.2, 1, True),
        (0.2, 2, True),
        (0.2, 2, False),
        (0.1, 1, True),
        (0.1, 2, False),
        (0.05, 2, False),
    ]
    assert pruned.rounds[3].nominal_ratio == round(1 / (0.8 * 0.8 * 0.9), 3)
    # what is returned is the network of the last round that met the criterion, with its mask
    total = sum(pruned.start_cost.weights.values())
    left = total
    for share in (0.2, 0.2, 0.1):
        left -= round(share * left)
    assert 0 <= left - nonzeros(pruned.model) < 0.01 * total  # few weights are zero by themselves


def test_without_feedback_the_first_failure_ends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = [0.9, 0.1, 0.9, 0.1, 0.1]
    pruned = scripted(monkeypatch, tmp_path, script, method="imp")
    assert told(pruned) == [(0.2, 1, True), (0.2, 2, True), (0.2, 2, False)]


def test_the_budget_ends_a_round(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = [0.9, 0.1, 0.9, 0.1]
    pruned = scripted(monkeypatch, tmp_path, script, epochs=4, patience=9)
    assert told(pruned) == [(0.2, 1, True), (0.2, 2, True), (0.2, 1, False)]


def test_structured_comes_first_with_numbers_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = [0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1]
    pruned = scripted(
        monkeypatch,
        tmp_path,
        script,
        granularity="structured+unstructured",
        structured_threshold=0.04,
        threshold=0.15,
    )
    kinds = [one.granularity for one in pruned.rounds]
    assert kinds == ["structured"] * 3 + ["unstructured"] * 2
    assert told(pruned) == [
        (0.1, 1, True),
        (0.1, 2, False),
        (0.05, 2, False),
        (0.2, 1, True),
        (0.2, 2, False),
    ]
    widths = Widths.of_state(pruned.model.state_dict())
    outputs = sum(widths.filters) + sum(widths.dense)
    assert outputs == 72 - round(0.1 * 72)
    assert sum(pruned.rounds[-1].weights.values()) < sum(pruned.start_cost.weights.values())


def test_pruned_weights_stay_exactly_zero_through_training(tmp_path: Path) -> None:
    """A real run: every epoch meets the low criterion."""
    pruned = run(tmp_path, criterion=0.01, epochs=3)
    assert [one.met for one in pruned.rounds] == [True] * 3
    before = nonzeros(pruned.model)
    expected = sum(
        p.numel() for n, p in pruned.model.named_parameters() if n in prunable(pruned.model)
    )
    for _ in range(3):
        expected -= round(0.2 * expected)
    assert before <= expected
    trainer = Trainer(pruned.model, Splits(Tones(), TRAIN, VALIDATION), 64, 1)
    weights = {name: pruned.model.get_parameter(name) for name in prunable(pruned.model)}
    trainer.masks = {name: (weight != 0).float() for name, weight in weights.items()}
    zero = {name: weight == 0 for name, weight in weights.items()}
    with pruning.progress("", 1, "") as shown:
        trainer.epoch(1, lambda _: 0.01, shown)
    assert all((weights[name][where] == 0).all() for name, where in zero.items())
    trainer.masks = {}
    with pruning.progress("", 1, "") as shown:
        trainer.epoch(2, lambda _: 0.01, shown)
    assert nonzeros(pruned.model) > before  # without the masks they would not


WHOLE = {"criterion": 0.34, "epochs": 3, "granularity": "structured+unstructured"}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Pruned:
    return run(tmp_path_factory.mktemp("unbroken"), **WHOLE)


@pytest.mark.parametrize("reads", [1, 2, 5, 8])
def test_a_killed_pruning_ends_as_an_unbroken_one(
    reads: int, unbroken: Pruned, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        run(tmp_path, Tones(reads_left=reads), **WHOLE)
    assert (tmp_path / CHECKPOINT).exists()
    again = run(tmp_path, **WHOLE)
    assert same_weights(again.model, unbroken.model)
    assert told(again) == told(unbroken)


def test_a_network_that_was_pruned_before_keeps_its_zeros(tmp_path: Path) -> None:
    """Its file holds no mask, only weights that are exactly zero."""
    model = settled(NETWORK)
    with torch.no_grad():
        for name in prunable(model):
            model.get_parameter(name).flatten()[::2] = 0
    before = {name: model.get_parameter(name) == 0 for name in prunable(model)}
    left = nonzeros(model)
    splits = Splits(Tones(), TRAIN, VALIDATION)
    pruned = prune(model, NETWORK, splits, 0.01, plan(epochs=2, method="imp"), tmp_path).model
    assert all((pruned.get_parameter(name)[zero] == 0).all() for name, zero in before.items())
    for _ in range(2):
        left -= round(0.2 * left)
    assert nonzeros(pruned) == left


def test_a_network_below_the_criterion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="before pruning, the network has a validation accuracy"):
        run(tmp_path, criterion=1.1)
    assert not (tmp_path / CHECKPOINT).exists()


def test_masks_hide_the_smallest_weights_of_all_layers() -> None:
    weights = {"a": torch.tensor([[3.0, -1.0], [0.5, 4.0]]), "b": torch.tensor([[-2.0, 0.1]])}
    ones = {name: torch.ones_like(weight) for name, weight in weights.items()}
    masks = magnitude_masks(weights, ones, 0.34)  # 2 of 6
    assert masks["a"].tolist() == [[1, 1], [0, 1]]
    assert masks["b"].tolist() == [[1, 0]]
    again = magnitude_masks(weights, masks, 0.5)  # 2 of the 4 that are left
    assert again["a"].tolist() == [[1, 0], [0, 1]]
    assert again["b"].tolist() == [[0, 0]]


def test_what_is_hidden_is_not_cut_again() -> None:
    """A hidden weight is zero, the smallest there is: it must not use up the share."""
    weights = {"a": torch.tensor([[0.0, 1.0, 2.0, 3.0]])}
    masks = magnitude_masks(weights, {"a": torch.tensor([[0.0, 1, 1, 1]])}, 0.34)
    assert masks["a"].tolist() == [[0, 0, 1, 1]]


def test_only_weights_are_pruned() -> None:
    model = build_vgg10(NETWORK)
    assert prunable(model) == [f"{name}.weight" for name in (*LAYERS, LAST_LAYER)]


@pytest.mark.parametrize("positions", [1, 4])
def test_a_shrunk_network_computes_the_same_without_what_is_gone(positions: int) -> None:
    """Outputs that are zero whatever comes in can go without a change.

    ``positions`` are left of a frame where it is flattened.
    """
    network = NETWORK.model_copy(update={"frame_length": 128 * positions})
    model = build_vgg10(network)
    initialise(model, 5)
    frames = 2 * torch.randn(64, 2, 128 * positions, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for _ in range(40):  # BatchNorm's statistics become those of the frames: codes spread
            model.train()(frames)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    gone = {name: {(3 * i) % 8} for i, name in enumerate(LAYERS)}
    for i, (_, outputs) in enumerate(gone.items()):
        state[f"norm{i}.weight"][list(outputs)] = 0
        state[f"norm{i}.bias"][list(outputs)] = -1
    model.load_state_dict(state)
    kept = {name: torch.tensor([j for j in range(8) if j not in gone[name]]) for name in LAYERS}
    smaller = shrink(state, kept)
    small = build_vgg10(network, Widths.of_state(smaller))
    small.load_state_dict(smaller)
    assert Widths.of_state(smaller) == Widths((7,) * 7, (7,) * 2)
    logits = model.eval()(frames)
    assert torch.equal(small.eval()(frames), logits)
    assert len(logits.unique(dim=0)) > 16  # they depend on the frame


def test_the_smallest_outputs_go_relative_to_their_layer() -> None:
    state = settled(NETWORK).state_dict()
    state["conv2.weight"][5] *= 0.01
    state["conv4.weight"] *= 0.001  # a layer of small weights, none smaller than the others
    kept = kept_outputs(state, 0.001)
    assert kept["conv2"].tolist() == [0, 1, 2, 3, 4, 6, 7]
    assert sum(len(outputs) for outputs in kept.values()) == 72 - 1


def test_a_layer_keeps_some_outputs() -> None:
    state = settled(NETWORK).state_dict()
    kept = kept_outputs(state, 0.95)
    assert all(len(outputs) == LEAST_OUTPUTS for outputs in kept.values())
