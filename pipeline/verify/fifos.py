"""How much room FIFOs need, found by simulation.

Frames enter back to back, their words spread evenly at the rate that the operators can keep: at a
higher one the FIFOs in front of the slowest operator would fill, however deep they were.  Operators
wait for words and never for time, so a design whose FIFOs have the room that such a run takes gets
as far in every cycle, also when its input offers words without a pause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.fifos import LEAST, Fifo
from pipeline.verify.rtlsim import Simulation, Stalls

TOLERANCE = 0.05
"""How far a measured interval may be from the predicted one."""

Simulate = Callable[[Mapping[str, int], Stalls], Simulation]
"""Some frames through the design in which the FIFOs have these depths."""


@dataclass(frozen=True)
class Sizes:
    """most: words that each deep FIFO held; depths: chosen; intervals, in cycles, of the design
    with deep FIFOs and with the chosen ones."""

    most: Mapping[str, int]
    depths: Mapping[str, int]
    deep_interval: int
    interval: int


def find_sizes(fifos: tuple[Fifo, ...], predicted: int, simulate: Simulate) -> Sizes:
    """Raises VerificationFailed where the interval is not as predicted, with deep FIFOs or with
    those chosen."""
    deep = deep_depths(fifos)
    free = simulate(deep, Stalls())
    require_predicted(free.interval, predicted, "with FIFOs of a frame")
    paced = simulate(deep, Stalls("paced", cycles=max(free.interval, predicted)))
    most = {fifo.name: paced.room[fifo.name] for fifo in fifos}
    depths = {name: max(words, LEAST) for name, words in most.items()}
    sized = simulate(depths, Stalls())
    require_predicted(sized.interval, predicted, "with the FIFOs that were chosen")
    return Sizes(most, depths, free.interval, sized.interval)


def deep_depths(fifos: tuple[Fifo, ...]) -> dict[str, int]:
    """Room for all words of a frame: none holds more at an even rate."""
    return {fifo.name: max(fifo.words, fifo.depth) for fifo in fifos}


def require_predicted(interval: int, predicted: int, design: str) -> None:
    """Raises VerificationFailed where the two differ by more than TOLERANCE."""
    if abs(interval - predicted) > TOLERANCE * predicted:
        raise VerificationFailed(
            f"{design} a frame takes {interval} cycles, more than {TOLERANCE:.0%} from the "
            f'{predicted} that fold predicts; hardware.fifos = "fixed" keeps the FIFOs as they are'
        )
