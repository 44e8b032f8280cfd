"""How many channels and outputs the layers of a VGG10 have, once pruning has shrunk some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

CONV_BLOCKS = 7
DENSE_BLOCKS = 2


@dataclass(frozen=True)
class Widths:
    """Filters of each convolution and outputs of each hidden dense layer, in order."""

    filters: tuple[int, ...]
    dense: tuple[int, ...]

    @classmethod
    def uniform(cls, filters: int, dense: int) -> Widths:
        """As the network is described: all convolutions alike, all hidden dense layers alike."""
        return cls((filters,) * CONV_BLOCKS, (dense,) * DENSE_BLOCKS)

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Widths:
        """Those of the network whose state dict, with named keys, this is."""
        dense = range(CONV_BLOCKS, CONV_BLOCKS + DENSE_BLOCKS)
        return cls(
            tuple(len(state[f"conv{i}.weight"]) for i in range(CONV_BLOCKS)),
            tuple(len(state[f"dense{i}.weight"]) for i in dense),
        )
