"""Train the network and measure what it reaches."""

import sys
from pathlib import Path

from pipeline.core.atomic import write_json
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.core.stage import Stage, StageContext
from pipeline.network.checkpoint import read_state_dict, save_atomically
from pipeline.network.curves import keep_curves
from pipeline.network.record import training_record
from pipeline.network.shipped import METRICS, WEIGHTS
from pipeline.network.trainer import Splits, copied, predict
from pipeline.network.training import train
from pipeline.network.vgg10 import build_vgg10, initialise
from pipeline.network.workers import announce
from pipeline.radio.modulations import FRAME, MODULATIONS
from pipeline.radio.radioml import open_radioml, split_frames
from pipeline.stages.data import SET


def run(context: StageContext) -> None:
    """Train, resuming where an earlier run was stopped; write weights and metrics."""
    announce(STAGE.name, context)
    config = context.config
    check_trainable(config)
    model = build_vgg10(config.network)
    initialise(model, config.train.seed)
    with open_radioml(context.inputs["data"] / SET) as data:
        split = split_frames(data.frames_per_cell, config.data.seed)
        splits = Splits(data, split.train, split.validation)
        trained = train(model, splits, config.train, context.work)
        predictions = {
            "train": predict(model, data, split.train),
            "validation": predict(model, data, split.validation),
            "test": predict(model, data, split.test),
        }
        record = training_record(config, data.attributes, model, trained, predictions)
    save_atomically(copied(model.state_dict()), context.out / WEIGHTS)
    write_json(context.out / METRICS, record)
    keep_curves(context.work, context.out)


def check_trainable(config: Config) -> None:
    """Raise UserError for a network that does not go with the data."""
    network = config.network
    shape = (network.frame_length, network.classes)
    if shape != (FRAME, len(MODULATIONS)):
        raise UserError(
            f"the data have {FRAME} samples a frame and {len(MODULATIONS)} classes, "
            f"the network {shape[0]} and {shape[1]}",
            "network.frame_length, network.classes",
            f"frame_length = {FRAME} and classes = {len(MODULATIONS)}",
        )


def check(out: Path) -> None:
    """The weights can be read back. Raises UserError where they cannot."""
    read_state_dict(out / WEIGHTS)


STAGE = Stage(
    name="train",
    summary="train the network, quantization-aware; resumes after a kill",
    sections=("network", "data", "train"),
    needs=("data",),
    outputs=("weights.pt", "metrics.json", "tensorboard/"),
    run=run,
    check=check,
    version=2,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
