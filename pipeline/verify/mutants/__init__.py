"""The faults that mutation runs plant, rung by rung.

Data are changed at random places, one integer a mutant; structure by a list of faults that
hardware engineers make.  Tables are read when simulations start, so a changed one needs no build;
a changed source does.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.verify.mutants.hardware import of_cppsim, of_rtlsim
from pipeline.verify.mutants.software import of_finn, of_pytorch, of_qonnx
from pipeline.verify.mutants.targets import Targets
from pipeline.verify.mutation import Mutant


def mutants(targets: Targets) -> Iterator[Mutant]:
    """All of them, rung by rung."""
    for rung in (of_pytorch, of_qonnx, of_finn, of_cppsim, of_rtlsim):
        yield from rung(targets)
