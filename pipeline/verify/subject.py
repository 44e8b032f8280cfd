"""What is verified, and with which frames: made for the purpose, or the test split of a set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.core.paths import shown
from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.radio.modulations import FRAME, MODULATIONS
from pipeline.radio.radioml import open_radioml, split_frames
from pipeline.radio.synthetic import sample_cells
from pipeline.verify.stimulus import IN_PHASE_AND_QUADRATURE, PATTERN, stimulus

TEST_SPLIT = "test"
UNLABELLED = -1


@dataclass(frozen=True)
class Subject:
    """model: the golden one; frames: (n, positions, channels), real values; codes: the same after
    the input quantizer; labels: (n,), classes, -1 for a frame that is no signal; first: number
    of the first frame."""

    model: IntegerModel
    frames: NDArray[np.float32]
    codes: Integers
    labels: Integers
    first: int

    def beginning(self, count: int) -> Subject:
        """The same with the first `count` of the frames, or all."""
        return replace(
            self,
            frames=self.frames[:count],
            codes=self.codes[:count],
            labels=self.labels[:count],
        )


def unlabelled(model: IntegerModel, frames: NDArray[np.float32]) -> Subject:
    """Frames of which no classes are known."""
    return Subject(model, frames, model.quantize(frames), np.full(len(frames), UNLABELLED), 0)


def subject_of(config: Config, model: IntegerModel, test_set: Path) -> Subject:
    """The frames that `[verify]` asks for; those of the test split are read from `test_set`."""
    verify = config.verify
    if verify.stimulus == TEST_SPLIT:
        frames, labels = _test_split(config, model, test_set)
    else:
        count, seed, kind, first = verify.frames, verify.seed, verify.stimulus, verify.first
        frames = stimulus(model, count, seed, kind=kind, first=first)
        labels = _labels(model, count, seed, kind, first)
    return Subject(model, frames, model.quantize(frames), labels, verify.first)


def _test_split(
    config: Config, model: IntegerModel, test_set: Path
) -> tuple[NDArray[np.float32], Integers]:
    """Frames of the test split in an order of the seed, so that few of them are of all kinds."""
    if (model.positions, model.channels) != (FRAME, IN_PHASE_AND_QUADRATURE):
        raise UserError(
            f"the network reads {model.positions} positions of {model.channels} channels, "
            f"a data set has {FRAME} of I and Q",
            f"verify.stimulus = {TEST_SPLIT!r}",
            "take another stimulus",
        )
    verify = config.verify
    with open_radioml(test_set) as data:
        numbers = split_frames(data.frames_per_cell, config.data.seed).test
        chosen = np.random.default_rng(verify.seed).permutation(numbers)
        chosen = chosen[verify.first : verify.first + verify.frames]
        if len(chosen) < verify.frames:
            less = (
                f"verify.frames={len(chosen)}" if len(chosen) else f"verify.first < {len(numbers)}"
            )
            raise UserError(
                f"{verify.frames} frames from number {verify.first} on: the test split has "
                f"{len(numbers)}",
                shown(test_set),
                f"{less}, or a larger set",
            )
        return data.frames(chosen), data.labels(chosen)


def _labels(model: IntegerModel, count: int, seed: int, kind: str, first: int) -> Integers:
    """Classes of the frames of `stimulus`."""
    none = np.full(count, UNLABELLED)
    if model.channels != IN_PHASE_AND_QUADRATURE or model.positions > FRAME:
        return none  # noise, or several signals in a frame
    if len(model.layers[-1].weights) != len(MODULATIONS):
        return none  # classes of its own
    if kind == "signals":
        return sample_cells(first + count, seed)[first:, 0]
    if kind != "mixed":
        return none
    numbers = np.arange(first + count)
    is_signal = np.array([name == "signals" for name in PATTERN])[numbers % len(PATTERN)]
    labels = np.full(len(numbers), UNLABELLED)
    labels[is_signal] = sample_cells(int(is_signal.sum()), seed)[:, 0]
    return labels[first:]
