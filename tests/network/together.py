"""Run by test_workers.py under torchrun, and alone to compare with: `together.py WHAT FOLDER`."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn

from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.core.stage import Stage, StageContext
from pipeline.network.trainer import Splits, Trainer
from pipeline.network.training import train
from pipeline.network.vgg10 import build_vgg10, initialise
from pipeline.network.workers import announce, follow, led, workers
from tests.network.test_training import CONFIG, TRAIN, VALIDATION, Tones
from tests.small import settled


def gradients(folder: Path) -> None:
    """One step's gradients with BatchNorm frozen, in double precision."""
    model = settled(CONFIG.network).double().train()
    for norm in (module for module in model if isinstance(module, nn.BatchNorm1d)):
        norm.eval()
    trainer = Trainer(model, Splits(Tones(), TRAIN, VALIDATION), 64, 1)
    batch = TRAIN[:64][workers().rank :: workers().count]
    frames = torch.from_numpy(Tones().frames(batch)).double()
    trainer.gradients(frames, torch.from_numpy(Tones().labels(batch)))
    if workers().rank == 0:
        grads = {name: value.grad for name, value in model.named_parameters()}
        torch.save(grads, folder / f"gradients_{workers().count}.pt")


class Breaking(Tones):
    """Fails when it is read for the second epoch, while the other process is in that."""

    def frames(self, numbers: np.ndarray, /) -> np.ndarray:
        self.reads_left = min(self.reads_left, 3) - 1
        if self.reads_left == 0:
            raise UserError("planted", "here", "nothing")
        return self.values[numbers]


def run(context: StageContext) -> None:
    """A stage that trains; each process notes the weights it ends with."""
    announce("train", context)
    model = build_vgg10(CONFIG.network)
    initialise(model, 4)
    # a test can have one of them fail after its first epoch
    failing = {"leader fails": 0, "follower fails": 1}.get(sys.argv[1]) == workers().rank
    data = Breaking() if failing else Tones()
    train(model, Splits(data, TRAIN, VALIDATION), context.config.train, context.work)
    torch.save(model.state_dict(), context.model_dir / f"weights_{workers().rank}.pt")
    (context.model_dir / f"folders_{workers().rank}").write_text(
        f"{context.out}\n{context.scratch}\n{context.work}\n"
    )


STAGE = Stage("train", "", (), (), (), run)


def stage(folder: Path) -> None:
    """The stage twice, as the leader has it: the second goes on from what the first has left.

    Where a process is to fail, two epochs in one, so that the other is in a step.
    """
    names = ("out", "scratch", "work", "cache")
    for name in names:
        (folder / name).mkdir(exist_ok=True)
    out, scratch, work, cache = (folder / name for name in names)
    for epochs in (2,) if sys.argv[1].endswith("fails") else (1, 2):
        config = Config.from_dict({"train": {"epochs": epochs, "batch_size": 32}})
        run(StageContext(config, folder, out, {}, scratch, work, cache))


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    if what == "alone":
        gradients(where)
    elif what == "gradients":
        distributed.init_process_group("gloo")
        gradients(where)
        distributed.destroy_process_group()
    else:
        with led() as leads:
            if leads:
                stage(where)
            else:
                follow(lambda _: STAGE)
