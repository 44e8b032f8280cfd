"""Make the data set, or take the one that the configuration names."""

import sys
from dataclasses import replace
from pathlib import Path

from pipeline.core.cli import run_alone
from pipeline.core.config import Config, Data
from pipeline.core.progress import progress
from pipeline.core.stage import Stage, StageContext
from pipeline.radio.channel import CHANNEL
from pipeline.radio.radioml import CELLS, link, open_radioml, write_synthetic
from pipeline.radio.synthetic import Generator

SET = "set.hdf5"


def run(context: StageContext) -> None:
    """Write the set in RadioML's layout; an existing file is checked and linked, not copied."""
    data = context.config.data
    if data.path:
        check_values(Path(data.path))
        link(context.out / SET, Path(data.path))
        return
    with progress("data", CELLS * data.frames_per_cell, "frames") as shown:
        write_synthetic(context.out / SET, data.frames_per_cell, generator(data), shown.advance)


def check_values(path: Path) -> None:
    """Read all of a file once. Raises UserError for the first thing that is wrong with it."""
    with open_radioml(path) as data, progress("checking", len(data), "frames") as shown:
        data.check_frames(shown.advance)


def generator(data: Data) -> Generator:
    """The synthetic set that the configuration describes."""
    return Generator(data.seed, replace(CHANNEL, delay_spread=data.delay_spread))


def check(out: Path) -> None:
    """The layout is RadioML's. Raises UserError where it is not."""
    with open_radioml(out / SET):
        pass


def folder(config: Config) -> Path:
    """Below `data`, so that models with the same set share it."""
    data = config.data
    if data.path:
        return Path("data") / f"linked_{Path(data.path).stem}"
    echoes = f"_delay{data.delay_spread:g}" if data.delay_spread else ""
    return Path("data") / f"synthetic_{data.frames_per_cell}_{data.seed}{echoes}"


STAGE = Stage(
    name="data",
    summary="make a synthetic data set in RadioML's HDF5 layout, or take an existing one",
    sections=("data",),
    needs=(),
    outputs=("set.hdf5",),
    run=run,
    check=check,
    version=1,
    folder=folder,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
