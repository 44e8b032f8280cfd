"""A bank of kernels of `hw/rtl`: many instances in one simulator, one of them connected.

Building a simulator takes seconds, so all parameter points of a test share one.  The lowest byte
of an input word says which instance gets the rest of it, and whose output is seen.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.tools import run_tool
from pipeline.verify.rtlsim import Design, Simulator, Stalls, Stream, build_simulator, simulate
from pipeline.verify.rungs import RTL_CACHE
from pipeline.verify.streams import Integers, pack, unpack, word_bytes

RTL = PROJECT_ROOT / "hw" / "rtl"
STALLS = ("none", "random 40", "full", "reset")


@dataclass(frozen=True)
class Port:
    """The elements of a stream's words."""

    bits: int
    elements: int
    signed: bool = False

    @property
    def bytes(self) -> int:
        return word_bytes(self.bits, self.elements)


@dataclass(frozen=True)
class Instance:
    """A module with parameters: words of `entering` become words of `leaving`."""

    module: str
    parameters: Mapping[str, int | str]
    entering: Port
    leaving: Port


@dataclass(frozen=True)
class Run:
    """Output values in order, and the cycles that the simulation took."""

    values: Integers
    cycles: int
    latency: int


@dataclass(frozen=True)
class Bank:
    """Instances in a simulator that counts `words` output words as a frame."""

    simulator: Simulator
    instances: tuple[Instance, ...]
    folder: Path
    words: int

    def run(self, number: int, frames: int, values: Integers, stalls: str, seed: int = 1) -> Run:
        """Sends `values` through instance `number`, which must give `frames` frames."""
        print(f"instance {number}, stalls {stalls}, seed {seed}")
        entering, leaving = self.instances[number].entering, self.instances[number].leaving
        raw = np.frombuffer(pack(values, entering.bits, entering.elements), np.uint8)
        words = np.zeros((len(raw) // entering.bytes, _width(self.instances)), np.int64)
        words[:, 0] = number
        words[:, 1 : 1 + entering.bytes] = raw.reshape(-1, entering.bytes)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            simulation = simulate(
                self.simulator,
                words.reshape(frames, -1),
                stalls=Stalls.parse(stalls),
                seed=seed,
                tables=self.folder,
                scratch=Path(scratch),
            )
        seen = simulation.values["output"].reshape(frames * self.words, -1).astype(np.uint8)
        assert not seen[:, leaving.bytes :].any()
        own = seen[:, : leaving.bytes].tobytes()
        output = unpack(own, leaving.bits, leaving.signed, leaving.elements)
        return Run(output, simulation.cycles, simulation.latency)


def build_bank(
    instances: Sequence[Instance],
    folder: Path,
    words: int,
    tables: Mapping[str, str] = {},
    sources: Sequence[Path] = (),
) -> Bank:
    """Builds the simulator; `sources` are those of modules outside `hw/rtl`."""
    instances = tuple(instances)
    for name, text in tables.items():
        (folder / name).write_text(text)
    (folder / "bank.sv").write_text(bank_text(instances))
    own = sorted({RTL / f"{i.module}.sv" for i in instances} & set(RTL.iterdir()))
    lengths = {name: len(text.split()) for name, text in tables.items()}
    design = _design((*own, *sources, folder / "bank.sv"), instances, words, lengths)
    return Bank(build_simulator(design, RTL_CACHE), instances, folder, words)


def synthesised(bank: Bank, numbers: Sequence[int] = ()) -> Bank:
    """The same bank as Yosys reads it, or some instances of it: simulated from its netlist."""
    old, folder = bank.simulator.design, bank.folder
    instances = tuple(bank.instances[i] for i in numbers) or bank.instances
    (folder / "bank.sv").write_text(bank_text(instances))
    reading = f"read_slang --top bank {' '.join(map(str, old.sources))}"
    netlist = folder / "netlist.v"
    yosys((reading, "proc", "check -assert", "opt -full", f"write_verilog {netlist}"), folder)
    design = _design((netlist,), instances, bank.words, old.tables)
    return Bank(build_simulator(design, RTL_CACHE), instances, folder, bank.words)


def yosys(commands: Sequence[str], folder: Path) -> str:
    """Runs Yosys in a process of its own, since an error ends it; what it prints."""
    script = (
        "import sys; from pyosys import libyosys as ys; design = ys.Design();"
        "[ys.run_pass(command, design) for command in sys.argv[1:]]"
    )
    command = [sys.executable, "-c", script, *commands]
    return run_tool(command, cwd=folder, log=folder / "yosys.log", timeout_s=300)


def _width(instances: Sequence[Instance]) -> int:
    return 1 + max(i.entering.bytes for i in instances)


def _design(
    sources: tuple[Path, ...], instances: Sequence[Instance], words: int, tables: Mapping[str, int]
) -> Design:
    leaving = max(i.leaving.bytes for i in instances)
    return Design(
        top="bank",
        sources=sources,
        tables=tables,
        input=Stream("input", "s_axis", 8, False, _width(instances), words),
        output=Stream("output", "m_axis", 8, False, leaving, words),
        inner=(),
    )


def bank_text(instances: Sequence[Instance]) -> str:
    """The top: every instance sees its part of the input word, one sees that it is valid."""
    count, entering = len(instances), 8 * _width(instances)
    leaving = 8 * max(i.leaving.bytes for i in instances)
    body = "".join(_instance_text(i, instance, leaving) for i, instance in enumerate(instances))
    return f"""module bank (
  input  logic ap_clk,
  input  logic ap_rst_n,
  input  logic [{entering - 1}:0] s_axis_tdata,
  input  logic s_axis_tvalid,
  output logic s_axis_tready,
  output logic [{leaving - 1}:0] m_axis_tdata,
  output logic m_axis_tvalid,
  input  logic m_axis_tready
);
  logic [7:0] chosen;
  logic [{count - 1}:0] ready, valid;
  logic [{count - 1}:0][{leaving - 1}:0] data;
  assign chosen = s_axis_tdata[7:0];
  assign s_axis_tready = ready[chosen];
  assign m_axis_tvalid = valid[chosen];
  assign m_axis_tdata = data[chosen];
{body}endmodule
"""


def _instance_text(number: int, instance: Instance, leaving: int) -> str:
    parameters = ", ".join(f".{k}({_literal(v)})" for k, v in instance.parameters.items())
    own = 8 * instance.leaving.bytes
    return f"""
  logic [{own - 1}:0] data{number};
  assign data[{number}] = {leaving}'(data{number});
  {instance.module} #({parameters}) instance{number} (
    .ap_clk(ap_clk),
    .ap_rst_n(ap_rst_n),
    .in0_V_TDATA(s_axis_tdata[8 +: {8 * instance.entering.bytes}]),
    .in0_V_TVALID(s_axis_tvalid && chosen == {number}),
    .in0_V_TREADY(ready[{number}]),
    .out0_V_TDATA(data{number}),
    .out0_V_TVALID(valid[{number}]),
    .out0_V_TREADY(m_axis_tready && chosen == {number})
  );
"""


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
