"""Stimuli: each reaches what it is for, and any frame can be had again by its number."""

from typing import get_args

import numpy as np
import pytest

from pipeline.core.config import Config, Verify
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.radio.synthetic import sample_frames
from pipeline.verify.stimulus import KINDS, PATTERN, STIMULI, stimulus
from pipeline.verify.subject import TEST_SPLIT

MODELS = {
    "four bits": IntegerModel(Codes(-8, 7), 0.25, 128, 2, ()),
    "eight bits, any scale": IntegerModel(Codes(-127, 127), 0.0173, 128, 2, ()),
    "unsigned, three channels": IntegerModel(Codes(0, 3), 0.5, 20, 3, ()),
}
RANDOM = ("signals", "uniform", "halves", "impulses", "mixed")


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def model(request: pytest.FixtureRequest) -> IntegerModel:
    return request.param


def codes(model: IntegerModel, kind: str, count: int = 40, seed: int = 1) -> np.ndarray:
    return model.quantize(stimulus(model, count, seed, kind=kind))


@pytest.mark.parametrize("kind", STIMULI)
def test_a_frame_depends_on_its_number_and_the_seed_alone(model: IntegerModel, kind: str) -> None:
    frames = stimulus(model, 40, 5, kind=kind)
    assert frames.shape == (40, model.positions, model.channels)
    assert frames.dtype == np.float32
    assert np.array_equal(stimulus(model, 11, 5, kind=kind), frames[:11])
    for first in (1, 16, 39):
        rest = stimulus(model, 40 - first, 5, kind=kind, first=first)
        assert np.array_equal(rest, frames[first:])
    other = stimulus(model, 40, 6, kind=kind)
    assert np.array_equal(other, frames) == (kind not in RANDOM)


def test_the_configuration_knows_every_kind_and_mixed_is_the_default() -> None:
    names = get_args(Verify.model_fields["stimulus"].annotation)
    assert set(names) == {*STIMULI, TEST_SPLIT}  # which is read, not made
    assert Config.from_dict({}).verify.stimulus == "mixed"
    model = MODELS["four bits"]
    mixed = stimulus(model, 20, 1)
    assert np.array_equal(mixed, stimulus(model, 20, 1, kind="mixed"))


def test_mixed_has_every_kind_early_and_mostly_signals(model: IntegerModel) -> None:
    assert set(PATTERN[: len(KINDS)]) == set(KINDS)
    assert PATTERN.count("signals") > len(PATTERN) / 2
    frames = stimulus(model, 40, 2)
    names = [PATTERN[i % len(PATTERN)] for i in range(40)]
    for kind in KINDS:
        own = frames[[name == kind for name in names]]
        assert np.array_equal(own, stimulus(model, len(own), 2, kind=kind))


def test_signals_are_the_synthetic_frames() -> None:
    model = MODELS["four bits"]
    frames, _, _ = sample_frames(5, 3)
    assert np.array_equal(stimulus(model, 5, 3, kind="signals"), frames[:, :128])
    longer = IntegerModel(model.input, 0.25, 1536, 2, ())
    frames, _, _ = sample_frames(4, 3)
    joined = frames.reshape(2, 2048, 2)[1:, :1536]
    assert np.array_equal(stimulus(longer, 1, 3, kind="signals", first=1), joined)


def test_uniform_codes_have_equal_shares(model: IntegerModel) -> None:
    found = codes(model, "uniform", 200)
    levels = model.input.high - model.input.low + 1
    counts = np.bincount((found - model.input.low).ravel(), minlength=levels)
    expected = found.size / levels
    assert len(counts) == levels
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()
    real = stimulus(model, 200, 1, kind="uniform")
    assert np.array_equal(real, found.astype(np.float32) * np.float32(model.input_scale))


@pytest.mark.parametrize("kind", ["minimum", "maximum"])
def test_extremes_are_in_all_channels_and_in_single_ones(model: IntegerModel, kind: str) -> None:
    extreme = model.input.low if kind == "minimum" else model.input.high
    found = codes(model, kind, model.channels + 2)
    assert (found[0] == extreme).all()
    for channel in range(model.channels):
        only = np.zeros_like(found[0])
        only[:, channel] = extreme
        assert np.array_equal(found[1 + channel], only)
    assert np.array_equal(found[-1], found[0])


def test_alternating_frames_differ_in_their_periods(model: IntegerModel) -> None:
    found = codes(model, "alternating", 2 * model.positions)
    assert set(np.unique(found)) == {model.input.low, model.input.high}
    assert len(np.unique(found, axis=0)) == 2 * model.positions
    for frame, run in ((0, 1), (1, 1), (2, 2), (6, 4)):
        changes = np.flatnonzero(np.diff(found[frame], axis=0).any(axis=1)) + 1
        assert changes.tolist() == list(range(run, model.positions, run))
    assert (found[0, :, 0] != found[0, :, 1]).all()
    assert (found[1, :, 0] == found[1, :, 1]).all()


def test_halves_are_half_way_and_their_neighbours_are_next_to_them() -> None:
    model = MODELS["four bits"]
    values = np.unique(stimulus(model, 1, 1, kind="halves"))
    steps = values.astype(np.float64) / model.input_scale
    half_way = steps[steps % 1 == 0.5]
    assert half_way.tolist() == [n + 0.5 for n in range(-9, 8)]
    for half in (half_way * model.input_scale).astype(np.float32):
        assert {np.nextafter(half, np.float32(side)) for side in (-99, 99)} <= set(values)
    assert values[0] < 100 * model.input.low * model.input_scale
    found = dict(zip(steps.tolist(), model.quantize(values[:, None, None]).ravel(), strict=True))
    # to even; one below and one above are clipped
    assert [found[n + 0.5] for n in (-9, -8, -7, -1, 0, 1, 6, 7)] == [-8, -8, -6, 0, 0, 2, 6, 7]


def test_with_any_scale_halves_are_as_near_as_float32_gets() -> None:
    model = MODELS["eight bits, any scale"]
    values = np.unique(stimulus(model, 20, 1, kind="halves"))
    wanted = (np.arange(-128, 128) + 0.5) * np.float64(np.float32(model.input_scale))
    assert set(wanted.astype(np.float32)) <= set(values)
    rounded = set(model.quantize(values[:, None, None]).ravel())
    assert rounded == set(range(-127, 128))


def test_impulses_reach_both_ends_and_both_extremes(model: IntegerModel) -> None:
    found = codes(model, "impulses", 12000)
    assert (np.count_nonzero(found, axis=(1, 2)) == 1).all()
    _, position, channel = np.nonzero(found)
    assert {0, model.positions - 1} < set(position)
    assert set(channel) == set(range(model.channels))
    assert set(np.unique(found)) == set(range(model.input.low, model.input.high + 1))
