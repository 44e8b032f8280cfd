"""Mutate at the command line: every planted fault is found, and a hole in the verification too."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import cli
from pipeline.core.config import load_config
from pipeline.core.errors import UserError
from pipeline.core.runner import Build, run_stage
from pipeline.core.stage import StageContext
from pipeline.stages import find_stage
from pipeline.stages import mutate as stage
from pipeline.verify import mutants, rungs
from pipeline.verify.compare import LayerResult
from pipeline.verify.ladder import compare_streams
from pipeline.verify.mutants import hardware, runs, simulation, targets
from tests.small import ship_small

pytestmark = pytest.mark.slow

FRAMES = 16
TABLES = ("weights", "thresholds", "bias")
BROKEN = ("missing table", "truncated table", "no frames")
KINDS = {
    "pytorch": ("weight", "stream order", "threshold", "sign", "mean", "bias"),
    "host": ("rounding",),
    "qonnx": ("padding", "sign", "threshold", "mean", "weight"),
    "finn": (*TABLES, "padding", "signedness"),
    "cppsim": (*TABLES, *BROKEN),
    "rtlsim": (*TABLES, *BROKEN),
}
"""Every rung, and the kinds of its faults that need no build."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a small network."""
    root = tmp_path_factory.mktemp("project")
    ship_small(root / "models" / "small")
    return root


@pytest.fixture
def mutate(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the stage; its exit code.  Programs are taken from where all tests have them."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    monkeypatch.setattr(cli, "Build", partial(Build, root=project))
    for name, cache in (
        ("build_simulator", rungs.RTL_CACHE),
        ("build_cpp_simulator", rungs.CPP_CACHE),
    ):
        build = getattr(hardware, name)
        monkeypatch.setattr(hardware, name, lambda what, _, b=build, c=cache: b(what, c))

    def run(*settings: str) -> int:
        chosen = ["mutate.each=1", "mutate.sources=false", f"mutate.frames={FRAMES}", *settings]
        model = str(project / "models" / "small")
        return cli.main(["mutate", "--force", "--model", model, "--set", *chosen])

    return run


def report_of(project: Path) -> dict[str, Any]:
    """What the last run wrote, whether it passed or failed."""
    folder = project / "build" / "small"
    (file,) = [*folder.glob("mutate/report.json"), *folder.glob("mutate.failed/report.json")]
    report: dict[str, Any] = json.loads(file.read_text())
    return report


def test_every_fault_of_every_rung_is_found_where_it_is(
    project: Path, mutate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutate() == 0
    report = report_of(project)
    assert (report["stage"], report["model"], report["frames"]) == ("mutate", "small", FRAMES)
    found = report["mutants"]
    assert {(x["rung"], x["kind"]) for x in found} == {
        (rung, kind) for rung, kinds in KINDS.items() for kind in kinds
    }
    verdicts = Counter(x["verdict"] for x in found)
    assert verdicts.keys() == {"caught", "equivalent"}
    assert verdicts == report["verdicts"]
    assert report["planted"] == len(found) > 150
    assert verdicts["caught"] > 2 * verdicts["equivalent"]
    assert all(x["detail"] for x in found)
    argued = {(x["rung"], x["kind"]) for x in found if x["verdict"] == "equivalent"}
    numbers = {"weight", "stream order", "threshold", "sign", "mean", "weights", "thresholds"}
    assert {kind for _, kind in argued} <= numbers  # nothing that is broken is argued away
    out = capsys.readouterr().out
    for rung, kinds in KINDS.items():
        rows = [line.split() for line in out.splitlines() if line.startswith(f"{rung} ")]
        assert [tuple(row[1:-5]) for row in rows] == [tuple(kind.split()) for kind in kinds]
    counted = f"{verdicts['caught']} caught where they are, {verdicts['equivalent']} that can"
    assert (
        f"{len(found)} planted, {counted} change nothing in {FRAMES} frames, 0 unexplained" in out
    )


def only(monkeypatch: pytest.MonkeyPatch, *kept: str) -> None:
    """Plants faults in some of the rungs alone."""
    every = {"of_pytorch", "of_qonnx", "of_finn", "of_cppsim", "of_rtlsim"}
    assert set(kept) < every
    for name in every - set(kept):
        monkeypatch.setattr(mutants, name, lambda _: iter(()))


Streams = Mapping[str, Any]
Compare = Callable[[Sequence[str], Streams, Streams], tuple[LayerResult, ...]]


def without_the_logits(
    names: Sequence[str], wanted: Streams, found: Streams
) -> tuple[LayerResult, ...]:
    """Leaves out the last layer and what follows from it."""
    hidden = {"dense9.accumulator", "dense9", "label", "output"}
    return compare_streams([name for name in names if name not in hidden], wanted, found)


def the_first_frame_alone(
    names: Sequence[str], wanted: Streams, found: Streams
) -> tuple[LayerResult, ...]:
    first = {name: wanted[name][:1] for name in names}
    return compare_streams(names, first, {name: found[name][:1] for name in names})


def with_a_tolerance(
    names: Sequence[str], wanted: Streams, found: Streams
) -> tuple[LayerResult, ...]:
    """Takes values for equal that differ by one."""
    close = {}
    for name in names:
        got = found[name].reshape(wanted[name].shape)
        close[name] = got.copy()
        near = abs(got.astype(int) - wanted[name]) <= 1
        close[name][near] = wanted[name][near]
    return compare_streams(names, wanted, close)


HOLES = {
    "a layer is not compared": (without_the_logits, "of_pytorch", {"dense9"}),
    "the other frames are not compared": (the_first_frame_alone, "of_cppsim", set()),
    "values may differ by one": (with_a_tolerance, "of_cppsim", set()),
}
"""A comparison that overlooks something, a rung to try it with, and where faults survive."""


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_in_the_verification_is_found(
    hole: str,
    project: Path,
    mutate: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    comparison, rung, layers = HOLES[hole]
    only(monkeypatch, rung)
    monkeypatch.setattr(targets, "compare_streams", comparison)
    capsys.readouterr()
    assert mutate() == 1
    found = report_of(project)["mutants"]
    survived = [x for x in found if x["verdict"] == "survived"]
    assert survived
    assert layers <= {x["what"].partition(":")[0] for x in survived}
    unexplained = [x for x in found if x["verdict"] in ("misplaced", "survived")]
    first = unexplained[0]
    answer = capsys.readouterr()
    assert answer.err == (
        f"verification failed: {len(unexplained)} of {len(found)} planted faults were not found "
        f"where they are; first: {first['rung']}, {first['kind']}, {first['what']}: "
        f"{first['verdict']}, {first['detail']}\n"
    )
    for mutant in survived:
        line = f"survived: {mutant['rung']}, {mutant['what']}: nothing differs\n"
        assert line in answer.out
    assert not (project / "build" / "small" / "mutate").exists()


def test_a_reader_that_takes_short_tables_is_found(
    project: Path, mutate: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C++ checks its tables itself: here whatever is cut off is put there again."""
    only(monkeypatch, "of_cppsim")
    monkeypatch.setattr(simulation, "simulate_cpp", mended(simulation.simulate_cpp, project))
    assert mutate() == 1
    found = [x for x in report_of(project)["mutants"] if x["verdict"] == "survived"]
    assert Counter(x["kind"] for x in found) == {"missing table": 3, "truncated table": 3}


def mended(simulate: Callable[..., Any], project: Path) -> Callable[..., Any]:
    """A simulation that takes a table of another length from where it was generated."""
    generated = project / "build" / "small" / "codegen" / "hls"

    def mending(*arguments: Any, tables: Path, **keys: Any) -> Any:
        for right in generated.glob("*.inc"):
            table = tables / right.name
            values = table.read_text().count(",") if table.is_file() else 0
            if values != right.read_text().count(","):
                table.write_text(right.read_text())
        return simulate(*arguments, tables=tables, **keys)

    return mending


SKIPPING = "hardware.engine=zero_skipping"


def test_layers_that_skip_zeros_are_refused(
    mutate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutate(SKIPPING) == 2
    error = capsys.readouterr().err
    assert "faults are not planted in layers that skip zeros yet" in error
    assert 'hardware.engine = "dense"' in error


def test_changed_integers_of_layers_that_skip_zeros_are_found_where_they_are(
    project: Path, mutate: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a convolution, and in the last layer: a changed weight is another circuit to build."""
    monkeypatch.setattr(stage, "require_folded", lambda *_: None)
    only(monkeypatch, "of_rtlsim")
    every = targets.random_changes
    monkeypatch.setattr(
        targets, "random_changes", lambda *x: (c for c in every(*x) if c.layer in (1, 9))
    )
    assert mutate(SKIPPING) == 0
    found = report_of(project)["mutants"]
    assert {x["kind"] for x in found} == {*TABLES, *BROKEN}
    assert {x["verdict"] for x in found} <= {"caught", "equivalent"}
    caught = [x for x in found if x["verdict"] == "caught"]
    assert {x["kind"] for x in caught} >= {"bias", *BROKEN}
    for layer, boundary in (("conv1", "pool1"), ("dense9", "dense9")):
        details = [x["detail"] for x in caught if x["what"].startswith(f"{layer}:")]
        assert details
        assert all(f"layer {boundary}," in detail for detail in details)


def test_a_circuit_that_ignores_a_changed_integer_is_found(
    project: Path, mutate: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "require_folded", lambda *_: None)
    only(monkeypatch, "of_rtlsim")
    every = targets.random_changes
    monkeypatch.setattr(
        targets, "random_changes", lambda *x: (c for c in every(*x) if c.array == "bias")
    )
    design = runs.Runs.design
    monkeypatch.setattr(runs.Runs, "design", lambda own, _: design(own, own.model))
    assert mutate(SKIPPING) == 1
    (survived,) = [x for x in report_of(project)["mutants"] if x["verdict"] == "survived"]
    assert survived["kind"] == "bias"


def test_a_network_without_a_certificate_is_the_users_error(tmp_path: Path) -> None:
    model_dir = tmp_path / "models" / "other"
    ship_small(model_dir, scales="float")
    build = Build(load_config(model_dir), model_dir, find_stage, root=tmp_path)
    inputs = {"freeze": run_stage("freeze", build)}
    context = StageContext(build.config, model_dir, tmp_path, inputs, *[tmp_path] * 3)
    with pytest.raises(UserError) as raised:
        stage.run(context)
    what = "faults are planted in a certified network that starts in PyTorch"
    assert raised.value.what == what
    assert raised.value.where == str(tmp_path / "build" / "other" / "freeze")
    assert raised.value.remedy == "make mutate MODEL=models/vgg10_tiny"
