"""When a dense engine executes its words, and whether its memory holds codes long enough."""

from __future__ import annotations

import numpy as np

from pipeline.dataflow.zeros.dense import POSITION_ARRIVES, Schedule
from pipeline.dataflow.zeros.network import PlanError

MOST_FRAMES = 1000
"""Until delays have settled."""


class Times:
    """When words are executed where positions arrive as fast as they may, from a reset on.

    Later positions never make an earlier word later, and each word's delay against its position
    is then the longest there is.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule, self.shape = schedule, schedule.shape
        starts = schedule.starts
        self.lengths = np.diff([*starts, self.shape.slots]).tolist()
        self.lags = self._settled()

    def _settled(self) -> list[int]:
        """Cycles from each position's arrival to the word that has waited for it, the longest.

        Raises PlanError where they grow from frame to frame."""
        spacing = self.schedule.spacing
        lag = max(POSITION_ARRIVES, self.schedule.frame.start + 2)
        longest = [0] * len(self.lengths)
        for _ in range(MOST_FRAMES):
            before = list(longest)
            for position, length in enumerate(self.lengths):
                longest[position] = max(longest[position], lag)
                lag = max(POSITION_ARRIVES, lag + length - spacing)
            if before == longest:
                return longest
        words = sum(self.lengths)
        raise PlanError(
            f"a frame takes {words} cycles, and positions come every {spacing}: too fast"
        )

    def after_last(self) -> int:
        """Cycles from the last position's arrival to the last value, once frames follow frames."""
        lag = max(POSITION_ARRIVES, self.schedule.frame.start + 2)
        for length in [*self.lengths * 3][:-1]:
            lag = max(POSITION_ARRIVES, lag + length - self.schedule.spacing)
        final = int(np.flatnonzero(self.schedule.value >= 0)[-1])
        return lag + final - self.schedule.starts[-1] + self.shape.leaves

    def require_memory(self) -> None:
        """Positions are written in time, and not before what they overwrite has been used."""
        self._require_written()
        self._require_undisturbed()
        self._require_kept()

    def _require_written(self) -> None:
        """A position has been written before the next one comes, although codes go first."""
        emits = self.schedule.emit[self.schedule.frame.start :].astype(np.int64)
        spacing = self.schedule.spacing
        repeated = np.tile(emits, -(-spacing // len(emits)) + 1)
        most = max(int(repeated[i : i + spacing].sum()) for i in range(len(emits)))
        if self.shape.position_words + most > spacing:
            raise PlanError(
                f"a position takes {self.shape.position_words} cycles to write, codes up to {most} "
                f"in between, and positions come every {spacing}"
            )

    def _require_undisturbed(self) -> None:
        """No codes are written while a position is whose first words are used already."""
        shape, starts = self.shape, [*self.schedule.starts, self.shape.slots]
        for emit in np.flatnonzero(self.schedule.emit).tolist():
            written = emit + shape.coded + 2
            for start in starts:
                before = emit < start <= written
                after = start < emit and written <= start + shape.position_words - 1
                if before or after:
                    raise PlanError(f"word {emit}: its codes are written in the way of a position")

    def _require_kept(self) -> None:
        """Every code of a position is read before another one takes its place."""
        shape, starts = self.shape, self.schedule.starts
        ring = shape.ring * shape.position_words * shape.groups
        if self.schedule.positions % shape.ring:
            raise PlanError(f"a frame of {self.schedule.positions} is no multiple of the ring")
        for position, start in enumerate(starts):
            own = range(start, start + self.lengths[position])
            addresses = self.schedule.addresses[own.start : own.stop]
            used = (self.schedule.weights[own.start : own.stop] != 0) & (addresses < ring)
            words = addresses // shape.groups % shape.position_words
            offsets = np.arange(len(own))[:, None] - words
            latest = int(offsets[used].max(initial=0))
            if self.lags[position] + latest >= shape.ring * self.schedule.spacing:
                raise PlanError(f"codes of position {position} are overwritten before their use")
