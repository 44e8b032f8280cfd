"""What something takes of a device, and how large a part of a board that is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

UNITS = {"lut": "LUT", "dsp": "DSP", "bram36": "BRAM36"}
"""What is estimated, and boards have a budget of."""


@dataclass(frozen=True)
class Cost:
    """lut: sites, as `pipeline.synth` counts them; bram36: blocks of 36 kbit, or halves."""

    lut: float = 0.0
    dsp: float = 0.0
    bram36: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def times(self, count: float) -> Cost:
        """So many of it."""
        return Cost(*(getattr(self, f.name) * count for f in fields(self)))

    def shares(self, budget: Cost) -> dict[str, float]:
        """The part of each unit of a budget; what there is none of is all of it, and more."""
        return {unit: _share(getattr(self, unit), getattr(budget, unit)) for unit in UNITS}

    def share(self, budget: Cost) -> float:
        """The parts of a budget, summed: what is scarce is dear."""
        return sum(self.shares(budget).values())


def _share(used: float, there: float) -> float:
    if used <= 0:
        return 0.0
    return used / there if there else math.inf


def summed(costs: Iterable[Cost]) -> Cost:
    """Of all of them."""
    return sum(costs, Cost())
