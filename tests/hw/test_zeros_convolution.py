"""Convolutions that skip zeros, in Verilator: every layer boundary equals the integer model."""

from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.config import load_config
from pipeline.core.tools import ToolError
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.dataflow.zeros.run import Run
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.freezing import float64_codes, freeze_chain
from pipeline.network.source import load_network
from tests.conftest import ROOT
from tests.hw.zeros_bank import Bank, Events, Fault, Output, build_bank
from tests.hw.zeros_cases import Case, Shape, planned, traced

SEED = 11
FRAMES = 10
STALLS = ("none", "random 40", "random 70", "bursts", "stop", "full", "reset")
LONG = 3000
"""Cycles in which everything comes to rest."""

CASES = {
    "as VGG10 begins": Case(
        (Shape(9), Shape(7, bent=0.3), Shape(6), Shape(5)), Codes(-8, 7), 2, 48, 1
    ),
    "as VGG10 ends": Case((Shape(7), Shape(6, bent=0.5)), Codes(0, 15), 5, 16, 32),
    "kernel 5, pool of 3, a remainder": Case(
        (Shape(5, kernel=5, padding=2, pool=3), Shape(4, kernel=1, padding=0, pool=1)),
        Codes(0, 15),
        3,
        31,
        2,
    ),
    "no padding, no pool": Case(
        (Shape(5, padding=0, pool=1), Shape(4, padding=0, pool=1)), Codes(0, 15), 3, 20, 4
    ),
    "2 bits, 1 bit": Case(
        (Shape(6, bits=2, bent=0.2), Shape(5, bits=1, weight_bits=2, bent=0.3)),
        Codes(0, 7),
        4,
        32,
        1,
    ),
    "8 bits, signed codes": Case(
        (
            Shape(4, bits=8, weight_bits=8, low=-128, bent=0.5),
            Shape(3, bits=6, weight_bits=5, bent=1.0),
        ),
        Codes(-128, 127),
        3,
        24,
        3,
    ),
    "one output, one channel": Case((Shape(1, pool=1, share=1.0),), Codes(-2, 1), 1, 12, 1),
    "two samples a clock": Case(
        (Shape(5), Shape(4, bent=0.4), Shape(3)), Codes(-8, 7), 2, 48, 1, 2
    ),
    "pairs handed on": Case(
        (Shape(3, pool=1), Shape(4), Shape(3, kernel=5, padding=2, pool=3)),
        Codes(0, 15),
        3,
        48,
        1,
        2,
    ),
    "four samples in two clocks": Case(
        (Shape(3, kernel=5, padding=2, bent=0.3), Shape(4), Shape(3)), Codes(0, 15), 2, 48, 2, 4
    ),
    "three samples a clock": Case((Shape(4, pool=3), Shape(3)), Codes(0, 15), 2, 36, 1, 3),
}

FAULTY = Case(
    (Shape(3, kernel=5, padding=2, pool=3), Shape(4, pool=5, bent=0.3), Shape(3, pool=1)),
    Codes(-8, 7),
    2,
    36,
    2,
)
"""A run with everything in it: signed codes, phases, two positions to flush, a remainder."""
PAIRS = Case((Shape(4), Shape(3)), Codes(-8, 7), 2, 24, 1, 2)
THREES = Case((Shape(4, pool=3),), Codes(-8, 7), 2, 24, 1, 3)

PLANTED = {
    "a frame's padding in the next": (
        FAULTY,
        Fault("position_pacer", "flush_q != '0 && begins_frame", "flush_q != '0"),
        "random 70",
    ),
    "padding of the wrong frame": (
        FAULTY,
        Fault("position_pacer", "frame_q ^ !begins_frame : frame_o", "frame_q : frame_o"),
        "none",
    ),
    "a position is overrun": (
        FAULTY,
        Fault("position_pacer", "!full_q || free", "1'b1"),
        "random 40",
    ),
    "no padding": (
        FAULTY,
        Fault("serial_window", "inside_q[k] ? shown[k] : {Channels{pad}}", "shown[k]"),
        "none",
    ),
    "taps move on in every phase": (
        FAULTY,
        Fault("serial_window", "active_q && last_phase;", "active_q;"),
        "none",
    ),
    "taps stand still": (
        FAULTY,
        Fault("serial_window", "? '0 : digit_d)", "? '0 : '0)"),
        "none",
    ),
    "rows of the next evaluation": (
        FAULTY,
        Fault("row_serializer", "if (take_i) rows_q <=", "rows_q <="),
        "none",
    ),
    "digits weigh the same": (
        FAULTY,
        Fault("digit_accumulator", "'0 : y << Digit", "'0 : y"),
        "none",
    ),
    "slots of the first phase": (
        FAULTY,
        Fault("row_serializer", "32'(phase_i) * Digits", "32'(phase_i)"),
        "none",
    ),
    "codes below zero": (
        FAULTY,
        Fault("requantizer", "total_q >>> Shift", "total_q >> Shift"),
        "none",
    ),
    "a threshold is met too late": (
        FAULTY,
        Fault("threshold_search", "x1_q >= threshold_q", "x1_q > threshold_q"),
        "none",
    ),
    "a remainder stays": (
        FAULTY,
        Fault("position_pool", "(last_place || last_evaluation)", "last_place"),
        "none",
    ),
    "the pool before stays": (FAULTY, Fault("position_pool", "place_q != '0 && ", ""), "none"),
    "frames without room": (
        FAULTY,
        Fault("frame_credit", "in_q != '0 || inside_q != CreditBits'(Credits)", "1'b1"),
        "full",
    ),
    "the smaller sum": (
        PAIRS,
        Fault("row_maximum", "(level[s][2*w] > level", "(level[s][2*w] < level"),
        "none",
    ),
    "two of three sums": (
        THREES,
        Fault("row_maximum", "level[s+1][w] <= level[s][2*w];", "level[s+1][w] <= '0;"),
        "none",
    ),
    "a reset leaves a frame's parity and padding": (
        FAULTY,
        Fault("position_pacer", "      flush_q <= '0;\n", ""),
        "reset",
    ),
    "a reset leaves the pool's place": (
        FAULTY,
        Fault("position_pool", "      place_q <= '0;\n      count_q", "      count_q"),
        "reset",
    ),
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    runs = [case.run() for case in (*CASES.values(), FAULTY, PAIRS, THREES)]
    faults = [(case.run(), fault) for case, fault, _ in PLANTED.values()]
    return build_bank(tmp_path_factory.mktemp("runs"), runs, faults)


# --- what is done to the ends -------------------------------------------------------------------


def gaps(kind: str) -> Iterator[int]:
    """Idle cycles before each beat."""
    rng = np.random.default_rng(SEED)
    name, _, percent = kind.partition(" ")
    for beat in count():
        if name == "random":
            yield int(rng.geometric(1 - int(percent) / 100)) - 1
        elif name == "bursts":
            yield int(rng.integers(1, 400)) if rng.random() < 0.03 else 0
        elif name == "stop":
            yield 1000 if rng.random() < 0.01 else 0
        elif name == "full":
            yield LONG if beat % 270 == 269 else 0  # more than there is room for
        else:
            yield 0


def ready(kind: str, cycles: int) -> list[int]:
    """How long the output is taken and not taken by turns, for about so many cycles."""
    rng = np.random.default_rng(SEED + 1)
    name, _, percent = kind.partition(" ")
    found: list[int] = []
    while sum(found) < cycles:
        if name == "random":
            held = int(percent) / 100
            found += [int(rng.geometric(held)), int(rng.geometric(1 - held))]
        elif name == "bursts":
            found += rng.integers(1, 400, 2).tolist()
        elif name == "stop":
            found += [int(rng.integers(1, 2000)), 1000]
        elif name == "full":
            found += [0 if not found else cycles // 3, LONG]
        else:
            break
    return found


def sent(case: Case, codes: np.ndarray, kind: str) -> Events:
    events = Events(ready=ready(kind, len(codes) * case.interval))
    if kind == "reset":
        rng = np.random.default_rng(SEED)
        beats = case.positions // case.group
        for _ in range(3):
            whole = Events()
            whole.beats(case.run(), codes, repeat(0))
            events.lines += whole.lines[: int(rng.integers(1, 3 * beats))]
            events.reset(int(rng.integers(1, 5)))
    events.beats(case.run(), codes, gaps(kind))
    return events


def differences(run: Run, codes: np.ndarray, outputs: list[Output]) -> list[str]:
    """The boundaries that are not as they should be: the last output is whole, and of those that a
    reset ended the end is missing."""
    wanted = {name: values.ravel() for name, values in traced(run.layers, codes).items()}
    wanted["out"] = wanted[run.layers[-1].boundary]
    found = []
    for output in outputs:
        for name, values in wanted.items():
            own = output.values[name]
            length = len(values) if output is outputs[-1] else len(own)
            if not np.array_equal(own, values[:length]):
                found.append(name)
    return found


@pytest.mark.parametrize("stalls", STALLS)
@pytest.mark.parametrize("name", CASES)
def test_every_boundary_is_the_integer_models(bank: Bank, name: str, stalls: str) -> None:
    case = CASES[name]
    codes = case.entering(FRAMES)
    outputs = bank.run(list(CASES).index(name), sent(case, codes, stalls))
    assert len(outputs) == (4 if stalls == "reset" else 1)
    assert not differences(case.run(), codes, outputs)


@pytest.mark.parametrize("name", CASES)
def test_frames_may_be_any_time_apart(bank: Bank, name: str) -> None:
    """From none to two evaluations of the slowest layer, and so long that all comes to rest."""
    case = CASES[name]
    waits = [*range(2 * case.slowest + 2), LONG, 0, LONG]
    codes = case.entering(len(waits) + 1)
    within = [0] * (case.positions // case.group - 1)
    events = Events()
    events.beats(case.run(), codes, iter([gap for wait in (0, *waits) for gap in (wait, *within)]))
    assert not differences(case.run(), codes, bank.run(list(CASES).index(name), events))


@pytest.mark.parametrize("name", CASES)
def test_frames_follow_each_other_without_a_gap(bank: Bank, name: str) -> None:
    """The interval is that of the input: a beat every so many cycles."""
    case = CASES[name]
    (output,) = bank.run(list(CASES).index(name), sent(case, case.entering(FRAMES), "none"))
    ends = output.left.reshape(FRAMES, -1)[:, -1]
    assert np.diff(ends[FRAMES // 2 :]).tolist() == [case.interval] * (FRAMES - FRAMES // 2 - 1)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(bank: Bank, name: str) -> None:
    case, _, stalls = PLANTED[name]
    codes = case.entering(FRAMES)
    number = len(CASES) + 3 + list(PLANTED).index(name)
    try:
        outputs = bank.run(number, sent(case, codes, stalls))
    except ToolError:
        return  # a beat was never taken
    assert differences(case.run(), codes, outputs)


@pytest.mark.parametrize("stalls", STALLS)
def test_the_runs_that_faults_are_planted_in_are_right(bank: Bank, stalls: str) -> None:
    for place, case in enumerate((FAULTY, PAIRS, THREES)):
        codes = case.entering(FRAMES)
        outputs = bank.run(len(CASES) + place, sent(case, codes, stalls))
        assert not differences(case.run(), codes, outputs)


# --- a network of others --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eight_bits(networks: Path) -> IntegerModel:
    """The published network of eight bits."""
    config = load_config(ROOT / "models" / "published_w8a8")
    network = load_network(config, networks / "itu_baseline_vgg10_w8a8.pth")
    return freeze_chain(read_brevitas(network, 1024), float64_codes).model


@pytest.mark.slow
def test_most_channels_of_eight_bits_are_no_lines(eight_bits: IntegerModel) -> None:
    run = planned(eight_bits.layers[:7], eight_bits.input, 1024, 8)
    found = [(plan.quantizer.lines, plan.quantizer.compared) for plan in run.convolutions]
    assert [lines + compared for lines, compared in found] == [64] * 7
    assert found[0] == (32, 32), "both kinds fill whole lanes"


@pytest.mark.slow
def test_eight_bits_at_an_eighth_of_a_sample_a_clock(
    eight_bits: IntegerModel, tmp_path: Path
) -> None:
    """The first two convolutions."""
    run = planned(eight_bits.layers[:2], eight_bits.input, 64, 8)
    amplitudes = np.random.default_rng(SEED).integers(1, 128, 6)[:, None, None]
    codes = np.random.default_rng(SEED).integers(-amplitudes, amplitudes, (6, 64, 2))
    codes[0] = eight_bits.input.low
    events = Events()
    events.beats(run, codes, gaps("random 40"))
    bank = build_bank(tmp_path, [run])
    assert not differences(run, codes, bank.run(0, events))
