"""Frames to verify with: signals of every class where a network reads I/Q, noise elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.integer_model import IntegerModel
from pipeline.radio.modulations import FRAME
from pipeline.radio.synthetic import sample_frames

IN_PHASE_AND_QUADRATURE = 2


def stimulus(model: IntegerModel, count: int, seed: int) -> NDArray[np.float32]:
    """`count` frames (count, positions, channels) for `model`; fewer are the first of more.

    A frame longer than a synthesised one is made of several, a shorter one is the beginning.
    """
    if model.channels != IN_PHASE_AND_QUADRATURE:
        shape = (count, model.positions, model.channels)
        return np.random.default_rng(seed).standard_normal(shape, np.float32)
    pieces = -(-model.positions // FRAME)
    frames, _, _ = sample_frames(count * pieces, seed)
    joined = frames.reshape(count, pieces * FRAME, IN_PHASE_AND_QUADRATURE)
    return np.ascontiguousarray(joined[:, : model.positions])
