"""The dense layers' engine in Verilator against integer arithmetic, value by value."""

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataflow.zeros.dense_check import check
from tests.dataflow.zeros.dense_cases import CASES, Case
from tests.hw.sparse_bench import Bank, Events, Fault, Output, build_bank, synthesised

pytestmark = pytest.mark.slow

SEED = 3
NAMES = list(CASES)
FAULTS = {
    "an accumulator is not cleared": Fault(
        "sparse_unit", "if (clear_i) sum_q <= '0;\n    else ", ""
    ),
    "a negative weight is taken for a positive one": Fault(
        "sparse_unit", "{AccBits{sign3_q}} ^ ", ""
    ),
    "a word waits for nothing": Fault(
        "sparse_sequencer", "wait_q && count_q == '0", "1'b0 && count_q == '0"
    ),
    "arrived positions are forgotten": Fault(
        "sparse_sequencer",
        "if (arrived_i && !take) count_q <= count_q + 1'b1;",
        "if (arrived_i) count_q <= 1'b1;",
    ),
    "what a reset ended goes on": Fault(
        "sparse_sequencer", "if (!rst_n || !read_valid_q)", "if (1'b0)"
    ),
    "a reset leaves the row": Fault(
        "sparse_engine", "if (!rst_n) row_q <= '0;\n      else if (next)", "if (next)"
    ),
    "a reset leaves the value's number": Fault(
        "sparse_engine",
        "if (!rst_n) count_q <= '0;\n    else if (value[Taken])",
        "if (value[Taken])",
    ),
    "a reset leaves a position": Fault(
        "position_writer", "busy_q    <= 1'b0;\n      first_q", "first_q"
    ),
    "codes and positions are written at once": Fault(
        "position_writer", "busy_q && !hold_i", "busy_q"
    ),
    "codes are written a cycle late": Fault(
        "sparse_engine", "Coded  = Summed + Quantizer", "Coded  = Summed + Quantizer + 1"
    ),
    "too large codes wrap": Fault("scaled_quantizer", ": beyond ? '1 ", ""),
    "a position begins too early": Fault("position_writer", "write_o && first_q", "valid_i"),
    "a sum misses a unit": Fault(
        "accumulator_sum", "if (3 * i + k < left", "if (3 * i + k + 1 < left"
    ),
}
SEARCH_FAULTS = {
    "a threshold is met too late": Fault(
        "threshold_search", "x1_q >= threshold_q", "x1_q > threshold_q"
    ),
    "a row's thresholds for another": Fault(
        "threshold_search", "row2_q      <= row1_q", "row2_q <= row_i"
    ),
}
PLANTED = [
    *(("small", fault) for fault in FAULTS.values()),
    *(("codes by search", fault) for fault in SEARCH_FAULTS.values()),
]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    folder = tmp_path_factory.mktemp("engines")
    schedules = [CASES[name].schedule() for name in NAMES]
    return build_bank(folder, schedules, [(CASES[n].schedule(), fault) for n, fault in PLANTED])


def gaps(kind: str, seed: int) -> Iterator[int]:
    """Idle cycles beyond the least ones, position by position."""
    rng = np.random.default_rng(seed)
    if kind == "none":
        yield from repeat(0)
    while True:
        short, long = int(rng.integers(0, 4)), int(rng.integers(0, 400))
        yield {"short": short, "any": rng.choice([0, short, long]), "long": 1000}[kind]


def expected_hidden(case: Case, codes: np.ndarray) -> np.ndarray:
    """Words of codes (words, groups) as they are written, -1 where a group writes nothing."""
    layers = case.made()[:-1]
    outputs = []
    for layer in layers:
        codes = layer.quantized(layer.accumulators(codes))
        outputs.append(codes[:, 0] - layer.output.low)
    rows = [
        [
            outputs[row.layer][:, o] if o is not None else np.full(len(codes), -1)
            for o in row.outputs
        ]
        for row in case.schedule().rows
    ]
    words = np.array(rows, np.int64).reshape(len(rows), case.groups, len(codes))
    return words.transpose(2, 0, 1).reshape(-1, case.groups)


def expected_values(case: Case, codes: np.ndarray) -> np.ndarray:
    layers = case.made()
    for layer in layers:
        codes = layer.quantized(layer.accumulators(codes))
    low = layers[-1].output.low if layers[-1].thresholds is not None else 0
    return codes[:, 0] - low


def differences(case: Case, codes: np.ndarray, output: Output, *, whole: bool = True) -> list[str]:
    """What of the output is not as it should be for these frames; of `whole` ones nothing may be
    missing, of others the end may."""
    values, hidden = expected_values(case, codes), expected_hidden(case, codes)
    last = np.arange(values.size) % values.shape[1] == values.shape[1] - 1
    count, words = (values.size, len(hidden)) if whole else (len(output.values), len(output.hidden))
    found = []
    if output.values.tolist() != values.ravel()[:count].tolist():
        found.append("values")
    if output.last.tolist() != last[:count].tolist():
        found.append("last")
    hidden = hidden[:words]
    if len(output.hidden) != len(hidden) or ((hidden >= 0) & (output.hidden != hidden)).any():
        found.append("hidden")
    return found


def steady(case: Case, codes: np.ndarray, kind: str) -> Events:
    events = Events()
    events.frames(case.schedule(), codes - case.entering.low, gaps(kind, SEED))
    events.wait(2000)
    return events


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["none", "short", "any", "long"])
def test_every_value_and_every_hidden_code(bank: Bank, name: str, kind: str) -> None:
    print(f"gaps {kind}, seed {SEED}")
    case, number = CASES[name], NAMES.index(name)
    codes = case.frames(40, SEED)
    (output,) = bank.run(number, steady(case, codes, kind))
    assert not differences(case, codes, output)


@pytest.mark.parametrize("name", NAMES)
def test_time_is_as_the_schedule_says(bank: Bank, name: str) -> None:
    case = CASES[name]
    (output,) = bank.run(NAMES.index(name), steady(case, case.frames(9), "none"))
    report = check(case.schedule(), case.problem().layers)
    arrived = output.position_cycles.reshape(9, -1)[:, -1]
    left = output.value_cycles.reshape(9, -1)[:, -1]
    assert (left - arrived)[3:].tolist() == [report.after_last] * 6


def after_resets(bank: Bank, number: int, case: Case, seed: int) -> list[str]:
    """What differs where resets come at any moment of frames 0 .. 2, all of which begin after each,
    and then in whole frames after the last of them."""
    print(f"seed {seed}")
    rng, events, schedule = np.random.default_rng(seed), Events(), case.schedule()
    codes = case.frames(3, seed)
    positions = (codes - case.entering.low).reshape(-1, 1, case.channels)
    for _ in range(40):
        begun = positions[: int(rng.integers(1, len(positions)))]
        events.frames(schedule, begun, gaps("short", int(rng.integers(1000))))
        end = rng.choice([schedule.shape.position_words, schedule.spacing, schedule.shape.slots])
        events.reset(int(rng.integers(0, end)), int(rng.integers(1, 5)))
    events.frames(schedule, positions, gaps("none", seed))
    events.wait(2000)
    *broken, output = bank.run(number, events, seed)
    found = [x for part in broken for x in differences(case, codes, part, whole=False)]
    return found + differences(case, codes, output)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_reset_at_any_moment_leaves_nothing_behind(bank: Bank, name: str, seed: int) -> None:
    assert not after_resets(bank, NAMES.index(name), CASES[name], seed)


@pytest.mark.parametrize("index", range(len(PLANTED)), ids=[*FAULTS, *SEARCH_FAULTS])
def test_a_planted_fault_is_noticed(bank: Bank, index: int) -> None:
    case, number = CASES[PLANTED[index][0]], len(NAMES) + index
    codes = case.frames(40, SEED)
    for kind in ("none", "any"):
        (output,) = bank.run(number, steady(case, codes, kind))
        if differences(case, codes, output):
            return
    assert any(after_resets(bank, number, case, seed) for seed in (1, 2))


def test_yosys_reads_the_same_circuit(tmp_path: Path) -> None:
    cases = [CASES["small"], CASES["codes by search"]]
    bank = synthesised(tmp_path, [case.schedule() for case in cases])
    for number, case in enumerate(cases):
        codes = case.frames(40, SEED)
        (output,) = bank.run(number, steady(case, codes, "any"))
        assert not differences(case, codes, output)
        assert not after_resets(bank, number, case, SEED)
