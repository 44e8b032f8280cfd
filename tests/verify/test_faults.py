"""Faults planted in a generated accelerator are found, and located."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import cli
from pipeline.core.config import load_config
from pipeline.core.errors import VerificationFailed
from pipeline.core.runner import Build, run_stage
from pipeline.core.stage import StageContext
from pipeline.dataflow import integer_model
from pipeline.stages import find_stage, verify_rtlsim
from pipeline.stages.codegen import RTL
from pipeline.verify import rtlsim, rungs
from pipeline.verify.stimulus import stimulus
from tests.small import ship_small

pytestmark = pytest.mark.slow

FRAMES = 6


@dataclass(frozen=True)
class Built:
    """A small network compiled down to RTL."""

    build: Build
    inputs: dict[str, Path]

    def verify(self, folder: Path, codegen: Path) -> dict[str, object]:
        """The report of verify-rtlsim on another codegen folder; it may raise before its end."""
        shutil.rmtree(folder, ignore_errors=True)
        out, scratch = folder / "out", folder / "scratch"
        out.mkdir(parents=True)
        scratch.mkdir()
        context = StageContext(
            config=self.build.config,
            model_dir=self.build.model_dir,
            out=out,
            inputs={**self.inputs, "codegen": codegen},
            scratch=scratch,
            work=folder,
            cache=folder,
        )
        verify_rtlsim.run(context)
        return json.loads((out / "report.json").read_text())

    def changed(self, folder: Path, file: str, change: Callable[[list[str]], None]) -> Path:
        """A copy of the generated folder in which the lines of one table are changed."""
        copy = folder / "codegen"
        shutil.copytree(self.inputs["codegen"], copy)
        table = copy / RTL / file
        lines = table.read_text().splitlines()
        before = list(lines)
        change(lines)
        assert lines != before
        table.write_text("\n".join([*lines, ""]))
        return copy


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("project")
    ship_small(root / "models" / "small")
    config = load_config(root / "models" / "small", [f"verify.frames={FRAMES}"])
    build = Build(config, root / "models" / "small", find_stage, root=root)
    run_stage("codegen", build)
    names = ("freeze", "codegen")
    return Built(build, {name: root / "build" / "small" / name for name in names})


def tables(built: Built, pattern: str) -> list[str]:
    return sorted(path.name for path in (built.inputs["codegen"] / RTL).glob(pattern))


def test_the_accelerator_equals_pytorch_at_every_layer(built: Built, tmp_path: Path) -> None:
    report = built.verify(tmp_path, built.inputs["codegen"])
    assert report["mismatches"] == 0
    assert report["frames"] == FRAMES
    torch, rtl = report["rungs"]
    assert (torch["rung"], rtl["rung"]) == ("pytorch", "rtlsim")
    assert report["stalls"] == ["none", "random 25 %", "bursts", "stop", "full", "reset"]
    assert [run["stalls"] for run in report["runs"]] == report["stalls"]
    assert all(run["frames"] == FRAMES and run["cycles"] > 0 for run in report["runs"])
    boundaries = [f"pool{i}" for i in range(7)] + ["act7", "act8", "dense9"]
    assert [x["name"] for x in torch["layers"]] == ["input", *boundaries]
    names = [x["name"] for x in rtl["layers"]]
    assert set(names) >= {*boundaries, "conv0.accumulator", "dense9.accumulator", "label", "output"}
    assert all(x["values"] > 0 for x in rtl["layers"])


def test_every_node_stands_being_held_back_and_starved(built: Built, tmp_path: Path) -> None:
    """Stalls at the ends hardly reach the nodes behind the FIFOs: here the FIFOs hesitate."""
    verify = built.build.config.verify.model_copy(update={"stalls": "none, inside"})
    config = built.build.config.model_copy(update={"verify": verify})
    changed = replace(built, build=replace(built.build, config=config))
    report = changed.verify(tmp_path / "run", built.inputs["codegen"])
    assert report["mismatches"] == 0
    free, inside = report["runs"]
    assert inside["cycles"] > 1.2 * free["cycles"]


def column_in_use(built: Built, layer: int) -> int:
    """A column of a layer's matrix that sees a value other than 0 (its kernel's middle)."""
    model = integer_model.load(built.inputs["freeze"] / "integer_model.npz")
    codes = model.quantize(stimulus(model, FRAMES, built.build.config.verify.seed))
    entering = model.trace(codes)[model.boundaries[layer - 1]]
    channel = int(np.flatnonzero(entering.any(axis=(0, 1)))[0])
    return entering.shape[2] + channel


def test_one_flipped_weight_is_located(built: Built, tmp_path: Path) -> None:
    weights = tables(built, "*_weights.mem")
    assert len(weights) == 10
    word = column_in_use(built, 3)  # of row 0: PE and SIMD are 1 there

    def flip_a_bit(lines: list[str]) -> None:
        lines[word] = format(int(lines[word], 16) ^ 1, "x")

    broken = built.changed(tmp_path, weights[3], flip_a_bit)
    where = r"first: layer conv3\.accumulator, frame \d+, position \d+, channel 0: expected"
    with pytest.raises(VerificationFailed, match=where):
        built.verify(tmp_path / "run", broken)
    report = json.loads((tmp_path / "run" / "out" / "report.json").read_text())
    wrong = [x["name"] for x in report["layers"] if x["mismatches"]]
    assert wrong[0] == "conv3.accumulator"
    assert report["rungs"][0]["mismatches"] == 0  # PyTorch is not to blame


def raise_first_threshold(lines: list[str]) -> None:
    lines[0] = format(int(lines[0], 16) + 1, f"0{len(lines[0])}x")


def test_one_moved_threshold_is_located(built: Built, tmp_path: Path) -> None:
    """Of the tables of layer 0's thresholds, one a level: the lowest level of its first channel."""
    layer_0 = tables(built, "Thresholds_rtl_0_lane*.mem")
    found = set()
    for name in layer_0:
        shutil.rmtree(tmp_path / "codegen", ignore_errors=True)
        broken = built.changed(tmp_path, name, raise_first_threshold)
        try:
            built.verify(tmp_path / "run", broken)
        except VerificationFailed as failure:
            found.add(str(failure).split("first: ")[1].split(",")[0])
    assert found == {"layer pool0"}


def swap_words(simulate: Callable[..., rtlsim.Simulation]) -> Callable[..., rtlsim.Simulation]:
    def swapped(*arguments: object, **keys: object) -> rtlsim.Simulation:
        result = simulate(*arguments, **keys)
        values = result.values["pool2"].copy()
        frame, word = np.argwhere(values[:, :-1] != values[:, 1:])[0]
        values[frame, [word, word + 1]] = values[frame, [word + 1, word]]
        return replace(result, values={**result.values, "pool2": values})

    return swapped


def test_two_swapped_words_are_located(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rungs, "simulate", swap_words(rtlsim.simulate))
    with pytest.raises(VerificationFailed, match=r"rtlsim: 12 values differ; first: layer pool2, "):
        built.verify(tmp_path, built.inputs["codegen"])


def lose_a_layer(simulate: Callable[..., rtlsim.Simulation]) -> Callable[..., rtlsim.Simulation]:
    def losing(*arguments: object, **keys: object) -> rtlsim.Simulation:
        result = simulate(*arguments, **keys)
        kept = {name: values for name, values in result.values.items() if name != "pool4"}
        return replace(result, values=kept)

    return losing


def test_a_layer_that_was_not_recorded_is_a_failure(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rungs, "simulate", lose_a_layer(rtlsim.simulate))
    with pytest.raises(VerificationFailed, match="layer pool4 was not recorded"):
        built.verify(tmp_path, built.inputs["codegen"])


def test_a_failed_verification_exits_1_and_does_not_count(
    built: Built, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "Build", partial(Build, root=built.build.root))
    words = ["verify-rtlsim", "--model", str(built.build.model_dir)]
    words += ["--set", f"verify.frames={FRAMES}"]
    assert cli.main(words) == 0
    folder = built.build.folder
    assert (folder / "verify-rtlsim" / "manifest.json").is_file()
    monkeypatch.setattr(rungs, "simulate", swap_words(rtlsim.simulate))
    assert cli.main([*words, "--force"]) == 1
    assert (
        "verification failed: rtlsim: 12 values differ; first: layer pool2"
        in capsys.readouterr().err
    )
    assert not (folder / "verify-rtlsim").exists()
    report = json.loads((folder / "verify-rtlsim.failed" / "report.json").read_text())
    assert report["mismatches"] == 2 * len(report["stalls"])  # two words in each simulation


def test_zero_frames_are_refused(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["verify-rtlsim", "--model", str(built.build.model_dir), "--set", "verify.frames=0"]
    assert cli.main(words) == 2
    assert "verify.frames" in capsys.readouterr().err
