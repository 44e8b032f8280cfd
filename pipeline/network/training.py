"""Quantization-aware training: Adam, the learning rate on a schedule, best by validation.

A run is determined by its plan, its data and the number of threads. It can be killed at any
moment: what `train` has done is kept in a work folder after every epoch, and the next call goes on
from there to the same result, bit by bit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from pipeline.core.progress import progress, say
from pipeline.network.checkpoint import save_atomically
from pipeline.network.curves import Curves
from pipeline.network.trainer import Epoch, Splits, Trainer, copied

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
WARM_UP = 0.03
"""Share of all steps in which the learning rate rises, while BatchNorm finds its statistics."""
PLATEAU_FACTOR = 0.5
"""What the learning rate is multiplied by when validation accuracy has stopped rising."""


class Plan(Protocol):
    """How to train; `pipeline.core.config` provides it from ``[train]``.

    ``schedule`` is "cosine", over all epochs, or "plateau": constant until ``patience`` epochs have
    brought no better validation accuracy, then less.
    """

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def schedule(self) -> str: ...
    @property
    def patience(self) -> int: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Trained:
    """The end of a training: the model holds the weights of ``best``."""

    history: tuple[Epoch, ...]
    best: Epoch


def train(model: nn.Sequential, splits: Splits, plan: Plan, work: Path) -> Trained:
    """Train ``model`` from the weights it has; at the end it holds the best epoch's.

    After every epoch ``work`` has checkpoint.pt (all that is needed to go on) and best.pt (the
    best state dict so far).
    """
    trainer = Trainer(model, splits, plan.batch_size, plan.seed)
    history, best_state = _resume(trainer, work / CHECKPOINT)
    if history:
        say(f"training goes on after epoch {len(history)} of {plan.epochs}")
    remaining = (plan.epochs - len(history)) * trainer.frames_per_epoch
    with progress("training", remaining, "frames") as shown, Curves(work) as curves:
        for number in range(len(history) + 1, plan.epochs + 1):
            rate = SCHEDULES[plan.schedule](plan, history)
            epoch = trainer.epoch(number, rate, shown)
            history.append(epoch)
            curves.add(number, {**asdict(epoch), "learning_rate": rate(0.5)})
            if best_of(history) is epoch:
                best_state = copied(model.state_dict())
            _save(trainer, history, best_state, work)
    model.load_state_dict(best_state)
    model.to(trainer.workers.device)
    return Trained(tuple(history), best_of(history))


def best_of(history: Sequence[Epoch]) -> Epoch:
    """The first epoch of the highest validation accuracy."""
    return max(history, key=lambda epoch: epoch.validation_accuracy)


def _resume(trainer: Trainer, checkpoint: Path) -> tuple[list[Epoch], dict[str, Any]]:
    """Put the trainer where ``checkpoint`` left it, if there is one; history and best weights."""
    if not checkpoint.exists():
        return [], {}
    state = torch.load(checkpoint, weights_only=True)
    trainer.load_state(state["trainer"])
    return [Epoch(**epoch) for epoch in state["history"]], state["best"]


def _save(trainer: Trainer, history: Sequence[Epoch], best: dict[str, Any], work: Path) -> None:
    """Write the checkpoint last: a kill between the two files repeats an epoch, no more."""
    save_atomically(best, work / BEST)
    state = {
        "trainer": trainer.state(),
        "best": best,
        "history": [asdict(epoch) for epoch in history],
    }
    save_atomically(state, work / CHECKPOINT)


Rate = Callable[[float], float]
"""The learning rate over the share of an epoch that is done."""


def _cosine(plan: Plan, history: Sequence[Epoch]) -> Rate:
    """One cosine over all epochs, after a warm-up."""

    def rate(share_done: float) -> float:
        return plan.learning_rate * rate_factor((len(history) + share_done) / plan.epochs)

    return rate


def _plateau(plan: Plan, history: Sequence[Epoch]) -> Rate:
    """A constant, by what the epochs so far came to."""
    factor = plateau_factor([epoch.validation_accuracy for epoch in history], plan.patience)

    def rate(share_done: float) -> float:
        warm_up = min(1.0, (len(history) + share_done) / (WARM_UP * plan.epochs))
        return plan.learning_rate * factor * max(0.01, warm_up)

    return rate


SCHEDULES: dict[str, Callable[[Plan, Sequence[Epoch]], Rate]] = {
    "cosine": _cosine,
    "plateau": _plateau,
}


def rate_factor(share_done: float) -> float:
    """Learning rate over its highest value: a straight rise, then half a cosine down to 0."""
    if share_done < WARM_UP:
        return 0.01 + 0.99 * share_done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share_done - WARM_UP) / (1 - WARM_UP)))


def plateau_factor(accuracies: Sequence[float], patience: int) -> float:
    """PLATEAU_FACTOR for each time that ``patience`` epochs in a row were no better than before."""
    factor, best, waited = 1.0, -1.0, 0
    for accuracy in accuracies:
        waited = 0 if accuracy > best else waited + 1
        best = max(best, accuracy)
        if waited == patience:
            factor, waited = factor * PLATEAU_FACTOR, 0
    return factor
