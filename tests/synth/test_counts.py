"""What tiny modules take is known beforehand, to the last LUT."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.synth.cells import UnknownCellError, Usage, usage
from pipeline.synth.families import ECP5, XC7, XCUP, Family, family_of
from pipeline.synth.netlist import Cell
from pipeline.synth.report import Row
from tests.synth.small import (
    ADDER,
    BANK,
    DELAY,
    PRODUCT,
    TABLE,
    split,
    synthesised,
    table,
    usages,
    write,
)

MODULES = ["bank", "adder", "table_rom", "product", "delay"]
SOURCES = [BANK, ADDER, TABLE, PRODUCT, DELAY]


def rows_of(family: Family, modules: list[str], folder: Path) -> dict[str, Row]:
    hdl = write(folder, SOURCES, {"table.mem": table()}, modules)
    found = synthesised(hdl, [split(modules)], family, folder / "cache", folder / "scratch")
    assert set(found.fresh) == {*modules, "top"}
    return {row.name: row for row in found.rows}


@pytest.mark.slow
def test_7_series(tmp_path: Path) -> None:
    rows = rows_of(XC7, MODULES, tmp_path)
    assert {name: row.usage for name, row in rows.items()} == {
        "bank": Usage(ff=8),
        # 8 sums, one LUT each in front of two carry cells; two registers of 8 bits
        "adder": Usage(lut=8, logic=8, ff=16, packed=8),
        # 1,024 words of 18 bits are half a block, whose register is `word`; 8 bits of xor
        "table_rom": Usage(lut=8, logic=8, ff=10, bram36=0.5, packed=8),
        "product": Usage(dsp=1),  # both registers are the multiplier's own
        # 16 steps of 8 bits, two of which could share a LUT, but Yosys does not
        "delay": Usage(lut=8, srl=8, packed=8),
        "top": Usage(),
    }
    adder, product = rows["adder"].path, rows["product"].path
    assert adder is not None
    assert product is not None
    assert (adder.luts, adder.chains, adder.carry) == (1, 1, 2)
    assert (adder.start[0], adder.end[0]) == ("bank", "adder")
    assert adder.start[1].startswith("node0.y[")
    assert adder.end[1].startswith("node1.y[")
    # out of the block, through the xor, into the multiplier's register
    assert (product.luts, product.chains, product.multipliers) == (1, 0, 0)
    assert product.start[1].startswith("node2.word[")


def test_ecp5(tmp_path: Path) -> None:
    rows = rows_of(ECP5, MODULES, tmp_path)
    assert {name: row.usage for name, row in rows.items()} == {
        "bank": Usage(ff=8),
        "adder": Usage(lut=8, logic=8, ff=16, packed=8),  # four carry cells of two LUTs
        "table_rom": Usage(lut=8, logic=8, ff=10, bram36=0.5, packed=8),
        "product": Usage(dsp=1, ff=16),
        "delay": Usage(ff=128),  # it has no shift registers in LUTs
        "top": Usage(),
    }
    adder, product = rows["adder"].path, rows["product"].path
    assert adder is not None
    assert product is not None
    assert (adder.luts, adder.chains, adder.carry) == (0, 1, 4)
    assert (product.luts, product.multipliers) == (1, 1)


def test_ultrascale(tmp_path: Path) -> None:
    rows = rows_of(XCUP, ["product"], tmp_path)
    assert usages_of(rows) == {"product": Usage(dsp=1, ff=16), "top": Usage()}


def usages_of(rows: dict[str, Row]) -> dict[str, Usage]:
    return {name: row.usage for name, row in rows.items()}


@pytest.mark.parametrize(("bits", "multipliers"), [(4, 0), (5, 1)])
def test_a_small_product_takes_no_multiplier(tmp_path: Path, bits: int, multipliers: int) -> None:
    text = f"""
module times (input logic clk, enable, input logic [7:0] x, output logic [7:0] y);
  logic [{bits - 1}:0]   kept;
  logic [{2 * bits - 1}:0] result;
  always_ff @(posedge clk) begin
    kept   <= x[{bits - 1}:0];
    result <= kept * x[{bits - 1}:0];
  end
  assign y = 8'(result) ^ 8'(result >> 4);
  wire unused = &{{1'b0, enable, x}};
endmodule
"""
    hdl = write(tmp_path, [text], {}, ["times"])
    found = synthesised(hdl, [split(["times"])], ECP5, tmp_path / "cache", tmp_path / "scratch")
    used = usages(found)["times"]
    assert (used.dsp, used.ff) == (multipliers, 3 * bits)
    assert used.lut > (8 if multipliers == 0 else 0)


def test_family_of_a_part() -> None:
    parts = {
        "xc7z020clg400-1": XC7,
        "xa7a35t": XC7,
        "xczu7ev-ffvc1156-2-e": XCUP,
        "xck26-sfvc784-2LV-c": XCUP,
        "LFE5U-85F-6BG381C": ECP5,
    }
    assert {part: family_of(part, "here") for part in parts} == parts


def test_a_part_of_another_maker() -> None:
    with pytest.raises(UserError, match="part 'EP4CE22F17C6'") as error:
        family_of("EP4CE22F17C6", "hw/boards/de0.toml")
    assert error.value.where == "hw/boards/de0.toml"
    assert "Xilinx UltraScale+" in error.value.remedy


@pytest.mark.parametrize("kind", ["LDCE", "RAM64X8SW"])
def test_a_cell_of_unknown_cost_is_an_error(kind: str) -> None:
    with pytest.raises(UnknownCellError, match=kind):
        usage([Cell(kind, {}, {})], {})
