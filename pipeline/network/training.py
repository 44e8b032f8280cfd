"""Quantization-aware training: Adam, one cosine of the learning rate, best by validation.

A run is determined by its plan, its data and the number of threads. It can be killed at any
moment: what `train` has done is kept in a work folder after every epoch, and the next call goes on
from there to the same result, bit by bit.
"""

import ctypes
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.core.progress import Progress, progress, say
from pipeline.network.checkpoint import save_atomically
from pipeline.network.light import LightPath
from pipeline.network.metrics import HIGH_SNR_DB, Predictions, share
from pipeline.network.quantizers import assert_power_of_two_scales
from pipeline.network.vgg10 import initialise

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
EVALUATION_BATCH = 256
WARM_UP = 0.03
"""Share of all steps in which the learning rate rises, while BatchNorm finds its statistics."""


class Plan(Protocol):
    """How to train; `pipeline.core.config` provides it from ``[train]``."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def seed(self) -> int: ...


class Frames(Protocol):
    """A data set, as `pipeline.radio.radioml.RadioMl` is one."""

    def frames(self, numbers: NDArray[np.int64], /) -> NDArray[np.float32]: ...
    def labels(self, numbers: NDArray[np.int64], /) -> NDArray[np.int64]: ...
    def snrs_db(self, numbers: NDArray[np.int64], /) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training split came to."""

    epoch: int
    loss: float
    validation_accuracy: float
    validation_accuracy_high_snr: float
    seconds: float
    frames_per_second: float


@dataclass(frozen=True)
class Trained:
    """The end of a training: the model holds the weights of ``best``."""

    history: tuple[Epoch, ...]
    best: Epoch


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


def train(
    model: nn.Sequential,
    data: Frames,
    train_frames: NDArray[np.int64],
    validation_frames: NDArray[np.int64],
    plan: Plan,
    work: Path,
) -> Trained:
    """Train ``model`` from random weights; at the end it holds the best epoch's.

    After every epoch ``work`` has checkpoint.pt (all that is needed to go on) and best.pt (the
    best state dict so far). All cells of a data set are equally large, so every epoch is balanced
    over classes and SNRs.
    """
    tune_allocator()
    initialise(model, plan.seed)
    run = _Run(model, plan, len(train_frames))
    run.resume(work / CHECKPOINT)
    remaining = (plan.epochs - len(run.history)) * run.steps_per_epoch * run.batch_size
    with progress("training", remaining, "frames") as shown:
        for number in range(len(run.history) + 1, plan.epochs + 1):
            started = time.monotonic()
            loss = _train_epoch(run, data, train_frames, number, shown)
            seconds = time.monotonic() - started
            predictions = predict(model, data, validation_frames)
            assert_power_of_two_scales(model)
            run.record(number, loss, predictions, seconds)
            run.save(work)
    model.load_state_dict(run.best_state)
    return Trained(tuple(run.history), run.best)


class _Run:
    """The changing state of a training."""

    def __init__(self, model: nn.Sequential, plan: Plan, frames: int) -> None:
        self.model = model
        self.path = LightPath(model)
        self.plan = plan
        self.batch_size = min(plan.batch_size, frames)
        self.steps_per_epoch = frames // self.batch_size
        self.optimizer = self._new_optimizer()
        self.history: list[Epoch] = []
        self.best_state: dict[str, Tensor] = {}

    def _new_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.model.parameters(), lr=self.plan.learning_rate)

    @property
    def best(self) -> Epoch:
        """The first epoch of the highest validation accuracy."""
        return max(self.history, key=lambda epoch: epoch.validation_accuracy)

    def set_learning_rate(self, step: int) -> None:
        """For ``step`` of the whole training."""
        share_done = step / (self.steps_per_epoch * self.plan.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * rate_factor(share_done)

    def record(self, number: int, loss: float, predictions: Predictions, seconds: float) -> None:
        """Note an epoch, and its weights if they are the best so far."""
        epoch = Epoch(
            epoch=number,
            loss=round(loss, 5),
            validation_accuracy=share(predictions.correct),
            validation_accuracy_high_snr=share(predictions.correct[predictions.high_snr]),
            seconds=round(seconds, 2),
            frames_per_second=round(self.steps_per_epoch * self.batch_size / seconds, 1),
        )
        self.history.append(epoch)
        if self.best is epoch:
            self.best_state = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        say(
            f"epoch {number}/{self.plan.epochs}: loss {loss:.4f}, validation accuracy "
            f"{epoch.validation_accuracy:.4f} ({epoch.validation_accuracy_high_snr:.4f} at SNR >= "
            f"{HIGH_SNR_DB} dB), {epoch.frames_per_second:.0f} frames/s"
        )

    def save(self, work: Path) -> None:
        """Write the checkpoint last: a kill between the two files repeats an epoch, no more."""
        save_atomically(self.best_state, work / BEST)
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best_state,
            "history": [asdict(epoch) for epoch in self.history],
        }
        save_atomically(state, work / CHECKPOINT)

    def resume(self, checkpoint: Path) -> None:
        """Go on from ``checkpoint`` where there is one."""
        if not checkpoint.exists():
            return
        state = torch.load(checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        # Brevitas puts new parameters in the place of its scales: the old optimizer has lost them
        self.optimizer = self._new_optimizer()
        self.optimizer.load_state_dict(state["optimizer"])
        self.best_state = state["best"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        say(f"training goes on after epoch {len(self.history)} of {self.plan.epochs}")


def rate_factor(share_done: float) -> float:
    """Learning rate over its highest value: a straight rise, then half a cosine down to 0."""
    if share_done < WARM_UP:
        return 0.01 + 0.99 * share_done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share_done - WARM_UP) / (1 - WARM_UP)))


def _train_epoch(
    run: _Run, data: Frames, numbers: NDArray[np.int64], number: int, shown: Progress
) -> float:
    """One pass over the training frames; the mean loss."""
    run.model.train()
    rng = np.random.default_rng(np.random.SeedSequence([run.plan.seed, number]))
    order = rng.permutation(numbers)
    total = 0.0
    for step in range(run.steps_per_epoch):
        batch = order[step * run.batch_size : (step + 1) * run.batch_size]
        frames = turn(data.frames(batch), rng)
        run.set_learning_rate((number - 1) * run.steps_per_epoch + step)
        total += _step(run, torch.from_numpy(frames), torch.from_numpy(data.labels(batch)))
        shown.advance(len(batch), epoch=str(number), loss=f"{total / (step + 1):.4f}")
    return total / run.steps_per_epoch


def _step(run: _Run, frames: Tensor, labels: Tensor) -> float:
    """One update; the loss before it."""
    run.optimizer.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(run.path(frames), labels)
    loss.backward()
    value = float(loss.detach())
    if not math.isfinite(value):
        raise DivergedError(f"the loss became {value}; lower train.learning_rate")
    run.optimizer.step()
    return value


def turn(frames: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Each frame (n, samples, 2) turned by a random phase: on air, the carrier's is arbitrary."""
    phase = rng.uniform(0.0, 2 * np.pi, (len(frames), 1))
    turned = frames.view(np.complex64)[..., 0] * np.exp(1j * phase).astype(np.complex64)
    result: NDArray[np.float32] = turned.view(np.float32).reshape(frames.shape)
    return result


def predict(model: nn.Sequential, data: Frames, numbers: NDArray[np.int64]) -> Predictions:
    """The network's classes for the frames ``numbers``, in evaluation mode."""
    model.eval()
    path = LightPath(model)
    with torch.no_grad():
        predicted = [
            path(torch.from_numpy(data.frames(batch))).argmax(1).numpy()
            for batch in _batches(numbers)
        ]
    return Predictions(np.concatenate(predicted), data.labels(numbers), data.snrs_db(numbers))


def _batches(numbers: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    starts = range(0, len(numbers), EVALUATION_BATCH)
    return (numbers[start : start + EVALUATION_BATCH] for start in starts)


def tune_allocator() -> None:
    """Have glibc keep large blocks of memory between steps, instead of giving them back.

    Every step allocates the same activations; fetching them anew from the kernel, page by page,
    takes as long as the arithmetic. Does nothing where the C library has no mallopt.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # from glibc's malloc.h
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 200_000_000)
