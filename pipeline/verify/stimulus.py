"""Frames to verify with: signals of every class, and frames made to hurt.

Frame i of a kind depends on the kind, the seed and i alone, so fewer frames are the first of more
and any frame can be had again by its number.  Frames are real values before the input quantizer,
so that PyTorch and the hardware can be given the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.radio.modulations import FRAME
from pipeline.radio.synthetic import sample_frames

IN_PHASE_AND_QUADRATURE = 2

Frames = NDArray[np.float32]
"""(count, positions, channels)."""

Kind = Callable[[IntegerModel, int, int, int], Frames]
"""`count` frames of a seed, from number `first` on: (model, count, seed, first)."""


def stimulus(
    model: IntegerModel, count: int, seed: int, *, kind: str = "mixed", first: int = 0
) -> Frames:
    """Frames `first` to `first + count` of a kind, (count, positions, channels), for `model`."""
    return STIMULI[kind](model, count, seed, first)


# --- the kinds ----------------------------------------------------------------------------------


def signals(model: IntegerModel, count: int, seed: int, first: int) -> Frames:
    """Signals of all classes and SNRs where a network reads I/Q, noise elsewhere.

    A frame longer than a synthesised one is made of several, a shorter one is the beginning.
    Neither source can start in the middle: the frames before `first` are made and dropped.
    """
    stop = first + count
    if model.channels != IN_PHASE_AND_QUADRATURE:
        shape = (stop, model.positions, model.channels)
        return np.random.default_rng(seed).standard_normal(shape, np.float32)[first:]
    pieces = -(-model.positions // FRAME)
    frames, _, _ = sample_frames(stop * pieces, seed)
    joined = frames.reshape(stop, pieces * FRAME, IN_PHASE_AND_QUADRATURE)
    return np.ascontiguousarray(joined[first:, : model.positions])


def uniform(model: IntegerModel, count: int, seed: int, first: int) -> Frames:
    """Every code of the input with the same probability."""
    values = model.positions * model.channels
    levels = model.input.high - model.input.low + 1
    codes = model.input.low + _below(levels, _draws("uniform", seed, first, (count, values)))
    return _real(model, codes.reshape(count, model.positions, model.channels))


def minimum(model: IntegerModel, count: int, _seed: int, first: int) -> Frames:
    """The smallest code at every position: in all channels, then in one after the other."""
    return _real(model, _constant(model, count, first, model.input.low))


def maximum(model: IntegerModel, count: int, _seed: int, first: int) -> Frames:
    """The largest code at every position: in all channels, then in one after the other."""
    return _real(model, _constant(model, count, first, model.input.high))


def alternating(model: IntegerModel, count: int, _seed: int, first: int) -> Frames:
    """The two extremes in turns along the frame, in runs of 1 position, of 2, of 3 and so on.

    Neighbouring channels are at opposite extremes in one frame and at the same in the next.
    """
    number, position, channel = _indices(model, count, first)
    run = 1 + number // 2 % model.positions
    opposed = channel * (number % 2 == 0)
    high = (position // run + opposed) % 2 == 0
    return _real(model, np.where(high, model.input.high, model.input.low))


def halves(model: IntegerModel, count: int, seed: int, first: int) -> Frames:
    """Values half-way between two codes and their float32 neighbours on both sides.

    The half-way points reach from one below the range to one above it; far beyond them there are
    some that saturate.  All are visited in turns, in an order of the seed, and frames that are
    too short for all go on where the frame before stopped.  With a scale that is no power of two
    a half-way point may be no float32; then it is the nearest.
    """
    points = np.random.default_rng(_sequence("halves", seed)).permutation(_half_way(model))
    number, position, channel = _indices(model, count, first)
    place = position * model.channels + channel
    # one further in every frame, for frames as long as the points are many
    turn = number * (model.positions * model.channels + 1)
    return points[(turn + place) % len(points)]


def impulses(model: IntegerModel, count: int, seed: int, first: int) -> Frames:
    """One value other than 0 in a frame; every few frames at an end, or an extreme."""
    number = np.arange(first, first + count)
    draws = _draws("impulses", seed, first, (count, 3))
    position = _below(model.positions, draws[:, 0])
    position = np.select([number % 4 == 0, number % 4 == 1], [0, model.positions - 1], position)
    channel = _below(model.channels, draws[:, 1])
    others = model.input.high - model.input.low  # codes that are not 0
    choice = _below(others, draws[:, 2])
    choice = np.select([number % 3 == 0, number % 3 == 1], [0, others - 1], choice)
    code = model.input.low + choice
    codes = np.zeros((count, model.positions, model.channels), np.int64)
    codes[np.arange(count), position, channel] = code + (code >= 0)
    return _real(model, codes)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (signals, uniform, minimum, maximum, alternating, halves, impulses)
    }
)

PATTERN = (*KINDS, *["signals"] * 9)
"""Kinds of the frames that `mixed` repeats: one of each, and of 16 frames 10 are signals."""


def mixed(model: IntegerModel, count: int, seed: int, first: int) -> Frames:
    """Frames of all kinds in the order of PATTERN; the n-th of a kind is its frame n."""
    frames = np.empty((count, model.positions, model.channels), np.float32)
    place = np.arange(first, first + count) % len(PATTERN)
    for name, make in KINDS.items():
        is_kind = np.array([other == name for other in PATTERN])
        chosen = np.flatnonzero(is_kind[place])
        before = first // len(PATTERN) * is_kind.sum() + is_kind[: first % len(PATTERN)].sum()
        if len(chosen):
            frames[chosen] = make(model, len(chosen), seed, int(before))
    return frames


STIMULI: Mapping[str, Kind] = MappingProxyType({**KINDS, "mixed": mixed})


# --- what they are made of ----------------------------------------------------------------------


def _real(model: IntegerModel, codes: Integers) -> Frames:
    """The real values of codes; their quotient with the scale rounds to the code again."""
    return codes.astype(np.float32) * np.float32(model.input_scale)


def _indices(model: IntegerModel, count: int, first: int) -> tuple[Integers, Integers, Integers]:
    """Numbers of frames, positions and channels, to be broadcast to frames."""
    number, position, channel = np.ogrid[:count, : model.positions, : model.channels]
    return number + first, position, channel


def _constant(model: IntegerModel, count: int, first: int, code: int) -> Integers:
    """Frame 0 has `code` in all channels, frames 1, 2 ... in one channel and zeros elsewhere."""
    number, position, channel = _indices(model, count, first)
    turn = number % (model.channels + 1)
    return np.where((turn == 0) | (turn == channel + 1), code, 0 * position)


def _half_way(model: IntegerModel) -> NDArray[np.float32]:
    """Half-way points, the float32 below and above each, and values far outside, (n,)."""
    low, high = model.input.low, model.input.high
    scale = np.float32(model.input_scale)
    points = (np.arange(low - 1, high + 1) + 0.5).astype(np.float32) * scale
    infinity = np.float32(np.inf)
    around = [np.nextafter(points, -infinity), points, np.nextafter(points, infinity)]
    span = high - low + 1
    far = np.array([low - span, high + span, low - 1000 * span, high + 1000 * span])
    return np.concatenate([*around, far.astype(np.float32) * scale])


def _sequence(kind: str, seed: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, list(KINDS).index(kind)])


def _draws(kind: str, seed: int, first: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Random numbers in [0, 1), (frames, numbers a frame), from frame `first` on.

    Every frame has the same share of one random stream, so its place there is known.
    """
    bits = np.random.PCG64(_sequence(kind, seed))
    bits.advance(first * shape[1])
    return np.random.Generator(bits).random(shape)


def _below(limit: int, draws: NDArray[np.float64]) -> Integers:
    """Numbers from 0 to `limit` - 1."""
    return (draws * limit).astype(np.int64)
