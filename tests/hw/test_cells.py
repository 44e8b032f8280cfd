"""What cells do: as Yosys's own models say, and as the modules did that Yosys mapped to them."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.tools import run_tool, yosys
from pipeline.synth.families import XC7
from pipeline.synth.yosys import run as run_yosys
from pipeline.verify.netlist import cell_models
from pipeline.verify.rungs import RTL_CACHE
from pipeline.verify.verilated import Program, build

pytestmark = pytest.mark.slow

HARNESS = Path(__file__).with_name("cells.cpp")
CYCLES = 20_000
RESETS = ("R", "S", "RST")
"""Beginnings of the ports that are rarely 1."""


@dataclass(frozen=True)
class Case:
    """A cell with parameters; inputs: `name`, `name:bits` or `name=constant`; clock: its port."""

    cell: str
    inputs: str
    outputs: str
    clock: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def lut(inputs: int, seed: int) -> Case:
    bits = 2**inputs
    init = f"{bits}'h{random.Random(seed).getrandbits(bits):x}"
    return Case(f"LUT{inputs}", names("I", inputs), "O", parameters={"INIT": init})


def names(prefix: str, count: int) -> str:
    return " ".join(f"{prefix}{i}" for i in range(count))


def inits(bits: int, *parameters: str) -> dict[str, str]:
    rng = random.Random(bits)
    return {name: f"{bits}'h{rng.getrandbits(bits):x}" for name in parameters}


def dsp(opmode: str, alumode: str = "4'd0", inmode: str = "5'd0", **registers: int) -> Case:
    every = ("ADREG", "ALUMODEREG", "CARRYINREG", "CARRYINSELREG", "DREG", "INMODEREG", "OPMODEREG")
    own = dict.fromkeys(every, 0) | {"ACASCREG": registers["AREG"], "BCASCREG": registers["BREG"]}
    inputs = "A:30 B:18 C:48 PCIN:48 ACIN:30 BCIN:18 CARRYIN CARRYINSEL=3'd0"
    inputs += " CEA1 CEA2 CEB1 CEB2 CEC CEM CEP RSTA RSTB RSTC RSTM RSTP"
    inputs += f" OPMODE={opmode} ALUMODE={alumode} INMODE={inmode}"
    parameters = {name: str(value) for name, value in {**own, **registers}.items()}
    return Case("DSP48E1", inputs, "P:48 PCOUT:48 ACOUT:30 BCOUT:18", "CLK", parameters)


REGISTERED = {"AREG": 1, "BREG": 1, "CREG": 1, "MREG": 1, "PREG": 1}
NONE = dict.fromkeys(REGISTERED, 0)
RAM_M = "ADDRA:{0} ADDRB:{0} ADDRC:{0} ADDRD:{0} DIA:{1} DIB:{1} DIC:{1} DID:{1} WE"
INIT_M = ("INIT_A", "INIT_B", "INIT_C", "INIT_D")

CASES = [
    *(lut(inputs, seed) for inputs in range(1, 7) for seed in (1, 2)),
    Case("LUT6_2", names("I", 6), "O5 O6", parameters=inits(64, "INIT")),
    Case("INV", "I", "O"),
    Case("MUXF7", "I0 I1 S", "O"),
    Case("MUXF8", "I0 I1 S", "O"),
    Case("MUXF9", "I0 I1 S", "O"),
    Case("CARRY4", "CI=1'b0 CYINIT DI:4 S:4", "CO:4 O:4"),
    Case("CARRY4", "CI CYINIT=1'b0 DI:4 S:4", "CO:4 O:4"),
    *(Case("FDRE", "CE D R", "Q", "C", {"INIT": f"1'b{i}"}) for i in (0, 1)),
    *(Case("FDSE", "CE D S", "Q", "C", {"INIT": f"1'b{i}"}) for i in (0, 1)),
    Case("SRL16E", "A0 A1 A2 A3 CE D", "Q", "CLK", inits(16, "INIT")),
    Case("SRLC32E", "A:5 CE D", "Q Q31", "CLK", inits(32, "INIT")),
    Case("RAM32M", RAM_M.format(5, 2), "DOA:2 DOB:2 DOC:2 DOD:2", "WCLK", inits(64, *INIT_M)),
    Case("RAM64M", RAM_M.format(6, 1), "DOA DOB DOC DOD", "WCLK", inits(64, *INIT_M)),
    *(
        Case(
            f"RAM{2**bits}X1D",
            f"{names('A', bits)} {names('DPRA', bits)} D WE",
            "DPO SPO",
            "WCLK",
            inits(2**bits, "INIT"),
        )
        for bits in (5, 6)
    ),
    dsp("7'b0000101", **NONE),  # a product
    dsp("7'b0000101", **REGISTERED),
    dsp("7'b0110101", **REGISTERED),  # c + a * b
    dsp("7'b0110101", "4'b0011", **REGISTERED),  # c - a * b
    dsp("7'b0100101", **REGISTERED | {"AREG": 2, "BREG": 2}),  # p + a * b
    dsp("7'b0010101", inmode="5'b10001", **REGISTERED | {"AREG": 2, "BREG": 2}),  # pcin + a1 * b1
    dsp("7'b1010101", **REGISTERED | {"CREG": 0}),  # (pcin >> 17) + a * b
    dsp("7'b1101110", "4'b0001", **REGISTERED),  # ~(p >> 17) + p + c
    dsp("7'b0111011", "4'b0010", inmode="5'b00010", **REGISTERED),  # ~(c + a:b - 1)
]


# --- against Yosys's models ---------------------------------------------------------------------


def yosys_models() -> str:
    """Yosys's file of what Xilinx cells do."""
    package = next((PROJECT_ROOT / ".venv").glob("lib/python*/site-packages/pyosys"))
    return (package / "share" / "xilinx" / "cells_sim.v").read_text()


def theirs(text: str) -> str:
    """The modules of all cases, under names of their own."""
    found = []
    for cell in {case.cell for case in CASES}:
        (module,) = re.findall(rf"^module {cell} ?\(.*?^endmodule", text, re.DOTALL | re.MULTILINE)
        found.append(module.replace(f"module {cell}", f"module theirs_{cell}", 1))
    return "\n".join(found)


def ports(spec: str) -> Iterator[tuple[str, int, str]]:
    """Names, bits and constants ("": none)."""
    for text in spec.split():
        name, _, constant = text.partition("=")
        name, _, bits = name.partition(":")
        yield name, int(bits or 1), constant


def instance(case: Case, number: int) -> str:
    """The cell twice, and whether an output differs."""
    lines, inputs, place = list[str](), list[str](), 0
    if case.clock:
        inputs.append(f".{case.clock}(clk)")
    for name, bits, constant in ports(case.inputs):
        rare = name.startswith(RESETS)
        taken = 4 if rare else bits
        drawn = f"{'&' if rare else ''}random[{place} +: {taken}]"
        inputs.append(f".{name}({constant or drawn})")
        place += taken
    parameters = ", ".join(f".{name}({value})" for name, value in case.parameters.items())
    same = list[str]()
    outputs: dict[str, list[str]] = {"": [], "theirs_": []}
    for name, bits, _ in ports(case.outputs):
        for prefix, own in outputs.items():
            net = f"{prefix}{name}_{number}"
            lines.append(f"  wire [{bits - 1}:0] {net};\n")
            own.append(f".{name}({net})")
        same.append(f"{name}_{number} == theirs_{name}_{number}")
    for prefix, own in outputs.items():
        joined = ", ".join((*inputs, *own))
        lines.append(
            f"  {prefix}{case.cell} #({parameters}) {prefix or 'our_'}cell_{number} ({joined});\n"
        )
    lines.append(f"  assign differs[{number}] = !({' && '.join(same)});\n")
    return "".join(lines)


def top(body: str, count: int, words: int = 12) -> str:
    return f"""module top (input clk, output [63:0] differs);
  reg [{32 * words - 1}:0] random = 0;
  integer i;
  always @(posedge clk) for (i = 0; i < {words}; i = i + 1) random[32*i +: 32] <= $urandom;
{body}  assign differs[63:{count}] = 0;
endmodule
"""


def differing(texts: Mapping[str, str], folder: Path, models: Sequence[Path]) -> set[int]:
    """Which numbers of the top ever differ; texts: files beside the models."""
    folder.mkdir()
    write_tables(folder)
    for name, text in texts.items():
        (folder / name).write_text(text)
    sources = (*models, *(folder / name for name in texts))
    program = build(Program("top", sources, HARNESS, {}), RTL_CACHE)
    said = run_tool([program.path, str(CYCLES)], cwd=folder, log=folder / "log", timeout_s=120)
    *lines, end = said.splitlines()
    assert end == "end"
    return {int(line.split()[0]) for line in lines}


def compared(models: Sequence[Path], folder: Path) -> set[int]:
    body = "".join(instance(case, number) for number, case in enumerate(CASES))
    texts = {"theirs.v": theirs(yosys_models()), "top.sv": top(body, len(CASES))}
    return differing(texts, folder, models)


def test_cells_do_what_yosys_says(tmp_path: Path) -> None:
    assert compared(cell_models(XC7), tmp_path / "run") == set()


FAULTS = {
    "INIT[{I3, I2, I1, I0}]": ("INIT[{I3, I2, I0, I1}]", {"LUT4"}),
    "{CO[2:0], first}": ("{CO[2:0], CI}", {"CARRY4"}),
    "else if (CE) Q <= D;\nendmodule\n\nmodule FDSE": (
        "else Q <= D;\nendmodule\n\nmodule FDSE",
        {"FDRE"},
    ),
    "held[A];": ("held[A ^ 5'd1];", {"SRLC32E"}),
    "c[2*ADDRD +: 2] <= DIC": ("c[2*ADDRC +: 2] <= DIC", {"RAM32M"}),
    "z = p_q >>> 17": ("z = p_q >> 17", {"DSP48E1"}),
}
"""Text of the models, what stands in its place, and whose cells then differ."""


def test_a_broken_model_is_noticed(tmp_path: Path) -> None:
    broken, expected = list[Path](), set[str]()
    for number, file in enumerate(cell_models(XC7)):
        text = file.read_text()
        for old, (new, cells) in FAULTS.items():
            if old in text:
                assert text.count(old) == 1
                text, expected = text.replace(old, new), expected | cells
        broken.append(tmp_path / f"broken{number}.v")
        broken[-1].write_text(text)
    assert len(expected) == len(FAULTS)
    found = compared(broken, tmp_path / "run")
    assert {CASES[number].cell for number in found} == expected


# --- against the modules that Yosys mapped to them ----------------------------------------------

PORTS = "input logic clk, input logic [95:0] random, output logic [71:0] y"


def write_tables(folder: Path) -> None:
    """Of the memories, for who reads them in this folder."""
    for body, _ in MAPPED.values():
        for name in re.findall(r"\d+x\d+\.mem", body):
            words, bits = map(int, name.removesuffix(".mem").split("x"))
            rng = random.Random(words * bits)
            (folder / name).write_text(
                "".join(f"{rng.getrandbits(bits):x}\n" for _ in range(words))
            )


def rom(words: int, bits: int) -> str:
    """Read by an address, in the cycle after; its words are in a table."""
    address = (words - 1).bit_length()
    return f"""
  logic [{bits - 1}:0] words[{words}];
  initial $readmemh("{words}x{bits}.mem", words);
  logic [{bits - 1}:0] read;
  always_ff @(posedge clk) if (random[90] || !started) read <= words[random[{address - 1}:0]];
  assign y = 72'(read);
"""


def ram(words: int, bits: int, lanes: int, ports: int) -> str:
    """Written in lanes; read by another port, or by the same and another."""
    address, lane = (words - 1).bit_length(), bits // lanes
    writes = "".join(
        f"    if (random[{80 + i}]) words[write][{i * lane} +: {lane}] <= "
        f"random[{i * lane % 40} +: {lane}];\n"
        for i in range(lanes)
    )
    own = "own <= words[write];" if ports == 2 else "own <= '0;"
    return f"""
  (* ram_style = "block" *) logic [{bits - 1}:0] words[{words}];
  initial $readmemh("{words}x{bits}.mem", words);
  logic [{bits - 1}:0] read, own;
  wire [{address - 1}:0] write = {address}'(random[55:44] & 12'h0ff);
  always_ff @(posedge clk) begin
{writes}    {own}
    if (random[91] || !started) read <= words[{address}'(random[67:56] & 12'h0ff)];
  end
  assign y = 72'(read ^ own);
"""


MULTIPLY_ADD = """
  (* use_dsp = "yes" *) logic signed [27:0] product;
  (* use_dsp = "yes" *) logic signed [28:0] total;
  logic signed [15:0] a;
  logic signed [11:0] b;
  logic signed [27:0] c;
  always_ff @(posedge clk) begin
    a <= random[15:0];
    b <= random[27:16];
    c <= random[55:28];
    product <= a * b;
    total <= product + c;
  end
  assign y = 72'(total);
"""
"""`total` has no bit to spare: Yosys 0.70 loses one that repeats the sign as it takes the register
into the multiplier (`xilinx_dsp`), which is seen nowhere but in a simulation of the netlist."""

MAPPED = {
    "rom_1": (rom(16384, 1), "RAMB18E1"),
    "rom_2": (rom(8192, 2), "RAMB18E1"),
    "rom_4": (rom(4096, 4), "RAMB18E1"),
    "rom_18": (rom(1024, 18), "RAMB18E1"),
    "rom_36": (rom(512, 36), "RAMB18E1"),
    "rom_big_18": (rom(2048, 18), "RAMB36E1"),
    "rom_72": (rom(512, 72), "RAMB36E1"),
    "ram_36": (ram(512, 36, 4, 1), "RAMB18E1"),
    "ram_72": (ram(512, 72, 1, 1), "RAMB36E1"),
    "ram_18": (ram(1024, 18, 1, 1), "RAMB18E1"),
    "ram_4": (ram(4096, 4, 1, 1), "RAMB18E1"),
    "ram_9_both": (ram(2048, 9, 1, 2), "RAMB18E1"),
    "ram_18_both": (ram(2048, 18, 2, 2), "RAMB36E1"),
    "multiply_add": (MULTIPLY_ADD, "DSP48E1"),
}
"""Modules, and the cell that has to be among those that they are mapped to."""


def module(name: str, body: str) -> str:
    started = "  logic started = 1'b0;\n  always_ff @(posedge clk) started <= 1'b1;\n"
    return f"module {name} ({PORTS});\n{started}{body}endmodule\n"


@pytest.fixture(scope="module")
def netlists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Verilog of the mapped modules."""
    folder = tmp_path_factory.mktemp("mapped")
    found = {}
    for name, (body, cell) in MAPPED.items():
        work = folder / name
        work.mkdir()
        write_tables(work)
        (work / "own.sv").write_text(module(name, body))
        commands = [f"read_slang --top {name} own.sv", *XC7.commands(name)]
        run_yosys(
            [
                *commands,
                f"rename {name} mapped_{name}",
                f"select mapped_{name}",
                "write_verilog -noattr -selected mapped.v",
            ],
            work,
            ["mapped.v"],
        )
        found[name] = (work / "mapped.v").read_text()
        assert re.search(rf"\b{cell} #\(", found[name]), (name, yosys().version)
    return found


def mapped_top() -> str:
    lines = ["  reg [3:0] cycle = 0;\n  always @(posedge clk) if (cycle < 8) cycle <= cycle + 1;\n"]
    for number, name in enumerate(MAPPED):
        lines.append(f"  wire [71:0] y{number}, mapped_y{number};\n")
        for prefix in ("", "mapped_"):
            lines.append(
                f"  {prefix}{name} {prefix}instance{number} "
                f"(.clk(clk), .random(random[95:0]), .y({prefix}y{number}));\n"
            )
        lines.append(f"  assign differs[{number}] = cycle == 8 && y{number} != mapped_y{number};\n")
    return top("".join(lines), len(MAPPED), 3)


def different(netlists: Mapping[str, str], folder: Path) -> set[str]:
    texts = {f"{name}.sv": module(name, body) for name, (body, _) in MAPPED.items()}
    texts |= {f"mapped_{name}.v": text for name, text in netlists.items()}
    found = differing(texts | {"top.sv": mapped_top()}, folder, cell_models(XC7))
    return {name for number, name in enumerate(MAPPED) if number in found}


def test_blocks_do_what_they_were_mapped_from(netlists: dict[str, str], tmp_path: Path) -> None:
    assert different(netlists, tmp_path / "run") == set()


def test_one_bit_of_a_table_is_noticed(netlists: dict[str, str], tmp_path: Path) -> None:
    """And of a LUT, a parity bit and a port's width."""
    changes = {
        "rom_1": (r"(\.INIT_05\(256'h)(\w)", flipped),
        "rom_72": (r"(\.INITP_03\(256'h)(\w)", flipped),
        "ram_9_both": (r"(\.WRITE_WIDTH_A\(32'sd|\.WRITE_WIDTH_A\(32'd)9\b", r"\g<1>18"),
    }
    broken = dict(netlists)
    for name, (pattern, new) in changes.items():
        broken[name], count = re.subn(pattern, new, netlists[name], count=1)
        assert count == 1, name
    assert different(broken, tmp_path / "run") == set(changes)


def flipped(found: re.Match[str]) -> str:
    return f"{found[1]}{int(found[2], 16) ^ 1:x}"
