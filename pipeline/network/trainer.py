"""One network being trained: steps, epochs, and a state that can be put away and taken up again.

What decides how long and towards what is in `pipeline.network.training` and
`pipeline.network.pruning`.
"""

import ctypes
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from pipeline.core.errors import UserError
from pipeline.core.progress import Progress, say
from pipeline.network.light import LightPath
from pipeline.network.metrics import HIGH_SNR_DB, Predictions, share
from pipeline.network.quantizers import LOWER_THE_RATE, assert_usable_scales
from pipeline.network.workers import workers

EVALUATION_BATCH = 256
POOL = 1 << 17
"""Frames held in memory at once (1 GiB of 1024 samples): a set of no more is shuffled as a whole.
A larger one is shuffled in chunks: pools of randomly chosen runs of RUN frames."""
RUN = 64

Numbers = NDArray[np.int64]


class Frames(Protocol):
    """A data set, as `pipeline.radio.radioml.RadioMl` is one."""

    def frames(self, numbers: Numbers, /) -> NDArray[np.float32]: ...
    def labels(self, numbers: Numbers, /) -> Numbers: ...
    def snrs_db(self, numbers: Numbers, /) -> Numbers: ...


@dataclass(frozen=True)
class Splits:
    """A data set and the numbers of its frames to train with and to decide by."""

    data: Frames
    train: Numbers
    validation: Numbers


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training split came to."""

    epoch: int
    loss: float
    validation_accuracy: float
    validation_accuracy_high_snr: float
    seconds: float
    frames_per_second: float


class DivergedError(UserError):
    """The loss is no longer a number."""

    def __init__(self, loss: float) -> None:
        super().__init__(f"the loss became {loss}", "training", LOWER_THE_RATE)


class Trainer:
    """The changing state of a training: weights, optimizer and, where it is pruned, masks.

    ``masks`` maps names of parameters to tensors of 0 and 1; where it is 0 a weight stays exactly
    zero. All cells of a data set are equally large, so every epoch is balanced over classes and
    SNRs. Where several processes train together, a batch is divided between them; the statistics
    of BatchNorm are those of the first.
    """

    def __init__(self, model: nn.Sequential, splits: Splits, batch_size: int, seed: int) -> None:
        tune_allocator()
        self.model = model
        self.splits = splits
        self.seed = seed
        self.workers = workers()
        self.numbers = splits.train[self.workers.rank :: self.workers.count]
        whole_batch = min(batch_size, len(splits.train))
        self.batch_size = max(1, whole_batch // self.workers.count)
        self.steps_per_epoch = len(splits.train) // self.workers.count // self.batch_size
        self.masks: dict[str, Tensor] = {}
        self.renew_optimizer()

    @property
    def frames_per_epoch(self) -> int:
        """By this process."""
        return self.steps_per_epoch * self.batch_size

    def renew_optimizer(self) -> None:
        """Forget the moments; called too when parameters have been replaced by others."""
        self.model.to(self.workers.device)
        path = LightPath(self.model)
        self.path = DistributedDataParallel(path) if self.workers.count > 1 else path
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def epoch(self, number: int, rate: Callable[[float], float], shown: Progress) -> Epoch:
        """One pass over the training split in an order that depends on seed and number.

        ``rate`` gives the learning rate for the share of the pass that is done.
        """
        started = time.monotonic()
        loss = self._pass(number, rate, shown)
        seconds = time.monotonic() - started
        assert_usable_scales(self.model)
        predictions = predict(self.model, self.splits.data, self.splits.validation)
        epoch = Epoch(
            epoch=number,
            loss=round(loss, 5),
            validation_accuracy=share(predictions.correct),
            validation_accuracy_high_snr=share(predictions.correct[predictions.high_snr]),
            seconds=round(seconds, 2),
            frames_per_second=round(self.frames_per_epoch / seconds, 1),
        )
        say(
            f"epoch {number}: loss {loss:.4f}, validation accuracy "
            f"{epoch.validation_accuracy:.4f} ({epoch.validation_accuracy_high_snr:.4f} at SNR >= "
            f"{HIGH_SNR_DB} dB), {epoch.frames_per_second:.0f} frames/s"
        )
        return epoch

    def _pass(self, number: int, rate: Callable[[float], float], shown: Progress) -> float:
        """The mean loss of the pass."""
        self.model.train()
        rank = [self.workers.rank] if self.workers.rank else []
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, number, *rank]))
        total = 0.0
        for step, (frames, labels) in enumerate(self._batches(rng)):
            for group in self.optimizer.param_groups:
                group["lr"] = rate(step / self.steps_per_epoch)
            total += self._step(torch.from_numpy(turn(frames, rng)), torch.from_numpy(labels))
            shown.advance(len(labels), epoch=str(number), loss=f"{total / (step + 1):.4f}")
        return self._agree(total / self.steps_per_epoch)

    def _agree(self, loss: float) -> float:
        """Where several processes train: their mean loss, and the buffers of the first for all."""
        if self.workers.count == 1:
            return loss
        for buffer in self.model.buffers():
            distributed.broadcast(buffer, 0)
        losses = torch.tensor(loss, dtype=torch.float64)
        distributed.all_reduce(losses)
        return float(losses) / self.workers.count

    def _batches(self, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.float32], Numbers]]:
        """Frames and labels of one pass."""
        order = shuffled(self.numbers, rng)[: self.frames_per_epoch]
        pool = max(1, POOL // self.batch_size) * self.batch_size
        for first in range(0, len(order), pool):
            numbers = order[first : first + pool]
            frames, labels = self.splits.data.frames(numbers), self.splits.data.labels(numbers)
            for start in range(0, len(numbers), self.batch_size):
                batch = slice(start, start + self.batch_size)
                yield frames[batch].copy(), labels[batch]
            del frames  # no view of it is left, so that only one pool is in memory at a time

    def _step(self, frames: Tensor, labels: Tensor) -> float:
        """One update; the loss before it."""
        value = self.gradients(frames, labels)
        if not math.isfinite(value):
            raise DivergedError(value)
        self.optimizer.step()
        self.apply_masks()
        return value

    def gradients(self, frames: Tensor, labels: Tensor) -> float:
        """Leave the gradients of a batch with the parameters; the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        device = self.workers.device
        loss = functional.cross_entropy(self.path(frames.to(device)), labels.to(device))
        loss.backward()
        return float(loss.detach())

    @torch.no_grad()
    def apply_masks(self) -> None:
        """Set pruned weights to zero."""
        parameters = dict(self.model.named_parameters())
        for name, mask in self.masks.items():
            parameters[name].mul_(mask.to(self.workers.device))

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs, in tensors of its own on the CPU."""
        return copied(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "masks": self.masks,
            }
        )

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back, or on, to a `state`."""
        state = copied(state)
        self.model.load_state_dict(state["model"])
        # Brevitas puts new parameters in the place of its scales: the old optimizer has lost them
        self.renew_optimizer()
        self.optimizer.load_state_dict(state["optimizer"])
        self.masks = state["masks"]


def shuffled(numbers: Numbers, rng: np.random.Generator) -> Numbers:
    """``numbers`` in random order, but those of one pool of POOL together in what follows.

    A file that does not fit into memory is so read in runs, not frame by frame.
    """
    if len(numbers) <= POOL:
        return rng.permutation(numbers)
    numbers = np.sort(numbers)
    runs = [numbers[start : start + RUN] for start in range(0, len(numbers), RUN)]
    by_run = np.concatenate([runs[i] for i in rng.permutation(len(runs))])
    pools = range(0, len(by_run), POOL)
    return np.concatenate([rng.permutation(by_run[start : start + POOL]) for start in pools])


def turn(frames: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Each frame (n, samples, 2) turned by a random phase: on air, the carrier's is arbitrary."""
    phase = rng.uniform(0.0, 2 * np.pi, (len(frames), 1))
    turned = frames.view(np.complex64)[..., 0] * np.exp(1j * phase).astype(np.complex64)
    result: NDArray[np.float32] = turned.view(np.float32).reshape(frames.shape)
    return result


def predict(model: nn.Sequential, data: Frames, numbers: Numbers) -> Predictions:
    """The network's classes for the frames ``numbers``, in evaluation mode."""
    model.eval()
    path = LightPath(model)
    device = next(model.parameters()).device
    with torch.no_grad():
        predicted = [
            path(torch.from_numpy(data.frames(batch)).to(device)).argmax(1).cpu().numpy()
            for batch in _evaluation_batches(numbers)
        ]
    return Predictions(np.concatenate(predicted), data.labels(numbers), data.snrs_db(numbers))


def validation_accuracy(model: nn.Sequential, splits: Splits) -> float:
    """The share of right classes on the validation split."""
    return share(predict(model, splits.data, splits.validation).correct)


def _evaluation_batches(numbers: Numbers) -> Iterator[Numbers]:
    starts = range(0, len(numbers), EVALUATION_BATCH)
    return (numbers[start : start + EVALUATION_BATCH] for start in starts)


def copied(state: Any) -> Any:
    """A nested state with copies of its tensors, on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [copied(value) for value in state]
    return state


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
