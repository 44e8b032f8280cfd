"""Verify at the command line: all rungs equal, a fault in one is located, and can be had again."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.core import cli
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.runner import Build
from pipeline.dataflow import integer_model
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.radio.radioml import split_frames
from pipeline.stages import verification
from pipeline.verify import pytorch, qonnx, rungs
from pipeline.verify.rtlsim import Simulation
from pipeline.verify.stimulus import stimulus
from tests.radio.noise_set import write_noise_set
from tests.small import ship_small

pytestmark = pytest.mark.slow

RUNGS = ["pytorch", "qonnx", "finn", "cppsim", "rtlsim"]
FRAMES, FIRST, SEED = 36, 2, 3
"""More frames than are compared at once, not from number 0 on, not of the default seed."""
QUICK = ["verify.stalls=none, random 30", f"verify.seed={SEED}"]
SETTINGS = [f"verify.frames={FRAMES}", f"verify.first={FIRST}", *QUICK]


@dataclass(frozen=True)
class Project:
    """A project with one model."""

    root: Path
    name: str

    def run(self, stage: str, *settings: str) -> int:
        """Run a stage anew; its exit code."""
        model = str(self.root / "models" / self.name)
        given = ["--set", *settings] if settings else []
        return self.again([stage, "--force", "--model", model, *given])

    def again(self, words: list[str]) -> int:
        """The command line in this project."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout.isatty", lambda: False)
            patch.setattr(cli, "Build", partial(Build, root=self.root))
            patch.setattr(verification, "PROJECT_ROOT", self.root)
            return cli.main(words)

    def report(self, stage: str) -> Any:
        """The report of a stage, whether it passed or failed."""
        folder = self.root / "build" / self.name
        (file,) = [*folder.glob(f"{stage}/report.json"), *folder.glob(f"{stage}.failed/*.json")]
        return json.loads(file.read_text())

    @property
    def model(self) -> IntegerModel:
        return integer_model.load(self.root / "build" / self.name / "freeze" / "integer_model.npz")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small network, verified once."""
    root = tmp_path_factory.mktemp("project")
    ship_small(root / "models" / "small")
    return Project(root, "small")


def columns(out: str) -> list[str]:
    """The heads of the table that is printed last."""
    heads = [line for line in out.splitlines() if line.startswith("layer ")]
    return re.split(r"\s{2,}", heads[-1].strip())


# --- all is well --------------------------------------------------------------------------------


def test_all_rungs_are_equal_and_stand_side_by_side(
    small: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small.run("verify", *SETTINGS) == 0
    out = capsys.readouterr().out
    assert columns(out) == ["layer", "integer model", *RUNGS]
    said = f"0 mismatches over all layers, {FRAMES} frames (mixed, from number {FIRST} on), seed 3"
    assert said in out
    reports = small.report("verify")
    assert isinstance(reports, list)
    assert [x["rung"] for x in reports] == RUNGS
    boundaries = {"input", *small.model.boundaries}
    hardware = {*small.model.hardware_streams, "output"}
    for report in reports:
        assert (report["stage"], report["model"], report["seed"]) == ("verify", "small", SEED)
        assert report["source"]
        assert report["against"] == "integer model"
        assert (report["mismatches"], report["frames"]) == (0, FRAMES)
        assert report["seconds"] > 0
        names = {x["name"] for x in report["layers"]}
        wanted = boundaries if report["rung"] in ("pytorch", "qonnx") else hardware
        assert names == wanted - ({"output"} if report["rung"] == "finn" else set())
        assert all(x["values"] > 0 and x["mismatches"] == 0 for x in report["layers"])
    assert [x["stalls"] for x in reports] == [[]] * 4 + [["none", "random 30 %"]]
    assert [x["cycles"] is None for x in reports] == [True] * 4 + [False]
    assert reports[-1]["cycles"].keys() == {"latency", "interval"}


def test_a_second_time_the_same_table_is_shown_and_nothing_runs(
    small: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", "--model", str(small.root / "models" / "small"), "--set", *SETTINGS]
    assert small.again(words) == 0
    capsys.readouterr()
    assert small.again(words) == 0
    out = capsys.readouterr().out
    assert "verify         up to date\n" in out
    assert columns(out) == ["layer", "integer model", *RUNGS]


def test_the_slowest_rung_alone_gets_fewer_frames(small: Project) -> None:
    assert small.run("verify", *SETTINGS, "verify.rtlsim_frames=3") == 0
    *others, rtlsim = small.report("verify")
    assert [x["frames"] for x in others] == [FRAMES] * 4
    assert rtlsim["frames"] == 3
    assert [run["frames"] for run in rtlsim["runs"]] == [3, 3]
    values = {x["name"]: x["values"] for x in rtlsim["layers"]}
    every = {x["name"]: x["values"] for x in others[-1]["layers"]}
    assert all(values[name] * FRAMES == every[name] * 3 * 2 for name in every)  # two simulations


def test_the_stage_of_one_rung_ignores_that_limit_and_writes_an_object(small: Project) -> None:
    assert small.run("verify-cppsim", *SETTINGS, "verify.rtlsim_frames=3") == 0
    report = small.report("verify-cppsim")
    assert isinstance(report, dict)
    assert (report["stage"], report["rung"]) == ("verify-cppsim", "cppsim")
    assert (report["frames"], report["mismatches"]) == (FRAMES, 0)
    assert [x["rung"] for x in report["rungs"]] == ["pytorch", "cppsim"]
    assert {**report["rungs"][-1], "rungs": report["rungs"]} == report


@pytest.mark.parametrize("stage", ["verify", "verify-cppsim", "verify-rtlsim"])
def test_one_frame_is_enough_for_every_kind_of_stalls(small: Project, stage: str) -> None:
    """As in a replay."""
    assert small.run(stage, "verify.frames=1", "verify.first=21") == 0


# --- a planted fault ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """One wrong value of a stream, in whichever frame has certain codes."""

    layer: str
    position: int
    channel: int
    frame: np.ndarray
    codes: np.ndarray
    channels: int

    def planted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A rung's function with the fault; it is given frames or codes, in any shape."""

        def faulty(*arguments: Any, **keys: Any) -> Any:
            found = function(*arguments, **keys)
            given = next(x for x in arguments if isinstance(x, np.ndarray))
            if isinstance(found, Simulation):
                return replace(found, values=self._spoiled(found.values, given))
            return self._spoiled(found, given)

        return faulty

    def _spoiled(self, found: dict[str, np.ndarray], given: np.ndarray) -> dict[str, np.ndarray]:
        wanted = self.frame if given.dtype == np.float32 else self.codes
        (hit,) = np.nonzero((given.reshape(len(given), -1) == wanted.ravel()).all(axis=1))
        values = found[self.layer].copy()
        flat = values.reshape(len(values), -1)
        flat[hit, self.position * self.channels + self.channel] += 1
        return {**found, self.layer: values}


PLACES = {
    "pytorch": (pytorch, "float32_boundaries", ("pool2", 5, 1)),
    "qonnx": (qonnx, "boundaries", ("dense9", 0, 4)),
    "finn": (rungs, "run_graph", ("conv1.accumulator", 0, 3)),
    "cppsim": (rungs, "simulate_cpp", ("act8", 0, 6)),
    "rtlsim": (rungs, "simulate", ("label", 0, 0)),
}
"""Where each rung is changed, and the stream, position and channel that become wrong."""
WRONG = FRAMES - 3
"""The frame that becomes wrong; it is not among the first that are compared at once."""


def fault_of(model: IntegerModel, layer: str, position: int, channel: int) -> Fault:
    frames = stimulus(model, FRAMES, SEED, first=FIRST)
    codes = model.quantize(frames)
    assert (codes == codes[WRONG]).all(axis=(1, 2)).sum() == 1
    channels = model.trace(codes[:1])[layer].shape[2]
    return Fault(layer, position, channel, frames[WRONG], codes[WRONG], channels)


def what_made_it(model: IntegerModel, fault: Fault) -> str:
    """What a message says of the values that a differing one is made from."""
    streams = model.trace(fault.codes[None])
    if fault.layer == "label":
        return f"made from the logits {streams['dense9'].ravel().tolist()}"
    if fault.layer.endswith(".accumulator"):  # of conv1, at the first position
        entering = streams["pool0"][0]
        seen = ", ".join(f"position {i}: {entering[i].tolist()}" for i in (0, 1))
        weights = np.count_nonzero(model.layers[1].weights[fault.channel])
        return f"made from the codes at {seen}, with {weights} weights"
    layer = next(x for x in model.layers if x.boundary == fault.layer)
    window = slice(fault.position * layer.pool, (fault.position + 1) * layer.pool)
    sums = streams[layer.accumulator_name][0, window, fault.channel].tolist()
    if layer.bias is not None:
        return f"made from the accumulators {sums}, bias {layer.bias[fault.channel]}"
    assert layer.thresholds is not None
    levels = layer.thresholds[fault.channel].tolist()
    return f"made from the accumulators {sums}, thresholds {levels}"


def replay_of(message: str) -> list[str]:
    """The words of the command that a message ends with, behind `python -m pipeline`."""
    words = shlex.split(message.rstrip().splitlines()[-1])
    assert words[:4] == ["again:", "python", "-m", "pipeline"]
    return words[4:]


@pytest.mark.parametrize("rung", RUNGS)
def test_a_fault_in_one_rung_is_located_and_can_be_had_again(
    small: Project,
    rung: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert small.run("freeze", *SETTINGS) == 0
    module, name, place = PLACES[rung]
    fault = fault_of(small.model, *place)
    monkeypatch.setattr(module, name, fault.planted(getattr(module, name)))
    capsys.readouterr()

    assert small.run("verify", *SETTINGS) == 1
    message = capsys.readouterr().err
    expected = int(small.model.trace(fault.codes[None])[fault.layer][0, place[1], place[2]])
    where = "layer {}, frame {{}}, position {}, channel {}".format(*place)
    values = f"expected {expected}, got {expected + 1}"
    wrong = 2 if rung == "rtlsim" else 1  # one in each simulation
    head = f"verification failed: {rung}: {wrong} values differ; first: "
    first, made_from, _ = message.splitlines()
    assert first == f"{head}{where.format(WRONG)}: {values}"
    assert made_from.strip() == what_made_it(small.model, fault)
    mismatches = {x["rung"]: x["mismatches"] for x in small.report("verify")}
    assert mismatches == {name: wrong if name == rung else 0 for name in RUNGS}

    words = replay_of(message)
    assert {"verify.frames=1", f"verify.first={FIRST + WRONG}"} <= set(words)
    assert small.again(words) == 1
    again = capsys.readouterr().err
    assert again.splitlines()[0] == f"{head}{where.format(0)}: {values}"
    assert again.splitlines()[1] == made_from
    assert replay_of(again) == words
    assert [x["frames"] for x in small.report("verify")] == [1] * 5
    monkeypatch.undo()
    assert small.again(words) == 0


def test_the_command_says_all_that_the_accelerator_and_the_simulation_depend_on(
    small: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["hardware.clock_mhz=125.0", "verify.stalls=random 45"]
    monkeypatch.setattr(rungs, "simulate", wrong_everywhere(rungs.simulate))
    assert small.run("verify-rtlsim", "verify.frames=3", *chosen) == 1
    words = replay_of(capsys.readouterr().err)
    assert set(chosen) <= set(words)
    assert small.again(words) == 1
    assert small.report("verify-rtlsim")["stalls"] == ["random 45 %"]
    assert replay_of(capsys.readouterr().err) == words


def wrong_everywhere(simulate: Callable[..., Simulation]) -> Callable[..., Simulation]:
    def wrong(*arguments: Any, **keys: Any) -> Simulation:
        found = simulate(*arguments, **keys)
        values = {name: stream + (name == "pool3") for name, stream in found.values.items()}
        return replace(found, values=values)

    return wrong


# --- frames of a data set -----------------------------------------------------------------------

SET = Path("a {strange} name.hdf5")
"""Commands and messages have to get along with it."""


def test_without_a_data_set_it_says_how_to_make_one(
    small: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small.run("verify", "verify.stimulus=test") == 2
    what, where, remedy = capsys.readouterr().err.splitlines()
    assert what == "error: there is no data set"
    assert where == f"where: {small.root}/data/synthetic_40_2018/set.hdf5"
    assert remedy == "  try: make data"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A network that reads whole frames, with a data set in RadioML's layout."""
    root = tmp_path_factory.mktemp("tiny")
    shutil.copytree(PROJECT_ROOT / "models" / "vgg10_tiny", root / "models" / "tiny")
    given = write_noise_set(root / SET)
    project = Project(root, "tiny")
    assert project.run("data", f"data.path={given}") == 0
    return project


def settings_of(tiny: Project, frames: int, first: int) -> list[str]:
    given = f"data.path={tiny.root / SET}"
    chosen = [f"verify.frames={frames}", f"verify.first={first}", "verify.seed=4"]
    return [given, "verify.stimulus=test", *chosen]


def chosen(tiny: Project, frames: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """The frames and labels of the test split, read directly."""
    numbers = np.random.default_rng(4).permutation(split_frames(3, 2018).test)
    numbers = numbers[first : first + frames]
    with h5py.File(tiny.root / SET) as file:
        return file["X"][:][numbers], file["Y"][:][numbers].argmax(axis=1)


def test_accuracy_is_that_of_the_test_split(
    tiny: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run("verify-cppsim", *settings_of(tiny, 150, 30)) == 0
    frames, labels = chosen(tiny, 150, 30)
    predicted = tiny.model.trace(tiny.model.quantize(frames))["label"].reshape(-1)
    accuracy = float((predicted == labels).mean())
    assert 0 < accuracy < 1
    report = tiny.report("verify-cppsim")
    for rung in report["rungs"]:
        assert (rung["labelled"], rung["accuracy"]) == (150, accuracy)
        assert (rung["frames"], rung["mismatches"]) == (150, 0)
    assert report["stimulus"] == "test"
    out = capsys.readouterr().out
    for name in ("pytorch", "cppsim"):
        assert f"accuracy of {name}: {accuracy:.4f} on 150 labelled frames" in out


def test_a_fault_in_a_frame_of_the_test_split_can_be_had_again(
    tiny: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run("freeze") == 0
    frames, _ = chosen(tiny, 40, 30)
    codes = tiny.model.quantize(frames)
    channels = tiny.model.trace(codes[:1])["pool4"].shape[2]
    fault = Fault("pool4", 7, 2, frames[35], codes[35], channels)
    monkeypatch.setattr(rungs, "simulate_cpp", fault.planted(rungs.simulate_cpp))
    capsys.readouterr()
    assert tiny.run("verify-cppsim", *settings_of(tiny, 40, 30)) == 1
    message = capsys.readouterr().err
    assert "cppsim: 1 values differ; first: layer pool4, frame 35, position 7, channel 2" in message
    words = replay_of(message)
    assert "verify.first=65" in words
    assert tiny.again(words) == 1
    again = capsys.readouterr().err
    assert again == message.replace("frame 35", "frame 0")


@pytest.mark.parametrize(
    ("frames", "first", "remedy"),
    [
        (625, 0, "verify.frames=624, or a larger set"),
        (30, 600, "verify.frames=24, or a larger set"),
        (1, 624, "verify.first < 624, or a larger set"),
    ],
)
def test_more_frames_than_the_test_split_has(
    tiny: Project, capsys: pytest.CaptureFixture[str], frames: int, first: int, remedy: str
) -> None:
    assert tiny.run("verify-cppsim", *settings_of(tiny, frames, first)) == 2
    what, where, last = capsys.readouterr().err.splitlines()
    said = f"error: {frames} frames from number {first} on: the test split has 624"
    assert (what, last) == (said, f"  try: {remedy}")
    assert where == f"where: {tiny.root}/data/linked_{SET.stem}/set.hdf5"


def test_a_network_that_reads_other_frames_than_the_set_has(
    small: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write_noise_set(small.root / "given.hdf5")
    assert small.run("data", f"data.path={given}") == 0
    capsys.readouterr()
    words = [f"data.path={given}", "verify.stimulus=test"]
    assert small.run("verify-cppsim", *words) == 2
    what, where, remedy = capsys.readouterr().err.splitlines()
    assert what == (
        "error: the network reads 128 positions of 2 channels, a data set has 1024 of I and Q"
    )
    assert where == "where: verify.stimulus = 'test'"
    assert remedy == "  try: take another stimulus"
