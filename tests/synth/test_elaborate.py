"""Parts as texts: equal where the hardware is, and what is no design is named."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.tools import ToolError
from pipeline.synth import mapping
from pipeline.synth.elaborate import Hdl, Split
from pipeline.synth.families import ECP5, XC7
from tests.synth.small import ADDER, BANK, TABLE, chain, parts_of, split, synthesised, table, write

MODULES = ["bank", "adder", "table_rom"]


def design(folder: Path, seed: int = 1, adder: str = ADDER) -> Hdl:
    folder.mkdir()
    return write(folder, [BANK, adder, TABLE], {"table.mem": table(seed)}, MODULES)


def texts(hdl: Hdl, splits: list[Split], work: Path) -> dict[str, str]:
    return {name: part.text for name, part in parts_of(hdl, splits, work).items()}


def test_only_what_a_part_is_made_of_changes_its_text(tmp_path: Path) -> None:
    first = texts(design(tmp_path / "a"), [split(MODULES)], tmp_path / "work a")
    assert list(first) == [*MODULES, "top"]
    again = texts(design(tmp_path / "b"), [split(MODULES)], tmp_path / "work b")
    assert again == first
    other_table = texts(design(tmp_path / "c", seed=2), [split(MODULES)], tmp_path / "work c")
    assert changed(first, other_table) == {"table_rom"}
    commented = ADDER.replace("logic [7:0] kept;", "// lines move\n\n  logic [7:0] kept;")
    moved = texts(design(tmp_path / "d", adder=commented), [split(MODULES)], tmp_path / "work d")
    assert moved == first
    other_logic = ADDER.replace("kept + x", "kept - x")
    minus = texts(design(tmp_path / "e", adder=other_logic), [split(MODULES)], tmp_path / "work e")
    assert changed(first, minus) == {"adder"}


def changed(before: dict[str, str], now: dict[str, str]) -> set[str]:
    assert before.keys() == now.keys()
    return {name for name in now if before[name] != now[name]}


def test_the_order_of_joined_nets_is_none(tmp_path: Path) -> None:
    """Several instances in a part: Yosys leaves the order of the nets between them to chance."""
    modules = ["bank", "adder"] * 8
    (tmp_path / "a").mkdir()
    hdl = write(tmp_path / "a", [BANK, ADDER], {}, modules)
    own = Split("top", {"all": {f"node{i}": module for i, module in enumerate(modules)}})
    found = [texts(hdl, [own], tmp_path / f"work {n}") for n in range(4)]
    assert found == found[:1] * 4


def test_what_a_port_is_tied_to_belongs_to_the_part(tmp_path: Path) -> None:
    hdl = design(tmp_path / "a")
    first = texts(hdl, [split(MODULES)], tmp_path / "work a")
    top = tmp_path / "a" / "top.sv"
    top.write_text(
        top.read_text().replace(".enable(enable), .x(stream0)", ".enable(1'b0), .x(stream0)")
    )
    tied = texts(hdl, [split(MODULES)], tmp_path / "work b")
    assert changed(first, tied) == {"bank", "top"}  # its port is gone


def test_parts_within_a_part(tmp_path: Path) -> None:
    """What is left of the inner module belongs to the part that it is in."""
    inner = chain(["bank", "adder"]).replace("module top", "module inner")
    inner = inner.replace("stream0 = x", "stream0 = ~x")
    hdl = write(tmp_path, [BANK, ADDER, inner], {}, ["inner", "adder"])
    splits = [
        Split("inner", {"in 0": {"node0": "bank"}, "in 1": {"node1": "adder"}}),
        Split("top", {"run": {"node0": "inner"}, "last": {"node1": "adder"}}),
    ]
    parts = parts_of(hdl, splits, tmp_path / "work")
    assert list(parts) == ["in 0", "in 1", "run", "last", "top"]
    assert parts["run"].boxes == {"part_in_0": "in 0", "part_in_1": "in 1"}
    assert parts["top"].boxes == {"part_run": "run", "part_last": "last"}
    found = synthesised(hdl, splits, ECP5, tmp_path / "cache", tmp_path / "scratch")
    paths = {row.name: row.path for row in found.rows}
    assert {row.name: row.usage.lut for row in found.rows} == {
        "in 0": 0,
        "in 1": 8,
        "run": 8,  # of the inversion
        "last": 8,
        "top": 0,
    }
    assert paths["in 0"] is not None  # the inversion before the part, too
    assert paths["in 0"].luts == 1
    assert paths["in 0"].start == ("an input of the accelerator", paths["in 0"].start[1])


def test_a_split_of_memories_beside_parts(tmp_path: Path) -> None:
    """What is left of a module may hold a memory."""
    top = chain(["bank"]).replace(
        "assign y = stream1;",
        "logic [7:0] held[32];\n  logic [4:0] at;\n  always_ff @(posedge clk) begin\n"
        "    at <= at + 1'b1;\n    held[at] <= stream1;\n  end\n  assign y = held[at];",
    )
    hdl = write(tmp_path, [BANK], {}, ["bank"])
    (tmp_path / "top.sv").write_text(top)
    parts = parts_of(hdl, [split(["bank"])], tmp_path / "work")
    assert "$mem_v2" in parts["top"].text
    assert "$dff" in parts["bank"].text


# --- what is kept -------------------------------------------------------------------------------


def test_a_netlist_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, splits = tmp_path / "cache", [split(MODULES)]
    hdl = design(tmp_path / "a")
    assert fresh(hdl, splits, cache, tmp_path / "1") == {*MODULES, "top"}
    monkeypatch.setattr(mapping, "_map_all", never)
    assert fresh(hdl, splits, cache, tmp_path / "2") == set()
    monkeypatch.undo()
    assert fresh(design(tmp_path / "b", seed=2), splits, cache, tmp_path / "3") == {"table_rom"}


def fresh(hdl: Hdl, splits: list[Split], cache: Path, scratch: Path) -> set[str]:
    return set(synthesised(hdl, splits, ECP5, cache, scratch).fresh)


def never(*_: object) -> None:
    raise AssertionError("a part is mapped")


def test_parts_of_equal_text_are_one(tmp_path: Path) -> None:
    """The same module behind itself: one netlist, counted twice."""
    hdl = write(tmp_path, [ADDER], {}, ["adder", "adder"])
    splits = [Split("top", {f"part {i}": {f"node{i}": "adder"} for i in range(2)})]
    found = synthesised(hdl, splits, ECP5, tmp_path / "cache", tmp_path / "scratch")
    assert [row.usage.ff for row in found.rows] == [16, 16, 0]


def test_the_key_has_the_family_and_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = parts_of(design(tmp_path / "a"), [split(MODULES)], tmp_path / "work")["adder"]
    first = mapping.key(part, ECP5)
    assert mapping.key(part, ECP5) == first
    assert mapping.key(part, XC7) != first
    tool = mapping.yosys()
    monkeypatch.setattr(mapping, "yosys", lambda: type(tool)(tool.path, {}, "0.71"))
    assert mapping.key(part, ECP5) != first


# --- what is refused ----------------------------------------------------------------------------


def refused(folder: Path, sources: list[str], modules: list[str]) -> str:
    hdl = write(folder, sources, {}, modules)
    with pytest.raises(UserError) as error:
        parts_of(hdl, [split(modules)], folder / "work")
    return str(error.value)


def test_a_latch_is_named(tmp_path: Path) -> None:
    latch = BANK.replace("always_ff @(posedge clk) if", "always_latch if").replace("<=", "=")
    message = refused(tmp_path, [latch], ["bank"])
    assert "node0.y is a latch" in message
    assert "where: bank" in message


def test_a_module_that_is_missing_is_named(tmp_path: Path) -> None:
    message = refused(tmp_path, [BANK.replace("endmodule", "  gone g (clk);\nendmodule")], ["bank"])
    assert "source0.sv:4: unknown module 'gone'" in message


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    message = refused(tmp_path, [TABLE], ["table_rom"])  # the HDL reads it, the list has it not
    assert "failed to open file 'table.mem'" in message
    hdl = Hdl("top", (), (tmp_path / "listed.mem",))
    with pytest.raises(UserError, match=r"listed\.mem, which the design needs, is not there"):
        parts_of(hdl, [], tmp_path / "other work")


def test_a_loop_of_logic_is_named(tmp_path: Path) -> None:
    loop = BANK.replace("always_ff @(posedge clk) if (enable) y <= x;", "assign y = (y + x) & x;")
    assert "logic loop" in refused(tmp_path, [loop], ["bank"])


def test_a_failure_while_mapping_keeps_the_log(tmp_path: Path) -> None:
    """A memory that the family has nothing for."""
    forced = TABLE.replace("logic [17:0] words", '(* ram_style = "huge" *) logic [17:0] words')
    hdl = write(tmp_path, [forced], {"table.mem": table()}, ["table_rom"])
    with pytest.raises(ToolError, match=r"no valid mapping found for memory .*words") as error:
        synthesised(hdl, [split(["table_rom"])], ECP5, tmp_path / "cache", tmp_path / "scratch")
    assert error.value.log.is_file()
