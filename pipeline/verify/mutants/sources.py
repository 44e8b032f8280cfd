"""Faults in copies of the sources, whose programs are built anew."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.verify.compare import LayerResult
from pipeline.verify.cppsim import build_cpp_simulator
from pipeline.verify.mutants.faults import TIE, SourceFault
from pipeline.verify.mutants.runs import write
from pipeline.verify.mutants.simulation import cpp_run, faulty_design, rtl_run
from pipeline.verify.mutants.targets import Targets
from pipeline.verify.mutation import Mutant
from pipeline.verify.rtlsim import Stalls, build_simulator, hesitant


def of_source(rung: str, targets: Targets, fault: SourceFault) -> Iterator[Mutant]:
    """A fault in a copy of the folder, whose program is built anew.

    That of the sources as they were has been built before: a stale one would show nothing.
    """
    origin = targets.hls if rung == "cppsim" else targets.rtl
    if not is_there(fault, origin):
        return  # the network has no such part
    assert re.search(fault.old, (origin / fault.file).read_text()), f"{fault.file}: {fault.old}"
    tied = fault.kind == TIE
    targets = targets.tied() if tied else targets

    def run(scratch: Path) -> Sequence[LayerResult]:
        folder = (_tied if tied else _copied)(targets, origin, scratch / "sources")
        path = folder / fault.file
        path.write_text(re.sub(fault.old, fault.new, path.read_text(), count=1))
        if rung == "cppsim":
            built = build_cpp_simulator(folder, targets.programs, ("-O1",))
            return cpp_run(targets, built)(folder, scratch)
        design = faulty_design(folder)
        if fault.kind == "handshake":  # deep FIFOs would hide it
            design = hesitant(design)
        simulator = build_simulator(design, targets.programs)
        return rtl_run(targets, simulator, Stalls.parse(fault.stalls))(folder, scratch)

    where = tuple(name for part in fault.where for name in targets.streams_called(part))
    yield Mutant(rung, fault.kind, f"{fault.file}: {fault.old} -> {fault.new}", where, run)


def is_there(fault: SourceFault, folder: Path) -> bool:
    """Whether a generated folder has what the fault changes, and uses it."""
    if not (folder / fault.file).is_file():
        return False
    runs = (path.read_text() for path in folder.glob("ZeroSkipping_rtl_*.sv"))
    return not fault.needs or any(re.search(fault.needs, text) for text in runs)


def _copied(_: Targets, origin: Path, folder: Path) -> Path:
    return shutil.copytree(origin, folder)


def _tied(targets: Targets, origin: Path, folder: Path) -> Path:
    """The design of the model all of whose logits are equal."""
    last = len(targets.model.layers) - 1
    if origin == targets.rtl and last not in targets.folded:
        return write(targets.runs.design(targets.model), folder)
    shutil.copytree(origin, folder)
    weights = (
        f"layer{last}_weights.inc",
        f"DenseMVAU_rtl_{len(targets.folded) - 1}_weights.mem",
    )
    biases = (f"layer{last}_bias.inc", "BiasAdd_rtl_0_bias.mem")
    for path in (folder / name for name in weights if (folder / name).exists()):
        path.write_text(re.sub(r"-?[0-9a-f]+", lambda x: "0" * len(x[0]), path.read_text()))
    for path in (folder / name for name in biases if (folder / name).exists()):
        first = re.search(r"-?[0-9a-f]+", path.read_text())
        assert first is not None
        path.write_text(re.sub(r"-?[0-9a-f]+", first[0], path.read_text()))
    return folder
