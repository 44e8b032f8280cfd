"""Faults in the C++ and in the RTL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.codegen import hls
from pipeline.verify.compare import LayerResult
from pipeline.verify.cppsim import build_cpp_simulator
from pipeline.verify.mutants.faults import CPP_FAULTS, RTL_FAULTS
from pipeline.verify.mutants.run_faults import RUN_FAULTS
from pipeline.verify.mutants.runs import write
from pipeline.verify.mutants.simulation import cpp_run, faulty_design, rtl_run
from pipeline.verify.mutants.sources import of_source
from pipeline.verify.mutants.tables import broken_tables, changed_table, of_no_frames, tampered
from pipeline.verify.mutants.targets import Targets
from pipeline.verify.mutation import REFUSED, Change, Mutant
from pipeline.verify.rtlsim import build_simulator
from pipeline.verify.rungs import read_design


def of_cppsim(targets: Targets) -> Iterator[Mutant]:
    """Single integers in tables, tables that are broken, and faults in the sources."""
    simulator = build_cpp_simulator(targets.hls, targets.programs)
    run = cpp_run(targets, simulator)
    for change, argument in targets.changes():
        changed = hls.tables(change.applied(targets.model), targets.foldings)
        name = f"layer{change.layer}_{change.array}.inc"
        plant = tampered(targets.hls, {name: changed[name]}, run)
        where, what = (*change.seen_at(targets.model), REFUSED), change.describe(targets.model)
        yield Mutant("cppsim", change.array, what, where, plant, argument)
    yield from broken_tables("cppsim", targets.hls, run)
    nothing = cpp_run(targets.without_frames(), simulator)
    yield of_no_frames("cppsim", targets.hls, nothing)
    for fault in CPP_FAULTS if targets.sources else ():
        yield from of_source("cppsim", targets, fault)


def of_rtlsim(targets: Targets) -> Iterator[Mutant]:
    """The same for the RTL."""
    simulator = build_simulator(read_design(targets.rtl), targets.programs)
    run = rtl_run(targets, simulator)
    for change, argument in targets.changes():
        if change.layer not in targets.folded:
            yield _of_run(targets, change)
            continue
        name, text = changed_table(targets.rtl, change, targets.model, targets.folded)
        where, what = change.seen_at(targets.model), change.describe(targets.model)
        plant = tampered(targets.rtl, {name: text}, run)
        yield Mutant("rtlsim", change.array, what, where, plant, argument)
    yield from broken_tables("rtlsim", targets.rtl, run)
    nothing = rtl_run(targets.without_frames(), simulator)
    yield of_no_frames("rtlsim", targets.rtl, nothing)
    for fault in (*RTL_FAULTS, *RUN_FAULTS) if targets.sources else ():
        yield from of_source("rtlsim", targets, fault)


def _of_run(targets: Targets, change: Change) -> Mutant:
    """A changed integer of a layer that skips zeros, whose design is generated anew.

    It has to be seen where the integer model with it first has other codes: a run shows no
    accumulators.
    """
    changed = change.applied(targets.model)
    where = targets.first_boundary(changed)

    def run(scratch: Path) -> Sequence[LayerResult]:
        folder = write(targets.runs.design(changed), scratch / "sources")
        simulator = build_simulator(faulty_design(folder), targets.programs)
        return rtl_run(targets, simulator)(folder, scratch)

    def argument() -> str:
        return "" if where else "the integer model with it has the same codes in all frames"

    return Mutant("rtlsim", change.array, change.describe(targets.model), where, run, argument)
