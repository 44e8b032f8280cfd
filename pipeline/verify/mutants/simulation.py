"""A generated folder, simulated with some tables and compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.verify.compare import LayerResult
from pipeline.verify.cppsim import CppSimulator, simulate_cpp
from pipeline.verify.mutants.targets import Targets
from pipeline.verify.rtlsim import Design, Simulator, Stalls, simulate
from pipeline.verify.rungs import read_design, streams_of

RunWith = Callable[[Path, Path], Sequence[LayerResult]]
"""Compares all streams, with a folder of tables, in an empty folder."""

STALLS = Stalls("random", 40)
"""Under which RTL is simulated: some faults show only where a stream is held back."""


QUICKLY = ("-CFLAGS", "-O0")
"""Of Verilator: a design that is simulated once takes longer to build than to run."""


def cpp_run(targets: Targets, simulator: CppSimulator) -> RunWith:
    def run(tables: Path, scratch: Path) -> Sequence[LayerResult]:
        place = scratch / "run"
        place.mkdir()
        codes = targets.subject.codes
        return targets.hardware(simulate_cpp(simulator, codes, tables=tables, scratch=place))

    return run


def faulty_design(folder: Path) -> Design:
    """A folder with a fault in it."""
    return replace(read_design(folder), flags=QUICKLY)


def rtl_run(targets: Targets, simulator: Simulator, stalls: Stalls = STALLS) -> RunWith:
    def run(tables: Path, scratch: Path) -> Sequence[LayerResult]:
        place = scratch / "run"
        place.mkdir()
        codes = targets.subject.codes
        simulation = simulate(
            simulator,
            codes.reshape(len(codes), math.prod(codes.shape[1:])),
            stalls=stalls,
            seed=targets.seed,
            tables=tables,
            scratch=place,
        )
        names = streams_of(targets.model, simulator.design)
        return targets.compared(names, simulation.values)

    return run
