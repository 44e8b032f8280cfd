"""How fast training is, against stock Brevitas.

Two comparisons, both in frames per second of whole steps (forward, backward, Adam):

- *like with like*: the same batch and the same allocator settings;
- *as found*: stock Brevitas as a user would run it, with a batch of 256 and the allocator as it is.
  That needs a process of its own, since the settings cannot be taken back.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.core.config import Network
from pipeline.core.progress import progress
from pipeline.core.tools import run_tool
from pipeline.network.light import LightPath
from pipeline.network.record import versions
from pipeline.network.trainer import tune_allocator
from pipeline.network.vgg10 import build_vgg10, initialise

BATCH = 128
BATCH_AS_FOUND = 256
LIKE_WITH_LIKE_GOAL, AS_FOUND_GOAL = 2.5, 5.0
TURN_S = 600
"""A turn of stock Brevitas in a process of its own takes less."""


@dataclass(frozen=True)
class Effort:
    """``turns`` measurements of each way, of ``steps`` steps after one to warm up."""

    turns: int = 5
    steps: int = 4


Forward = Callable[[Tensor], Tensor]


def stock(model: nn.Sequential) -> Forward:
    """The Brevitas model called as it is; frames (N, length, 2)."""

    def forward(frames: Tensor) -> Tensor:
        logits = model(frames.transpose(1, 2))
        return getattr(logits, "value", logits)

    return forward


def training_rate(
    path: Callable[[nn.Sequential], Forward], network: Network, batch: int, steps: int
) -> float:
    """Frames per second of training steps on random frames."""
    model = build_vgg10(network)
    initialise(model, 1)
    forward, optimizer = path(model.train()), torch.optim.Adam(model.parameters())
    frames = torch.randn(batch, network.frame_length, 2)
    labels = torch.randint(0, network.classes, (batch,))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(forward(frames), labels).backward()
        optimizer.step()

    return batch * _rate(step, steps)


@torch.no_grad()
def evaluation_rate(
    path: Callable[[nn.Sequential], Forward], network: Network, batch: int, steps: int
) -> float:
    """Frames per second of inference on random frames."""
    model = build_vgg10(network)
    forward = path(model.eval())
    frames = torch.randn(batch, network.frame_length, 2)
    return batch * _rate(lambda: forward(frames), steps)


def _rate(action: Callable[[], object], times: int) -> float:
    """How often a second, after one call to warm up."""
    action()
    started = time.perf_counter()
    for _ in range(times):
        action()
    return times / (time.perf_counter() - started)


def measure(network: Network, effort: Effort, scratch: Path) -> dict[str, Any]:
    """All rates, medians over the turns, as JSON values; ``scratch`` takes logs."""
    ours: list[float] = []
    like: list[float] = []
    found: list[float] = []
    evaluated: dict[str, list[float]] = {"ours": [], "stock": []}
    with progress("training benchmark", 5 * effort.turns, "measurements") as shown:
        for _ in range(effort.turns):
            # before anything that the allocator's settings of this process could disturb
            found.append(as_found(effort.steps, scratch))
            shown.advance()
            tune_allocator()
            ours.append(training_rate(LightPath, network, BATCH, effort.steps))
            shown.advance()
            like.append(training_rate(stock, network, BATCH, effort.steps))
            shown.advance()
            evaluated["ours"].append(evaluation_rate(LightPath, network, BATCH, effort.steps))
            shown.advance()
            evaluated["stock"].append(evaluation_rate(stock, network, BATCH, effort.steps))
            shown.advance()
    rates = {"ours": ours, "stock": like, "stock_as_found": found}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "benchmark": "training",
        "frames_per_second": {name: round(value, 1) for name, value in medians.items()},
        "evaluation_frames_per_second": {
            name: round(statistics.median(values), 1) for name, values in evaluated.items()
        },
        "ratio_like_with_like": round(medians["ours"] / medians["stock"], 2),
        "ratio_as_found": round(medians["ours"] / medians["stock_as_found"], 2),
        "goals": {"like_with_like": LIKE_WITH_LIKE_GOAL, "as_found": AS_FOUND_GOAL},
        "turns": effort.turns,
        "threads": torch.get_num_threads(),
        "cpu": cpu_model(),
        "versions": versions(),
    }


def as_found(steps: int, scratch: Path) -> float:
    """Stock Brevitas in a fresh process, in frames per second."""
    command = [sys.executable, "-m", "pipeline.bench.as_found", str(steps)]
    return float(run_tool(command, cwd=scratch, log=scratch / "as_found.log", timeout_s=TURN_S))


def cpu_model() -> str:
    """The processor's name, as Linux gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def rows(result: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """For a table: what was compared, our rate, stock's, the ratio with its goal."""
    rates, evaluated = result["frames_per_second"], result["evaluation_frames_per_second"]
    goals = result["goals"]
    evaluation_ratio = evaluated["ours"] / evaluated["stock"]
    like, found = result["ratio_like_with_like"], result["ratio_as_found"]
    return [
        (
            f"training, batch {BATCH}, same allocator settings",
            f"{rates['ours']:.0f}",
            f"{rates['stock']:.0f}",
            f"{like:.2f} (goal {goals['like_with_like']})",
        ),
        (
            f"training, stock with batch {BATCH_AS_FOUND} as found",
            f"{rates['ours']:.0f}",
            f"{rates['stock_as_found']:.0f}",
            f"{found:.2f} (goal {goals['as_found']})",
        ),
        (
            f"evaluation, batch {BATCH}",
            f"{evaluated['ours']:.0f}",
            f"{evaluated['stock']:.0f}",
            f"{evaluation_ratio:.2f}",
        ),
    ]
