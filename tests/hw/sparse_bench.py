"""A bank of sparse engines in one simulator: building one takes seconds.

Faults are planted in copies of the modules, which go into the same bank.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.codegen.zeros_dense import SOURCES, Engine, engine
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.tools import run_tool
from pipeline.dataflow.zeros.dense import Schedule
from pipeline.verify.rungs import RTL_CACHE
from pipeline.verify.verilated import Program, build
from tests.hw.bank import yosys

RTL = PROJECT_ROOT / "hw" / "rtl"
HARNESS = Path(__file__).with_name("sparse_engine.cpp")
POSITION_BITS, HIDDEN_BITS = 512, 256
FLAGS = ("-CFLAGS", "-O0")
"""Compiling takes longer than running."""


@dataclass(frozen=True)
class Fault:
    """A module of the engine in which `right` stands once and is made `wrong`."""

    module: str
    right: str
    wrong: str


@dataclass
class Events:
    """What is sent, in the harness's text; lines of it."""

    lines: list[str] = field(default_factory=list)

    def frames(self, schedule: Schedule, codes: np.ndarray, gaps: Iterator[int]) -> None:
        """Unsigned codes (frames, positions, channels), each position at least its gap after the
        one before, and that at least the schedule's spacing."""
        bits = schedule.shape.code_bits
        for position in codes.reshape(-1, codes.shape[-1]).tolist():
            word = sum(code << (bits * c) for c, code in enumerate(position))
            idle = schedule.spacing - 1 + next(gaps)
            self.lines.append(f"p {idle if self.lines else 0} {word:x}")

    def reset(self, gap: int, cycles: int) -> None:
        self.lines.append(f"r {gap} {cycles}")

    def wait(self, cycles: int) -> None:
        self.lines.append(f"w {cycles}")


@dataclass(frozen=True)
class Output:
    """values, and the flags beside them; hidden: words of codes (words, groups); cycles of
    positions and values."""

    values: np.ndarray
    last: np.ndarray
    hidden: np.ndarray
    position_cycles: np.ndarray
    value_cycles: np.ndarray


@dataclass(frozen=True)
class Bank:
    path: Path
    folder: Path
    schedules: tuple[Schedule, ...]

    def run(self, number: int, events: Events, seed: int = 1) -> list[Output]:
        """What engine `number` gives, from one reset to the next.

        seed: of what registers hold before the first one, which is not among the events.
        """
        schedule = self.schedules[number]
        file = self.folder / "events.txt"
        file.write_text("".join(f"{line}\n" for line in events.lines))
        text = run_tool(
            [self.path, str(number), str(seed), file],
            cwd=self.folder,
            log=self.folder / "run.log",
            timeout_s=60,
        )
        _, *parts = f"\n{text}".split("\nr ")
        return [_output(part.splitlines()[1:], schedule) for part in parts]


def _output(lines: Sequence[str], schedule: Schedule) -> Output:
    rows: Mapping[str, list[list[str]]] = {"p": [], "v": [], "h": []}
    for line in lines:
        kind, *fields = line.split()
        rows[kind].append(fields)
    words = [_codes(int(word, 16), schedule) for _, word in rows["h"]]
    return Output(
        values=np.array([int(value) for _, value, _ in rows["v"]], np.int64),
        last=np.array([flag == "1" for _, _, flag in rows["v"]]),
        hidden=np.array(words, np.int64).reshape(-1, schedule.shape.groups),
        position_cycles=np.array([int(cycle) for (cycle,) in rows["p"]]),
        value_cycles=np.array([int(cycle) for cycle, _, _ in rows["v"]]),
    )


def _codes(word: int, schedule: Schedule) -> list[int]:
    bits = schedule.shape.code_bits
    return [word >> (bits * g) & ((1 << bits) - 1) for g in range(schedule.shape.groups)]


def build_bank(
    folder: Path, schedules: Sequence[Schedule], faults: Sequence[tuple[Schedule, Fault]] = ()
) -> Bank:
    """Engines of the schedules, then those with faults."""
    sources = [RTL / f"{name}.sv" for name in SOURCES]
    for number, (_, fault) in enumerate(faults):
        sources.append(folder / f"faulty{number}.sv")
        sources[-1].write_text(_broken(fault, f"_fault{number}"))
    suffixes = [""] * len(schedules) + [f"_fault{number}" for number in range(len(faults))]
    whole = [*schedules, *(schedule for schedule, _ in faults)]
    return _built(folder, [*sources, _top(folder, whole, suffixes)], whole)


def synthesised(folder: Path, schedules: Sequence[Schedule]) -> Bank:
    """Engines of the schedules as Yosys reads them."""
    sources = [RTL / f"{name}.sv" for name in SOURCES]
    sources.append(_top(folder, schedules, [""] * len(schedules)))
    reading = f"read_slang --top bank {' '.join(map(str, sources))}"
    netlist = folder / "netlist.v"
    yosys((reading, "proc", "check -assert", "opt -full", f"write_verilog {netlist}"), folder)
    return _built(folder, [netlist], schedules)


def _built(folder: Path, sources: Sequence[Path], schedules: Sequence[Schedule]) -> Bank:
    program = Program("bank", tuple(sources), HARNESS, {}, FLAGS)
    return Bank(build(program, RTL_CACHE).path, folder, tuple(schedules))


def _broken(fault: Fault, suffix: str) -> str:
    """All modules under other names, one of them with the fault."""
    texts = {name: (RTL / f"{name}.sv").read_text() for name in SOURCES}
    assert texts[fault.module].count(fault.right) == 1, fault
    texts[fault.module] = texts[fault.module].replace(fault.right, fault.wrong)
    whole = "\n".join(texts.values())
    for name in texts:
        whole = whole.replace(f"{name} #(", f"{name}{suffix} #(")
    return whole


def _top(folder: Path, schedules: Sequence[Schedule], suffixes: Sequence[str]) -> Path:
    """A file with the bank, and the tables of its engines beside it."""
    body = ""
    for number, (schedule, suffix) in enumerate(zip(schedules, suffixes, strict=True)):
        made = engine(schedule, f"engine{number}")
        for name, table in made.tables.items():
            (folder / name).write_text(table)
        body += _instance(number, schedule, made, suffix)
    path = folder / "bank.sv"
    path.write_text(_bank(body, len(schedules)))
    return path


def _bank(body: str, count: int) -> str:
    return f"""module bank (
  input  logic clk, rst_n,
  input  logic [7:0] chosen,
  input  logic [{POSITION_BITS - 1}:0] position,
  input  logic valid,
  output logic [63:0] value,
  output logic value_valid, value_last,
  output logic [{HIDDEN_BITS - 1}:0] hidden,
  output logic hidden_valid
);
  logic [63:0] values[{count}];
  logic [{HIDDEN_BITS - 1}:0] words[{count}];
  logic [{count - 1}:0] valids, lasts, hiddens;
  assign value        = values[chosen];
  assign value_valid  = valids[chosen];
  assign value_last   = lasts[chosen];
  assign hidden       = words[chosen];
  assign hidden_valid = hiddens[chosen];
{body}endmodule
"""


def _instance(number: int, schedule: Schedule, made: Engine, suffix: str) -> str:
    shape = schedule.shape
    return f"""
  logic signed [{shape.value_bits - 1}:0] value{number};
  logic [{shape.groups * shape.code_bits - 1}:0] hidden{number};
  assign values[{number}] = 64'(value{number});
  assign words[{number}] = {HIDDEN_BITS}'(hidden{number});
  sparse_engine{suffix} #({made.instance_parameters}) engine{number} (
    .clk(clk && chosen == {number}), .rst_n,
    .position_i(position[{shape.channels * shape.code_bits - 1}:0]),
    .valid_i(valid && chosen == {number}),
    .value_o(value{number}),
    .value_valid_o(valids[{number}]),
    .value_last_o(lasts[{number}]),
    .hidden_o(hidden{number}),
    .hidden_valid_o(hiddens[{number}])
  );
"""
