"""A folder with a bitstream: taken only if it is the one that is wanted; its reports, by layer."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.boards import hierarchy, vivado_reports
from pipeline.boards.bitstream import FILES, by_layer, read_bitstream, report
from pipeline.boards.hierarchy import LayerCells
from pipeline.boards.vivado import Description, describe
from pipeline.boards.vivado_reports import Path as TimingPath
from pipeline.boards.vivado_reports import Power, Resources, Timing
from pipeline.core.atomic import sha256_file
from pipeline.core.errors import UserError
from tests.boards import fake_reports
from tests.boards.small_project import NODES, target, write

CELLS = [f"node{i}" for i in range(len(NODES))]
PARTS = {"pynq_z2": False, "zcu104": True}
"""Whether a board's device is UltraScale+, whose table has a column for URAM."""


def description(board: str = "pynq_z2") -> Description:
    return describe(target(board))


def made(
    folder: Path,
    board: str = "pynq_z2",
    slacks: tuple[float, float, float] = (0.412, 0.031, 3.75),
) -> Path:
    """What a finished build leaves."""
    what = description(board)
    write(folder, {"accelerator.bit": b"bits", "accelerator.hwh": b"<xml/>"})
    identity = {
        "model": what.model,
        "hash": what.hash,
        "board": what.board,
        "part": what.part,
        "backend": what.backend,
        "project": "0" * 64,
        "bitstream_sha256": sha256_file(folder / "accelerator.bit"),
        "tool": "Vivado 2022.2",
        "clock_mhz": 99.999001,
    }
    (folder / "accelerator.json").write_text(json.dumps(identity))
    texts = {
        "utilization.rpt": fake_reports.utilization(CELLS, what.part, PARTS[board]),
        "timing.rpt": fake_reports.timing(what.part, *slacks),
        "power.rpt": fake_reports.power(what.part),
    }
    write(folder / "reports", {name: text.encode() for name, text in texts.items()})
    return folder


# --- is it the one? -----------------------------------------------------------------------------


def test_what_a_build_made_is_taken(tmp_path: Path) -> None:
    identity = read_bitstream(made(tmp_path), description())
    assert (identity.model, identity.board) == ("small", "pynq_z2")
    assert (identity.tool, identity.clock_mhz) == ("Vivado 2022.2", 99.999001)


def refused(folder: Path) -> UserError:
    with pytest.raises(UserError) as error:
        read_bitstream(folder, description())
    return error.value


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing(name: str, tmp_path: Path) -> None:
    (made(tmp_path) / name).unlink()
    error = refused(tmp_path)
    assert error.what == f"there is no {name}"
    assert all(file in error.remedy for file in FILES)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere")
    assert (error.what, error.where) == ("there is no accelerator.bit", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("hash", "f" * 64), ("board", "pynq_z1"), ("part", "xc7z010clg400-1"), ("backend", "hls")],
)
def test_a_bitstream_of_something_else(key: str, value: str, tmp_path: Path) -> None:
    change(made(tmp_path), key, value)
    error = refused(tmp_path)
    wanted = asdict(description())[key]
    assert error.what == (
        f"this is not the bitstream of this model and board: {key} is {value}, not {wanted}"
    )
    assert error.where == str(tmp_path / "accelerator.json")


def change(folder: Path, key: str, value: object) -> None:
    """Another value in accelerator.json; None: no such key."""
    file = folder / "accelerator.json"
    values: dict[str, Any] = json.loads(file.read_text()) | {key: value}
    file.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def test_a_bitstream_that_was_copied_badly(tmp_path: Path) -> None:
    (made(tmp_path) / "accelerator.bit").write_bytes(b"bit")
    error = refused(tmp_path)
    assert "bitstream_sha256 is" in error.what
    assert error.remedy.startswith("copy accelerator.bit and accelerator.json again")


@pytest.mark.parametrize("key", ["hash", "bitstream_sha256", "tool", "clock_mhz"])
def test_an_identity_without_a_key(key: str, tmp_path: Path) -> None:
    change(made(tmp_path), key, None)
    assert refused(tmp_path).what == f"it does not say what the bitstream is of: KeyError('{key}')"


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff\xfe", "null"])
def test_an_identity_that_is_none(text: str, tmp_path: Path) -> None:
    (made(tmp_path) / "accelerator.json").write_bytes(text.encode("latin-1"))
    assert refused(tmp_path).what.startswith("it does not say what the bitstream is of: ")


# --- report.json --------------------------------------------------------------------------------


def found(folder: Path, board: str = "pynq_z2") -> dict[str, Any]:
    what = description(board)
    return report(read_bitstream(folder, what), what, folder / "reports")


@pytest.mark.parametrize("board", PARTS)
def test_the_report_has_the_keys_of_every_synthesis(board: str, tmp_path: Path) -> None:
    values = found(made(tmp_path, board), board)
    assert values["stage"] == "bitstream"
    assert (values["model"], values["board"], values["tool"]) == ("small", board, "Vivado 2022.2")
    assert (values["wns"], values["whs"]) == (0.412, 0.031)
    assert values["power"] == {"total": 1.795, "dynamic": 1.651, "static": 0.144}
    assert values["clock_mhz"] == 99.999001
    assert [layer["name"] for layer in values["layers"]] == [
        "conv0",
        "rest of the core",
        "AXI shell",
        "processing system and DMA",
    ]
    units = {"name", "lut", "ff", "dsp", "bram36", "cycles"}
    assert all(layer.keys() == units for layer in values["layers"])
    assert [layer["cycles"] for layer in values["layers"]] == [1026, None, None, None]
    json.dumps(values)


@pytest.mark.parametrize("board", PARTS)
def test_rows_are_what_the_cells_take(board: str, tmp_path: Path) -> None:
    values = found(made(tmp_path, board), board)
    place = "/system_i/accelerator/inst/shell/core"
    cells = [fake_reports.made_up(f"own {place}/{name}") for name in CELLS]
    row = values["layers"][0]
    assert row["lut"] == sum(cell["Total LUTs"] for cell in cells)
    assert row["ff"] == sum(cell["FFs"] for cell in cells)
    assert row["dsp"] == sum(cell["DSP Blocks"] for cell in cells)
    assert row["bram36"] == sum(cell["RAMB36"] + cell["RAMB18"] / 2 for cell in cells)
    for unit in ("lut", "ff", "dsp", "bram36"):
        assert sum(layer[unit] for layer in values["layers"]) == values["total"][unit] > 0


def test_cells_that_synthesis_dissolved_are_counted_where_their_logic_went() -> None:
    cells = {
        "": Resources(100, 100),
        hierarchy.SHELL: Resources(60, 60),
        hierarchy.CORE: Resources(50, 50),
        f"{hierarchy.CORE}/node1": Resources(20, 10),
    }
    rows = by_layer(cells, [LayerCells("a", 5, ("node0", "node1")), LayerCells("b", 6, ("node2",))])
    assert [(row["name"], row["lut"]) for row in rows] == [
        ("a", 20),
        ("b", 0),
        ("rest of the core", 30),
        ("AXI shell", 10),
        ("processing system and DMA", 40),
    ]
    dissolved = by_layer({"": Resources(7)}, [LayerCells("a", None, ("node0",))])
    assert [row["lut"] for row in dissolved] == [0, 0, 0, 7]


def test_a_core_whose_layers_are_not_known_is_told_by_its_cells() -> None:
    core = f"{hierarchy.CORE}/hls"  # the adapter has one cell
    cells = {
        "": Resources(100),
        hierarchy.SHELL: Resources(60),
        hierarchy.CORE: Resources(50),
        core: Resources(49),
        f"{core}/conv0_U0": Resources(30),
        f"{core}/conv0_U0/mac": Resources(25),
        f"{core}/conv1_U0": Resources(10),
    }
    rows = by_layer(cells, [])
    assert [(row["name"], row["lut"]) for row in rows[:3]] == [
        ("conv0_U0", 30),
        ("conv1_U0", 10),
        ("rest of the core", 10),
    ]
    assert sum(row["lut"] for row in rows) == 100


def test_without_reports_there_are_no_numbers(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for file in (folder / "reports").iterdir():
        file.unlink()
    (folder / "reports").rmdir()
    values = found(folder)
    assert values["hash"] == description().hash
    assert [values[x] for x in ("wns", "whs", "power", "layers", "total")] == [None] * 3 + [
        [],
        None,
    ]


@pytest.mark.parametrize("slacks", [(-0.1, 0.1, 1.0), (0.1, -0.1, 1.0), (0.1, 0.1, -1.0)])
def test_timing_that_is_not_met_elsewhere_either(
    slacks: tuple[float, float, float], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        found(made(tmp_path, slacks=slacks))
    assert error.value.what.startswith("timing is not met: worst slack ")
    assert error.value.where == str(tmp_path / "reports" / "timing.rpt")


@pytest.mark.parametrize("name", ["utilization.rpt", "timing.rpt", "power.rpt"])
@pytest.mark.parametrize("cut", ["gone", "empty", "half"])
def test_reports_that_are_not_whole(name: str, cut: str, tmp_path: Path) -> None:
    file = made(tmp_path) / "reports" / name
    text = file.read_text()
    file.write_text(text[: len(text) // 6] if cut == "half" else "")
    if cut == "gone":
        file.unlink()
    with pytest.raises(UserError) as error:
        found(tmp_path)
    assert error.value.what.startswith("Vivado's reports are not as they are known: ")


# --- what Vivado writes -------------------------------------------------------------------------

SERIES_7 = """
1. Utilization by Hierarchy
---------------------------

+---------------------+--------------+------------+------------+---------+------+-----+--------+--------+--------------+
|       Instance      |    Module    | Total LUTs | Logic LUTs | LUTRAMs | SRLs | FFs | RAMB36 | RAMB18 | DSP48 Blocks |
+---------------------+--------------+------------+------------+---------+------+-----+--------+--------+--------------+
| system_wrapper      |        (top) |        120 |        110 |       4 |    6 | 210 |      3 |      1 |            7 |
|   (system_wrapper)  |        (top) |          1 |          1 |       0 |    0 |   0 |      0 |      0 |            0 |
|   system_i          |       system |        119 |        109 |       4 |    6 | 210 |      3 |      1 |            7 |
|     dma             | system_dma_0 |         19 |         19 |       0 |    0 |  10 |      1 |      0 |            0 |
|       U0            |      axi_dma |         19 |         19 |       0 |    0 |  10 |      1 |      0 |            0 |
|     reset           | system_rst_0 |        100 |         90 |       4 |    6 | 200 |      2 |      1 |            7 |
+---------------------+--------------+------------+------------+---------+------+-----+--------+--------+--------------+
* Note: The sum of lower-level cells may be larger than their parent cells total
"""  # noqa: E501


def test_the_table_of_cells() -> None:
    assert vivado_reports.utilization(SERIES_7) == {
        "": Resources(120, 210, 7, 3.5),
        "system_i": Resources(119, 210, 7, 3.5),
        "system_i/dma": Resources(19, 10, 0, 1.0),
        "system_i/dma/U0": Resources(19, 10, 0, 1.0),
        "system_i/reset": Resources(100, 200, 7, 2.5),
    }


def test_a_table_with_shares_and_with_the_columns_of_ultrascale() -> None:
    text = SERIES_7.replace("DSP48 Blocks |", "URAM | DSPs |")
    text = re.sub(r"\|( +)7 \|$", r"|\g<1>0 | 7(0.41%) |", text, flags=re.MULTILINE)
    text = re.sub(r"\|( +)0 \|$", r"|\g<1>0 | 0(0.00%) |", text, flags=re.MULTILINE)
    text = text.replace("        120 |", "120(0.23%) |")
    assert vivado_reports.utilization(text)[""] == Resources(120, 210, 7, 3.5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Utilization by Hierarchy", "Utilization", "no section 'Utilization by Hierarchy'"),
        ("Instance", "Cell    ", "no table with the column 'Instance'"),
        ("RAMB36", "BRAMs ", "no column 'RAMB36' among Instance, Module, Total LUTs"),
        ("        120 |", "       many |", "invalid literal"),
    ],
)
def test_another_table(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vivado_reports.utilization(SERIES_7.replace(old, new))


def test_a_table_without_rows() -> None:
    rows = [
        line for line in SERIES_7.splitlines() if not re.match(r"\| +(system|\(|dma|U0|res)", line)
    ]
    with pytest.raises(ValueError, match="has no rows"):
        vivado_reports.utilization("\n".join(rows) + "\n")


def test_a_cell_below_none() -> None:
    lines = [line for line in SERIES_7.splitlines() if "| system_wrapper" not in line]
    with pytest.raises(ValueError, match="the cell system_i stands below no other"):
        vivado_reports.utilization("\n".join(lines) + "\n")


def test_timing_and_power_and_a_path() -> None:
    part = "xc7z020clg400-1"
    timing = vivado_reports.timing(fake_reports.timing(part, -0.5, 0.03, 3.75))
    assert timing == Timing(-0.5, 0.03, 3.75)
    assert not timing.is_met
    assert vivado_reports.power(fake_reports.power(part)) == Power(1.795, 1.651, 0.144)
    path = vivado_reports.worst_path(fake_reports.path(-0.5, "max"))
    assert isinstance(path, TimingPath)
    assert (path.slack, path.requirement) == (-0.5, "10.000ns")
    assert str(path).endswith(
        "10.212ns  (logic 3.914ns (38.327%)  route 6.298ns (61.673%)) of 10.000ns, logic levels "
        "11  (CARRY4=5 LUT3=1 LUT5=2 LUT6=3), slack -0.5 ns"
    )


@pytest.mark.parametrize("read", [vivado_reports.timing, vivado_reports.power])
def test_something_else(read: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="no "):
        read("Report DRC\n")
    with pytest.raises(ValueError, match="no path: "):
        vivado_reports.worst_path("No timing paths found.\n")


def test_a_design_without_a_clock() -> None:
    text = re.sub(
        r"^ +0\.412", "         NA", fake_reports.timing("x", 0.412, 0.031, 3.75), flags=re.M
    )
    with pytest.raises(ValueError, match="the design has no clock"):
        vivado_reports.timing(text)
