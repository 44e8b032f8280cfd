"""Several processes that train one network, started by torchrun on one machine.

    torchrun --nproc-per-node 4 -m pipeline train --model models/vgg10_w4a4

The first process leads: it runs the stages.  When a stage can use the others it announces itself,
and they do the same work on other frames, each in a folder of its own that nobody keeps; gradients
are averaged at every step.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import distributed

from pipeline.core.stage import Stage, StageContext


@dataclass(frozen=True)
class Workers:
    """This process among those that train together; ``count`` is 1 where it is alone."""

    rank: int
    count: int
    device: torch.device


def workers() -> Workers:
    """Those of now: each has a GPU where there are any."""
    together = distributed.is_initialized()
    rank = distributed.get_rank() if together else 0
    count = distributed.get_world_size() if together else 1
    if torch.cuda.is_available():
        return Workers(rank, count, torch.device("cuda", rank % torch.cuda.device_count()))
    return Workers(rank, count, torch.device("cpu"))


def announce(stage: str, context: StageContext) -> None:
    """Have the other processes run this stage too; nothing happens where there are none."""
    if workers().count > 1 and workers().rank == 0:
        _tell((stage, context))


@contextlib.contextmanager
def led() -> Iterator[bool]:
    """Join the other processes; whether this one leads. At the leader's end the others end.

    Where a process fails, torchrun ends the others: a farewell to processes that are in the middle
    of a step would wait for them, and they for the step.
    """
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    leads = distributed.get_rank() == 0
    yield leads
    if leads:
        _tell(None)
    distributed.destroy_process_group()


def follow(find: Callable[[str], Stage]) -> None:
    """Run what the leader announces, until it ends. Nothing is printed: the leader says it all."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        while (job := _hear()) is not None:
            stage, context = job
            with tempfile.TemporaryDirectory() as name:
                find(stage).run(_elsewhere(context, Path(name)))


def _elsewhere(context: StageContext, folder: Path) -> StageContext:
    """The same context with folders of its own, the work so far being a copy of the leader's."""
    shutil.copytree(context.work, folder / "work")
    for name in ("out", "scratch"):
        (folder / name).mkdir()
    return replace(context, out=folder / "out", scratch=folder / "scratch", work=folder / "work")


Job = tuple[str, StageContext] | None


def _tell(job: Job) -> None:
    distributed.broadcast_object_list([job], src=0, device=torch.device("cpu"))


def _hear() -> Job:
    heard: list[Job] = [None]
    distributed.broadcast_object_list(heard, src=0, device=torch.device("cpu"))
    return heard[0]
