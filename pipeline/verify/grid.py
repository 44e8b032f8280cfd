"""Real values that a reference computes, as the integers they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.integer_model import Integers


def on_grid(
    layer: str, who: str, real: NDArray, channels: int, step: np.float32, first: int = 0
) -> Integers:
    """Whole numbers of `step` in (frames, channels[, positions]) values, or in those flattened.

    Returns (frames, positions, channels).  A quantizer multiplies its code by its scale in the
    precision of its input, and so does this.  `who` computed the values, `first` is the index of
    their first frame.  Raises VerificationFailed where a value is no whole number of steps.
    """
    streamed = real.reshape(len(real), channels, -1).transpose(0, 2, 1)
    size = streamed.dtype.type(step)
    codes = np.rint(streamed / size)
    off_grid = np.argwhere(~(codes * size == streamed))
    if len(off_grid):
        frame, position, channel = (int(i) for i in off_grid[0])
        raise VerificationFailed(
            f"layer {layer}, frame {first + frame}, position {position}, channel {channel}: {who} "
            f"gives {streamed[frame, position, channel]}, which is no whole number of steps"
        )
    return codes.astype(np.int64)
