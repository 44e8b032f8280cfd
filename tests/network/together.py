"""Run by test_workers.py under torchrun, and alone to compare with: `together.py WHAT FOLDER`."""

import sys
from pathlib import Path

import torch
from torch import distributed, nn

from pipeline.core.config import Config
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


def run(context: StageContext) -> None:
    """A stage that trains; each process notes the weights it ends with."""
    announce("train", context)
    model = build_vgg10(CONFIG.network)
    initialise(model, 4)
    train(model, Splits(Tones(), TRAIN, VALIDATION), context.config.train, context.work)
    torch.save(model.state_dict(), context.model_dir / f"weights_{workers().rank}.pt")


STAGE = Stage("train", "", (), (), (), run)


def stage(folder: Path) -> None:
    """The stage twice, as the leader has it; all that any process prints goes to its stdout."""
    names = ("out", "scratch", "work", "cache")
    for name in names:
        (folder / name).mkdir(exist_ok=True)
    out, scratch, work, cache = (folder / name for name in names)
    for epochs in (1, 2):  # the second goes on from what the first has left
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
