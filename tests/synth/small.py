"""Tiny designs: a top with one instance a part, whose sources are written here."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.synth.cells import Usage
from pipeline.synth.design import Synthesis, synthesise
from pipeline.synth.elaborate import Hdl, Part, Split, elaborate
from pipeline.synth.families import Family

BITS = 8

BANK = """
module bank (input logic clk, enable, input logic [7:0] x, output logic [7:0] y);
  always_ff @(posedge clk) if (enable) y <= x;
endmodule
"""
ADDER = """
module adder (input logic clk, enable, input logic [7:0] x, output logic [7:0] y);
  logic [7:0] kept;
  always_ff @(posedge clk) begin
    kept <= x;
    y    <= kept + x;
  end
  wire unused = enable;
endmodule
"""
TABLE = """
module table_rom (input logic clk, enable, input logic [7:0] x, output logic [7:0] y);
  logic [17:0] words[1024];
  logic [9:0]  at;
  logic [17:0] word;
  initial $readmemh("table.mem", words);
  always_ff @(posedge clk) begin
    at   <= {at[1:0], x};
    word <= words[at];
  end
  assign y = word[7:0] ^ word[15:8] ^ {6'd0, word[17:16]};
  wire unused = enable;
endmodule
"""
PRODUCT = """
module product (input logic clk, enable, input logic [7:0] x, output logic [7:0] y);
  logic [7:0]  kept;
  logic [15:0] result;
  always_ff @(posedge clk) begin
    kept   <= x;
    result <= kept * x;
  end
  assign y = result[15:8];
  wire unused = enable;
endmodule
"""
DELAY = """
module delay (input logic clk, enable, input logic [7:0] x, output logic [7:0] y);
  logic [15:0][7:0] line;
  always_ff @(posedge clk) if (enable) line <= {line[14:0], x};
  assign y = line[15];
endmodule
"""


def table(seed: int = 1) -> str:
    """1,024 words of 18 bits without a pattern."""
    state, words = seed, []
    for _ in range(1024):
        state = (state * 1103515245 + 12345) % 2**31
        words.append(f"{state >> 8 & 0x3FFFF:05x}")
    return "\n".join(words) + "\n"


def chain(modules: list[str]) -> str:
    """A top in which data goes through instances node0, node1 and so on."""
    body = "".join(
        f"  {module} node{i} (.clk(clk), .enable(enable), .x(stream{i}), .y(stream{i + 1}));\n"
        for i, module in enumerate(modules)
    )
    nets = "".join(f"  wire [7:0] stream{i};\n" for i in range(len(modules) + 1))
    return f"""module top (
  input wire clk, input wire enable, input wire [7:0] x, output wire [7:0] y
);
{nets}  assign stream0 = x;
{body}  assign y = stream{len(modules)};
endmodule
"""


def write(folder: Path, sources: list[str], tables: Mapping[str, str], modules: list[str]) -> Hdl:
    """The design's files, and the top that chains these modules."""
    files = {f"source{i}.sv": text for i, text in enumerate(sources)}
    files |= {"top.sv": chain(modules)}
    for name, text in {**files, **tables}.items():
        (folder / name).write_text(text)
    return Hdl("top", tuple(folder / n for n in files), tuple(folder / n for n in tables))


def split(modules: list[str]) -> Split:
    """A part for each, of its name."""
    return Split("top", {module: {f"node{i}": module} for i, module in enumerate(modules)})


def parts_of(hdl: Hdl, splits: list[Split], work: Path) -> dict[str, Part]:
    work.mkdir()
    return {part.name: part for part in elaborate(hdl, splits, work)}


def synthesised(
    hdl: Hdl, splits: list[Split], family: Family, cache: Path, scratch: Path
) -> Synthesis:
    scratch.mkdir()
    return synthesise(hdl, splits, family, cache, scratch)


def usages(found: Synthesis) -> dict[str, Usage]:
    return {row.name: row.usage for row in found.rows}
