"""A generated folder, simulated with some tables and compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.verify.compare import LayerResult
from pipeline.verify.cppsim import CppSimulator, simulate_cpp
from pipeline.verify.mutants.targets import Targets
from pipeline.verify.rtlsim import Simulator, Stalls, simulate

RunWith = Callable[[Path, Path], Sequence[LayerResult]]
"""Compares all streams, with a folder of tables, in an empty folder."""

STALLS = Stalls("random", 40)
"""Under which RTL is simulated: some faults show only where a stream is held back."""


def cpp_run(targets: Targets, simulator: CppSimulator) -> RunWith:
    def run(tables: Path, scratch: Path) -> Sequence[LayerResult]:
        place = scratch / "run"
        place.mkdir()
        codes = targets.subject.codes
        return targets.hardware(simulate_cpp(simulator, codes, tables=tables, scratch=place))

    return run


def rtl_run(targets: Targets, simulator: Simulator) -> RunWith:
    def run(tables: Path, scratch: Path) -> Sequence[LayerResult]:
        place = scratch / "run"
        place.mkdir()
        codes = targets.subject.codes
        simulation = simulate(
            simulator,
            codes.reshape(len(codes), math.prod(codes.shape[1:])),
            stalls=STALLS,
            seed=targets.seed,
            tables=tables,
            scratch=place,
        )
        return targets.hardware(simulation.values)

    return run
