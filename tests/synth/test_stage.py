"""The stage on a network of two layers; mostly for an ECP5, to which Yosys maps in a second."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.boards.board import Board, load_board
from pipeline.core.config import Config
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.stage import StageContext
from pipeline.stages import synth
from tests.synth.network import generate

ECP5 = replace(
    load_board("pynq_z2"), name="Board", part="LFE5U-85F-6BG381C", lut=83640, ff=83640, dsp=156
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of netlists: what one test maps, another finds."""
    return tmp_path_factory.mktemp("netlists")


def run(
    inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, cache: Path, **options: bool
) -> dict:
    """The stage's report."""
    monkeypatch.setattr(synth, "CACHE", cache)
    return again(inputs, monkeypatch, ECP5, **options)


def again(
    inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, board: Board, **options: bool
) -> dict:
    monkeypatch.setattr(synth, "load_board", lambda _: board)
    folder = inputs["fold"].parent
    places = {name: folder / name for name in ("out", "scratch", "work", "cache")}
    for place in places.values():
        place.mkdir()
    config = Config.from_dict({"synth": options})
    context = StageContext(config, folder / "two", inputs=inputs, **places)
    try:
        synth.run(context)
    finally:
        written = places["out"] / "report.json"
        report = json.loads(written.read_text()) if written.is_file() else {}
        (folder / "last.json").write_text(json.dumps(report))
    return report


@pytest.mark.slow
def test_the_sum_of_the_layers_is_the_whole(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within 2 %: a layer does not know what its neighbours do with a bit, and of two LUTs in one
    site both are in one layer, so that sites are within 3 %."""
    monkeypatch.setattr(synth, "CACHE", cache)
    report = again(generate(tmp_path), monkeypatch, load_board("pynq_z2"), whole=True)
    total, whole = report["total"], report["whole"]
    exact = ("dsp", "bram36", "lutram", "srl")
    assert [total[unit] for unit in exact] == [whole[unit] for unit in exact]
    assert total["ff"] == pytest.approx(whole["ff"], rel=0.02)
    luts, of_whole = (x["lut"] + x["shared"] for x in (total, whole))
    assert luts == pytest.approx(of_whole, rel=0.02)
    assert total["lut"] == pytest.approx(whole["lut"], rel=0.03)
    assert total["packed"] < total["lut"]
    assert "\nin one piece" in capsys.readouterr().out


def test_the_table_of_a_network(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(generate(tmp_path), monkeypatch, cache)
    assert report["stage"] == "synth"
    assert report["model"] == "two"
    assert report["tool"].startswith("Yosys (pyosys ")
    assert [x["name"] for x in report["layers"]] == ["dense0", "dense1"]
    assert [x["cycles"] for x in report["layers"]] == [16, 8]
    for unit in ("lut", "ff", "dsp", "bram36"):
        layers = sum(x[unit] for x in report["layers"])
        assert report["core"][unit] == layers
        assert report["total"][unit] == layers + report["shell"][unit]
    assert report["total"]["dsp"] == 4  # 12-bit sums times weights, two by two
    assert report["budget"]["lut"] == 83640
    assert report["exceeded"] == []
    first = report["layers"][0]["depth"]
    assert first["levels"] > 0
    assert first["to"].startswith("dense0: ")
    assert "_rtl_" in first["from"]  # the module in place of node0
    said = capsys.readouterr().out
    for line in ("dense0 ", "dense1 ", "core ", "shell ", "total ", "budget of Board", "used, in"):
        assert f"\n{line}" in said


def test_only_a_layer_that_changed_is_mapped_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(generate(tmp_path / "a"), monkeypatch, cache)
    unchanged = run(generate(tmp_path / "b"), monkeypatch, cache)
    assert unchanged["fresh"] == []
    changed = run(generate(tmp_path / "c", seeds=(1, 3)), monkeypatch, cache)
    assert changed["fresh"] == ["dense1", "amcflow"]  # the shell has the hash of its core
    assert changed["layers"][0] == unchanged["layers"][0]


def test_a_board_that_is_too_small(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said; an error is made of it for who asks for one."""
    monkeypatch.setattr(synth, "CACHE", cache)
    small = replace(ECP5, lut=100)
    report = again(generate(tmp_path / "a"), monkeypatch, small)
    assert report["exceeded"] == ["lut"]
    assert "DOES NOT FIT Board: " in capsys.readouterr().out
    with pytest.raises(VerificationFailed, match=r"DOES NOT FIT Board: .* of 100 LUT"):
        again(generate(tmp_path / "b"), monkeypatch, small, must_fit=True)
    failed = json.loads((tmp_path / "b" / "last.json").read_text())
    assert failed["exceeded"] == ["lut"]


def test_a_part_that_yosys_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(ECP5, key="de0", part="EP4CE22F17C6")
    with pytest.raises(UserError, match="part 'EP4CE22F17C6'") as error:
        again(generate(tmp_path), monkeypatch, other)
    assert error.value.where == "hw/boards/de0.toml"


def test_a_table_that_codegen_lost(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = generate(tmp_path)
    (inputs["codegen"] / "rtl" / "DenseMVAU_rtl_1_weights.mem").unlink()
    with pytest.raises(UserError, match=r"DenseMVAU_rtl_1_weights\.mem, .* is not there"):
        run(inputs, monkeypatch, cache)
