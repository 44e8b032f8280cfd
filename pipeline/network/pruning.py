"""Iterative magnitude pruning, and Feedback Magnitude Pruning (FMP).

Source: the A(MC) Team's submission to problem PS-007 of the ITU AI/ML in 5G challenge, 2021.
Algorithm 1 (IMP): prune a share p of the remaining weights, the smallest in magnitude over the
whole network, and train until the criterion is met; then again.  It ends where the criterion is
not met within the patience.  Algorithm 2 (FMP): instead of ending, go back to the last network that
met it, with its mask, and go on with p / n, until p is below a threshold.

Decisions look at the validation split only.  A run can be killed at any moment, and goes on to the
same result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline.core.errors import UserError
from pipeline.core.progress import progress, say
from pipeline.network.checkpoint import save_atomically
from pipeline.network.cost import Cost, counted_cost
from pipeline.network.curves import Curves
from pipeline.network.shrinking import kept_outputs, shrink
from pipeline.network.trainer import Epoch, Splits, Trainer, validation_accuracy
from pipeline.network.vgg10 import NetworkShape, build_vgg10
from pipeline.network.widths import Widths

CHECKPOINT = "prune.pt"


class Plan(Protocol):
    """How to prune; `pipeline.core.config` provides it from ``[prune]``.

    ``method`` is "imp" or "fmp". ``granularity`` is "structured" (outputs of layers, which shrink),
    "unstructured" (single weights), or "structured+unstructured", one after the other. ``share`` is
    p; ``divisor`` is n; structured pruning starts at p / n and has a threshold of its own.
    ``epochs`` bounds each of the granularities. ``batch_size``, ``learning_rate`` and ``seed`` are
    those of the training between prunings.
    """

    @property
    def method(self) -> str: ...
    @property
    def granularity(self) -> str: ...
    @property
    def share(self) -> float: ...
    @property
    def divisor(self) -> float: ...
    @property
    def threshold(self) -> float: ...
    @property
    def structured_threshold(self) -> float: ...
    @property
    def patience(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Round:
    """One pruning and the training after it.

    ``share`` of what remained was cut; ``met`` says whether the criterion was met after
    ``epochs``. ``nominal_ratio`` is the paper's eta, the product of 1 / (1 - p) over the rounds
    that led here; ``true_ratio`` is all weights over those that are not zero.
    """

    granularity: str
    share: float
    epochs: int
    met: bool
    validation_accuracy: float
    nonzeros: dict[str, int]
    weights: dict[str, int]
    bit_operations: int
    weight_bits: int
    cost: float
    nominal_ratio: float
    true_ratio: float


@dataclass(frozen=True)
class Pruned:
    """The end of a pruning: the last network that met the criterion, and how it came about.

    ``start`` is the validation accuracy and cost of the network that was pruned.
    """

    model: nn.Sequential
    criterion: float
    start_accuracy: float
    start_cost: Cost
    rounds: tuple[Round, ...]
    history: tuple[Epoch, ...]


@dataclass
class _State:
    """Where a pruning is: all that changes, apart from weights.

    ``stage`` counts through the granularities, ``epochs_in_stage`` through the budget of one,
    ``epochs_in_round`` through the patience; ``eta`` is the nominal ratio of the accepted network.
    """

    start_accuracy: float
    stage: int = 0
    share: float = 0.0
    epochs_in_stage: int = 0
    epochs_in_round: int = 0
    eta: float = 1.0
    rounds: list[Round] = field(default_factory=list)
    history: list[Epoch] = field(default_factory=list)


def prune(
    model: nn.Sequential,
    network: NetworkShape,
    splits: Splits,
    criterion: float,
    plan: Plan,
    work: Path,
) -> Pruned:
    """Prune a trained ``model`` as far as the validation accuracy ``criterion`` allows.

    Raises UserError where the network does not meet the criterion to begin with.
    """
    run = _Run(model, network, splits, criterion, plan, work / CHECKPOINT)
    run.start_or_resume()
    with progress("pruning", run.frames_left, "frames") as shown, Curves(work) as curves:
        while not run.is_done:
            epoch = run.trainer.epoch(len(run.state.history) + 1, run.rate, shown)
            curves.add(epoch.epoch, {**asdict(epoch), "share": run.state.share})
            run.judge(epoch)
            run.save()
    return run.end()


class _Run:
    """A pruning under way: the network at hand, the last accepted one, and the state."""

    def __init__(
        self,
        model: nn.Sequential,
        network: NetworkShape,
        splits: Splits,
        criterion: float,
        plan: Plan,
        checkpoint: Path,
    ) -> None:
        self.network = network
        self.splits = splits
        self.criterion = criterion
        self.plan = plan
        self.checkpoint = checkpoint
        self.granularities = plan.granularity.split("+")
        self.start_cost = counted_cost(model, network)
        self.trainer = self.trainer_of(model)
        self.accepted: dict[str, Any] = {}
        self.state = _State(0.0)

    def trainer_of(self, model: nn.Sequential) -> Trainer:
        """A trainer under which what is exactly zero, having been pruned before, stays so."""
        trainer = Trainer(model, self.splits, self.plan.batch_size, self.plan.seed)
        trainer.masks = masks_of_zeros(model)
        return trainer

    @property
    def is_done(self) -> bool:
        return self.state.stage == len(self.granularities)

    @property
    def granularity(self) -> str:
        return self.granularities[self.state.stage]

    @property
    def frames_left(self) -> int:
        """At most."""
        stages_left = len(self.granularities) - self.state.stage
        epochs = stages_left * self.plan.epochs - self.state.epochs_in_stage
        return epochs * self.trainer.frames_per_epoch

    def rate(self, share_done: float) -> float:
        """The learning rate: cosines of 1, 2, 4, 8 ... epochs from the start of a round on.

        I. Loshchilov, F. Hutter, "SGDR: Stochastic gradient descent with warm restarts", 2017. A
        round that meets the criterion soon so ends at a low rate, and the patience of 15 epochs is
        just four such cosines.
        """
        cycle = int(math.log2(self.state.epochs_in_round + 1))
        done = (self.state.epochs_in_round + 1 - 2**cycle + share_done) / 2**cycle
        return self.plan.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

    def start_or_resume(self) -> None:
        """Go on from the checkpoint; or check the network as it is, and cut it for the first time.

        The check's result is the state's, so that a resumed run does not need it again.
        """
        if self.checkpoint.exists():
            self.load()
            return
        accuracy = validation_accuracy(self.trainer.model, self.splits)
        if accuracy < self.criterion:
            raise UserError(
                f"before pruning, the network has a validation accuracy of {accuracy}: "
                f"less than the criterion, {self.criterion:.4f}",
                "prune.criterion",
                "train longer, or lower prune.criterion",
            )
        self.state = _State(accuracy)
        self.accepted = self.trainer.state()
        self.begin_stage()
        self.save()

    def begin_stage(self) -> None:
        """Cut the accepted network by the first share of a granularity, unless all are done."""
        if self.is_done:
            return
        structured = self.granularity == "structured"
        self.state.share = self.plan.share / self.plan.divisor if structured else self.plan.share
        self.state.epochs_in_stage = 0
        self.cut()

    def cut(self) -> None:
        """Prune the network at hand by the present share, and begin a round."""
        self.state.epochs_in_round = 0
        cut = self.cut_outputs if self.granularity == "structured" else self.cut_weights
        cut()

    def cut_outputs(self) -> None:
        """A new, smaller network takes the place of the one at hand."""
        state = self.trainer.model.state_dict()
        smaller = shrink(state, kept_outputs(state, self.state.share))
        self.trainer = self.trainer_of(self.network_of(smaller))

    def cut_weights(self) -> None:
        """Masks grow, and what they hide becomes zero."""
        model = self.trainer.model
        weights = {name: model.get_parameter(name).detach().cpu() for name in prunable(model)}
        self.trainer.masks = magnitude_masks(weights, self.trainer.masks, self.state.share)
        self.trainer.apply_masks()

    def network_of(self, state: Mapping[str, Tensor]) -> nn.Sequential:
        """The network with these weights, as wide as they are."""
        model = build_vgg10(self.network, Widths.of_state(state))
        model.load_state_dict(state)
        return model

    def judge(self, epoch: Epoch) -> None:
        """Decide what follows an epoch: another one, the next cut, or a step back."""
        state, plan = self.state, self.plan
        state.history.append(epoch)
        state.epochs_in_round += 1
        state.epochs_in_stage += 1
        met = epoch.validation_accuracy >= self.criterion
        out_of_budget = state.epochs_in_stage == plan.epochs
        if not (met or out_of_budget or state.epochs_in_round == plan.patience):
            return
        self.note_round(epoch, met)
        ended = out_of_budget
        if met:
            self.accepted = self.trainer.state()
        else:
            self.put(self.accepted)
            state.share /= plan.divisor
            ended |= plan.method == "imp" or state.share < self.threshold
        if ended:
            state.stage += 1
            self.begin_stage()
        else:
            self.cut()

    @property
    def threshold(self) -> float:
        """The share below which feedback ends."""
        plan = self.plan
        return plan.structured_threshold if self.granularity == "structured" else plan.threshold

    def note_round(self, epoch: Epoch, met: bool) -> None:
        """Add the round that ends with ``epoch`` to the record."""
        state = self.state
        cost = counted_cost(self.trainer.model, self.network)
        eta = state.eta / (1 - state.share)
        if met:
            state.eta = eta
        weights = sum(self.start_cost.weights.values())
        this = Round(
            granularity=self.granularity,
            share=state.share,
            epochs=state.epochs_in_round,
            met=met,
            validation_accuracy=epoch.validation_accuracy,
            nonzeros=cost.nonzeros,
            weights=cost.weights,
            bit_operations=cost.bit_operations,
            weight_bits=cost.weight_bits,
            cost=round(cost.normalised, 6),
            nominal_ratio=round(eta, 3),
            true_ratio=round(weights / sum(cost.nonzeros.values()), 3),
        )
        state.rounds.append(this)
        say(
            f"round {len(state.rounds)}: {'met' if met else 'not met'} after {this.epochs} epochs "
            f"at p = {this.share:.4g}, {sum(this.nonzeros.values())} weights, cost {this.cost:.4f}"
        )

    def put(self, trainer_state: Mapping[str, Any]) -> None:
        """Make a network of before, with its mask and its optimizer, the one at hand."""
        self.trainer = self.trainer_of(self.network_of(trainer_state["model"]))
        self.trainer.load_state(trainer_state)

    def save(self) -> None:
        whole = {
            "trainer": self.trainer.state(),
            "accepted": self.accepted,
            "state": asdict(self.state),
        }
        save_atomically(whole, self.checkpoint)

    def load(self) -> None:
        whole = torch.load(self.checkpoint, weights_only=True)
        state = whole["state"]
        rounds = [Round(**values) for values in state.pop("rounds")]
        history = [Epoch(**values) for values in state.pop("history")]
        self.state = _State(**state, rounds=rounds, history=history)
        self.accepted = whole["accepted"]
        self.put(whole["trainer"])
        say(f"pruning goes on after {len(rounds)} rounds and {len(history)} epochs")

    def end(self) -> Pruned:
        self.put(self.accepted)
        state = self.state
        return Pruned(
            model=self.trainer.model,
            criterion=self.criterion,
            start_accuracy=state.start_accuracy,
            start_cost=self.start_cost,
            rounds=tuple(state.rounds),
            history=tuple(state.history),
        )


def prunable(model: nn.Module) -> list[str]:
    """The parameters that single weights are pruned from: those of convolutions and dense layers.

    A bias and BatchNorm's parameters are vectors; all else is a scale.
    """
    return [
        name
        for name, parameter in model.named_parameters()
        if name.endswith(".weight") and parameter.ndim > 1
    ]


def masks_of_zeros(model: nn.Module) -> dict[str, Tensor]:
    """Masks, on the CPU, that hide the weights which are exactly zero."""
    return {name: (model.get_parameter(name) != 0).float().cpu() for name in prunable(model)}


@torch.no_grad()
def magnitude_masks(
    weights: Mapping[str, Tensor], masks: Mapping[str, Tensor], share_cut: float
) -> dict[str, Tensor]:
    """Masks that hide a further ``share_cut`` of what ``masks`` leave, the smallest over all.

    Both have the same names. Of equal weights the first go.
    """
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    alive = torch.cat([masks[name].flatten() for name in weights])
    remaining = int(alive.sum())
    order = torch.where(alive > 0, magnitudes, torch.inf).argsort(stable=True)
    alive[order[: round(share_cut * remaining)]] = 0
    pieces = alive.split([weight.numel() for weight in weights.values()])
    return {
        name: piece.view_as(weight).clone()
        for (name, weight), piece in zip(weights.items(), pieces, strict=True)
    }
