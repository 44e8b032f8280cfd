"""Convolutions that skip zeros, in Verilator: every layer boundary equals the integer model."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.integer_model import Codes
from pipeline.verify.compare import compare
from tests.hw.zeros_bench import HARDWARE, Bench, Shape, bench, planned, random_layers, traced

SEED = 11
FRAMES = 12
STALLED = ("random 40", "bursts", "stop", "full", "reset")


@dataclass(frozen=True)
class Case:
    """A run: its layers, input codes, and cycles between positions."""

    layers: tuple[Shape, ...]
    codes: Codes
    channels: int
    positions: int
    cycles: int


CASES = {
    "as VGG10 begins": Case((Shape(16), Shape(12), Shape(9), Shape(10)), Codes(-8, 7), 2, 48, 1),
    "as VGG10 ends": Case((Shape(12), Shape(12)), Codes(0, 15), 9, 16, 32),
    "kernel 5, pool of 3, a remainder": Case(
        (Shape(7, kernel=5, padding=2, pool=3), Shape(6, kernel=1, padding=0, pool=1)),
        Codes(0, 15),
        3,
        31,
        2,
    ),
    "no padding, no pool": Case(
        (Shape(6, padding=0, pool=1), Shape(5, padding=0, pool=1)), Codes(0, 15), 4, 20, 4
    ),
    "2 bits, 1 bit": Case(
        (Shape(8, bits=2), Shape(8, bits=1, weight_bits=2)), Codes(0, 7), 4, 32, 1
    ),
    "8 bits, signed codes": Case(
        (Shape(6, bits=8, weight_bits=8, low=-128), Shape(4, bits=6, weight_bits=5)),
        Codes(-128, 127),
        3,
        24,
        3,
    ),
    "one output, one channel": Case((Shape(1, pool=1, share=1.0),), Codes(-2, 1), 1, 12, 1),
}


def entering(case: Case) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    shape = (FRAMES, case.positions, case.channels)
    codes = rng.integers(case.codes.low, case.codes.high + 1, shape)
    codes[0] = case.codes.high  # as far as the sums go
    return codes


def built(case: Case, folder: Path, kernels: Path = HARDWARE) -> Bench:
    layers = random_layers(case.layers, case.codes, case.channels, SEED)
    plans = planned(layers, case.codes, case.positions, case.cycles)
    return bench(plans, folder, kernels)


def differences(case: Case, found: Bench, stalls: str, scratch: Path) -> dict[str, int]:
    """Mismatches of every boundary."""
    codes = entering(case)
    layers = random_layers(case.layers, case.codes, case.channels, SEED)
    simulation = found.run(codes, stalls, SEED, scratch)
    wanted = traced(layers, codes)
    return {
        name: compare(name, values, simulation.values[name].reshape(values.shape)).mismatches
        for name, values in wanted.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_every_boundary_is_the_integer_models(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    found = built(case, tmp_path)
    for stalls in ("none", *STALLED):
        assert not any(differences(case, found, stalls, tmp_path).values()), stalls


def test_frames_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    """The interval is that of the input: a position every so many cycles."""
    case = CASES["as VGG10 begins"]
    simulation = built(case, tmp_path).run(entering(case), "none", SEED, tmp_path)
    assert simulation.interval == case.positions * case.cycles


@dataclass(frozen=True)
class Fault:
    """A fault in a module, and the stalls under which it has to show."""

    module: str
    old: str
    new: str
    stalls: str = "none"


FAULTS = (
    Fault("position_pacer", "flush_q != '0 && begins_frame", "flush_q != '0", "random 70"),
    Fault("position_pacer", "frame_q ^ !begins_frame : frame_o", "frame_q : frame_o"),
    Fault("position_pacer", "!full_q || free", "1'b1", "random 40"),
    Fault("serial_window", "inside_q[k] ? shown[k] : {Channels{pad}}", "shown[k]"),
    Fault("serial_window", "last_phase ? shown[k-1] : digits_q[0]", "shown[k-1]"),
    Fault("digit_accumulator", "'0 : y << Digit", "'0 : y"),
    Fault("row_serializer", "32'(phase_i) * Digits", "32'(phase_i)"),
    Fault("requantizer", "total_q >>> Shift", "total_q >> Shift"),
    Fault("position_pool", "(last_place || last_evaluation)", "last_place"),
    Fault("position_pool", "place_q != '0 && ", ""),
    Fault("frame_credit", "in_q != '0 || inside_q != CreditBits'(Credits)", "1'b1", "full"),
)
FAULTY = Case(
    (
        Shape(6, kernel=5, padding=2, pool=3),
        Shape(8, pool=5),
        Shape(4, pool=1),
    ),
    Codes(-8, 7),
    4,
    36,
    2,
)
"""A run with everything in it: signed codes, phases, two positions to flush, a remainder."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.module}: {fault.new}")
def test_a_planted_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    kernels = tmp_path / "kernels"
    shutil.copytree(HARDWARE, kernels)
    file = kernels / f"{fault.module}.sv"
    assert file.read_text().count(fault.old) == 1
    file.write_text(file.read_text().replace(fault.old, fault.new))
    (tmp_path / "run").mkdir()
    found = built(FAULTY, tmp_path / "run", kernels)
    try:
        differing = differences(FAULTY, found, fault.stalls, tmp_path)
    except VerificationFailed:
        return
    assert any(differing.values())


def test_the_run_that_faults_are_planted_in_is_right(tmp_path: Path) -> None:
    found = built(FAULTY, tmp_path)
    for stalls in ("none", *STALLED):
        assert not any(differences(FAULTY, found, stalls, tmp_path).values()), stalls
