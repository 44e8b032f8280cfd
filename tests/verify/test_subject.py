"""What is verified with: the classes of frames, and that any slice of them agrees with the rest."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.config import Config
from pipeline.dataflow.integer_model import Codes, IntegerModel, Layer
from pipeline.radio.modulations import FRAME, MODULATIONS
from pipeline.radio.synthetic import sample_cells, sample_frames
from pipeline.verify.stimulus import KINDS, PATTERN, STIMULI, stimulus
from pipeline.verify.subject import UNLABELLED, Subject, subject_of, unlabelled

SIGNED = Codes(-8, 7)


def classifier(classes: int) -> Layer:
    """A last layer with so many logits."""
    weights = np.ones((classes, 1, 1), np.int64)
    return Layer("dense", "logits", weights, 4, 0, None, None, 1, SIGNED)


LAYERS = (classifier(len(MODULATIONS)),)
SHORT = IntegerModel(SIGNED, 0.25, 128, 2, LAYERS)
WHOLE = IntegerModel(SIGNED, 0.25, FRAME, 2, LAYERS)
LONG = IntegerModel(SIGNED, 0.25, FRAME + 512, 2, LAYERS)
OTHER = IntegerModel(Codes(0, 3), 0.5, 20, 3, LAYERS)
FEW = IntegerModel(SIGNED, 0.25, FRAME, 2, (classifier(5),))
COUNT = 40
"""More than two rounds of the pattern of mixed frames."""


def subject(model: IntegerModel, kind: str, first: int = 0, **keys: int) -> Subject:
    """The frames of a configuration; there is no data set."""
    verify = {"stimulus": kind, "frames": COUNT - first, "first": first, "seed": 5, **keys}
    return subject_of(Config.from_dict({"verify": verify}), model, Path("no data set"))


@pytest.mark.parametrize("model", [SHORT, WHOLE])
def test_labels_of_signals_are_those_of_the_synthetic_frames(model: IntegerModel) -> None:
    found = subject(model, "signals")
    frames, labels, _ = sample_frames(COUNT, 5)
    assert np.array_equal(found.frames, frames[:, : model.positions])
    assert np.array_equal(found.labels, labels)


@pytest.mark.parametrize("model", [SHORT, WHOLE])
def test_of_mixed_frames_the_signals_have_their_labels_and_no_others(model: IntegerModel) -> None:
    found = subject(model, "mixed")
    signals = np.array([PATTERN[i % len(PATTERN)] == "signals" for i in range(COUNT)])
    frames, labels, _ = sample_frames(int(signals.sum()), 5)
    assert np.array_equal(found.frames[signals], frames[:, : model.positions])
    assert np.array_equal(found.labels[signals], labels)
    assert (found.labels[~signals] == UNLABELLED).all()
    assert 0 < (~signals).sum() < signals.sum()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "signals"])
def test_what_is_no_signal_has_no_label(kind: str) -> None:
    assert subject(WHOLE, kind).labels.tolist() == [UNLABELLED] * COUNT


@pytest.mark.parametrize("kind", ["signals", "mixed"])
@pytest.mark.parametrize(
    "model", [LONG, OTHER, FEW], ids=["several signals a frame", "no I and Q", "other classes"]
)
def test_frames_of_no_single_signal_have_no_label(model: IntegerModel, kind: str) -> None:
    found = subject(model, kind, frames=5)
    assert found.labels.tolist() == [UNLABELLED] * 5
    assert found.frames.shape == (5, model.positions, model.channels)


@pytest.mark.parametrize("kind", STIMULI)
@pytest.mark.parametrize("first", [1, 16, 17, COUNT - 1])
def test_later_frames_are_the_same_wherever_one_starts(kind: str, first: int) -> None:
    every, rest = subject(SHORT, kind), subject(SHORT, kind, first)
    assert rest.first == first
    for name in ("frames", "codes", "labels"):
        assert np.array_equal(getattr(rest, name), getattr(every, name)[first:]), name


@pytest.mark.parametrize("kind", STIMULI)
@pytest.mark.parametrize("count", [1, 17, COUNT, COUNT + 1])
def test_the_beginning_is_what_fewer_frames_are(kind: str, count: int) -> None:
    beginning = subject(SHORT, kind).beginning(count)
    fewer = subject(SHORT, kind, frames=min(count, COUNT))
    assert (beginning.model, beginning.first) == (fewer.model, fewer.first)
    for name in ("frames", "codes", "labels"):
        assert np.array_equal(getattr(beginning, name), getattr(fewer, name)), name


def test_another_seed_has_other_labels() -> None:
    assert (subject(SHORT, "signals").labels != subject(SHORT, "signals", seed=6).labels).any()


@pytest.mark.parametrize("kind", STIMULI)
def test_codes_are_the_frames_behind_the_input_quantizer(kind: str) -> None:
    found = subject(SHORT, kind)
    assert np.array_equal(found.codes, SHORT.quantize(found.frames))
    assert found.codes.min() >= SHORT.input.low
    assert found.codes.max() <= SHORT.input.high


def test_given_frames_have_no_labels() -> None:
    frames = stimulus(SHORT, 3, 1)
    found = unlabelled(SHORT, frames)
    assert np.array_equal(found.codes, SHORT.quantize(frames))
    assert found.labels.tolist() == [UNLABELLED] * 3
    assert found.first == 0


@pytest.mark.parametrize("count", [1, 30, 700])
def test_cells_are_those_of_the_synthetic_frames(count: int) -> None:
    """700: more than there are cells."""
    _, labels, snrs_db = sample_frames(count, 9)
    assert sample_cells(count, 9).tolist() == np.stack([labels, snrs_db], axis=1).tolist()


def test_fewer_cells_are_the_first_of_more() -> None:
    every = sample_cells(1300, 9)
    assert len(np.unique(every[:624], axis=0)) == 624
    for count in (0, 1, 624, 625, 1299):
        assert np.array_equal(sample_cells(count, 9), every[:count])
