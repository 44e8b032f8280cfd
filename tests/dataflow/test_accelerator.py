"""Folded layers and runs that skip zeros in one graph: simulated, they are the integer model."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from pipeline.codegen import rtl
from pipeline.codegen.nodes import generate
from pipeline.core.errors import UserError
from pipeline.dataflow.accelerator import (
    Accelerator,
    fold_where_possible,
    folded_accelerator,
    mixed_accelerator,
)
from pipeline.dataflow.choice import FOLDED, SKIPPING, Piece, pieces, runs
from pipeline.dataflow.integer_model import ACCUMULATOR, IntegerModel
from pipeline.dataflow.zeros.run import Arrival, Planner
from pipeline.stages.codegen import KERNELS, input_stream
from pipeline.verify.rtlsim import Simulator, Stalls, build_simulator, simulate
from pipeline.verify.rungs import read_design
from tests.dataflow.lowered import lowered, model_of, prepare

KIND = "power of two"
FRAMES = 6
INTERVAL = 512
"""Cycles of a frame of 128 positions at a quarter of a sample a clock."""
MIXES = {
    "a run at the beginning": "ss dddddd",
    "a run in the middle": "ddd sss dd",
    "the dense layers behind folded ones": "ddddddd s",
    "the folded dense layers behind a run": "sssssss d",
    "runs and folded layers by turns": "s d s d ss d s",
}
"""By piece: s skips zeros, d is folded."""


@pytest.fixture(autouse=True)
def finn(tmp_path: Path) -> None:
    prepare(tmp_path)


def planned(model: IntegerModel, arrival: Arrival) -> tuple[Planner, list[Piece]]:
    planner = Planner(model.layers, model.input, arrival)
    return planner, list(pieces(planner))


def mixed(mix: str, arrival: Arrival) -> Accelerator:
    engines = [{"s": SKIPPING, "d": FOLDED}[letter] for letter in mix.replace(" ", "")]
    planner, own = planned(model_of(KIND), arrival)
    interval = arrival.positions // arrival.group * arrival.spacing
    found = runs(planner, own, engines)
    return mixed_accelerator(lowered(KIND).graph, model_of(KIND), found, interval)


def generated(own: Accelerator, folder: Path) -> Path:
    nodes = list(generate(own.graph, model_of(KIND).layers))
    entering = input_stream(nodes, model_of(KIND))
    folder.mkdir()
    for name, content in rtl.accelerator(nodes, entering, KERNELS, b"").items():
        (folder / name).write_bytes(content)
    return folder


def require_exact(simulator: Simulator, stalls: str, seed: int, folder: Path, scratch: Path) -> int:
    """Every layer boundary of every frame; the interval."""
    model = model_of(KIND)
    rng = np.random.default_rng(seed)
    shape = (FRAMES, model.positions, model.channels)
    codes = rng.integers(model.input.low, model.input.high + 1, shape)
    scratch.mkdir()
    found = simulate(
        simulator,
        codes.reshape(FRAMES, math.prod(shape[1:])),
        stalls=Stalls.parse(stalls),
        seed=seed,
        tables=folder,
        scratch=scratch,
    )
    wanted = model.trace(codes)
    seen = set(found.values) & set(wanted)
    assert seen >= set(model.boundaries)
    assert any(name.endswith(ACCUMULATOR) for name in seen)
    for name in seen:
        assert np.array_equal(found.values[name].reshape(-1), wanted[name].reshape(-1)), name
    assert found.values["output"].reshape(-1).tolist() == wanted["label"].reshape(-1).tolist()
    return found.interval


@pytest.mark.slow
@pytest.mark.parametrize("mix", MIXES)
def test_mixed_engines_are_exact_and_keep_the_rate(mix: str, tmp_path: Path) -> None:
    """However words come and go."""
    own = mixed(MIXES[mix], Arrival(128, 1, 4))
    folder = generated(own, tmp_path / "rtl")
    simulator = build_simulator(read_design(folder), tmp_path)
    intervals = {
        stalls: require_exact(simulator, stalls, seed, folder, tmp_path / stalls)
        for seed, stalls in enumerate(["none", "random 25", "bursts", "full"])
    }
    assert own.interval == INTERVAL
    assert intervals["none"] <= 1.05 * INTERVAL


@pytest.mark.slow
def test_folded_layers_follow_a_run_that_reads_two_samples_a_clock(tmp_path: Path) -> None:
    """Of 64 cycles a frame the last layers can be folded for: they have few positions."""
    own = mixed("ssssss d d", Arrival(128, 2, 1))
    folder = generated(own, tmp_path / "rtl")
    simulator = build_simulator(read_design(folder), tmp_path)
    interval = require_exact(simulator, "none", 1, folder, tmp_path / "none")
    require_exact(simulator, "random 25", 2, folder, tmp_path / "random")
    assert own.interval == 64
    assert interval <= 1.05 * own.interval


def layers_of(own: Accelerator) -> Sequence[str]:
    return [name for name, _ in groupby(node.layer for node in own.folded)]


def test_what_is_in_no_run_is_folded_for_the_same_interval() -> None:
    own = mixed("ddd sss dd", Arrival(128, 1, 4))
    names = [layer.name for layer in model_of(KIND).layers]
    assert list(own.runs) == [3]
    assert layers_of(own) == [*names[:3], *names[6:]]
    assert max(node.cycles for node in own.folded) <= INTERVAL
    assert own.runs[3].interval == INTERVAL


def test_all_folded_is_what_folding_makes() -> None:
    own = folded_accelerator(lowered(KIND).graph, model_of(KIND), 1000)
    assert own.runs == {}
    assert own.interval == max(node.cycles for node in own.folded) <= 1000


def test_layers_that_cannot_be_folded_are_told() -> None:
    """Windows come a tap a cycle: 3 * 128 and 3 * 64 are more than 128 cycles, 3 * 32 are not."""
    assert fold_where_possible(lowered(KIND).graph, model_of(KIND), 128) == set(range(2, 10))
    with pytest.raises(UserError, match="even when fully parallel"):
        mixed("d sssssss", Arrival(128, 1, 1))
