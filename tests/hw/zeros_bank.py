"""A bank of runs of the zero-skipping engine in one simulator: building one takes seconds.

Faults are planted in copies of the modules, which go into the same bank.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.codegen.zeros_run import Tap, kernels, run_files, taps
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.tools import run_tool
from pipeline.dataflow.integer_model import Codes
from pipeline.dataflow.zeros.run import Run
from pipeline.verify.rungs import RTL_CACHE
from pipeline.verify.streams import pack, unpack, word_bytes
from pipeline.verify.verilated import Program, build

RTL = PROJECT_ROOT / "hw" / "rtl"
HARNESS = Path(__file__).with_name("zeros_runs.cpp")
LEAST_BYTES = 12
"""Of a port, so that all of them are of one kind in C++."""


@dataclass(frozen=True)
class Fault:
    """A module of `hw/rtl` in which `right` stands once and is made `wrong`."""

    module: str
    right: str
    wrong: str


@dataclass
class Events:
    """What is sent, in the harness's text, and in which cycles the output is taken by turns."""

    lines: list[str] = field(default_factory=list)
    ready: Sequence[int] = ()

    def beats(self, run: Run, codes: np.ndarray, gaps: Iterator[int]) -> None:
        """Codes (frames, positions, channels); gaps: idle cycles before each beat."""
        elements = run.pace.group * run.channels
        raw = pack(codes, run.entering.bits, elements).hex()
        digits = 2 * word_bytes(run.entering.bits, elements)
        for start in range(0, len(raw), digits):
            self.lines.append(f"b {next(gaps)} {raw[start : start + digits]}")

    def reset(self, cycles: int) -> None:
        self.lines.append(f"r {cycles}")


@dataclass(frozen=True)
class Output:
    """Codes by boundary, in order, as of the last layer those that leave; cycles: of the beats that
    were taken and of the words that left."""

    values: dict[str, np.ndarray]
    taken: np.ndarray
    left: np.ndarray


@dataclass(frozen=True)
class Ports:
    """Of a bank: bytes of a beat that enters, bytes of a word of a tap or of one that leaves, and
    how many taps are seen."""

    beat: int
    word: int
    taps: int

    @property
    def flags(self) -> tuple[str, ...]:
        """Compiling takes longer than running."""
        return ("-CFLAGS", f"-O0 -DTAPS={self.taps} -DTAP_BYTES={self.word}")


def ports(runs: Sequence[Run]) -> Ports:
    """Large enough for all of them."""
    beats = [word_bytes(run.entering.bits, run.convolutions[0].channels) for run in runs]
    words = [word_bytes(x.output.bits, x.outputs) for run in runs for x in run.convolutions]
    most = max(len(taps(run)) for run in runs)
    return Ports(max(LEAST_BYTES, *beats), max(LEAST_BYTES, *words), most)


@dataclass(frozen=True)
class Bank:
    path: Path
    folder: Path
    runs: tuple[Run, ...]
    ports: Ports

    def run(self, number: int, events: Events, seed: int = 1) -> list[Output]:
        """What a run gives, from one reset to the next.  Raises ToolError where a beat waits for
        ever."""
        sent, ready = self.folder / "events.txt", self.folder / "ready.txt"
        sent.write_text("".join(f"{line}\n" for line in events.lines))
        ready.write_text(" ".join(map(str, events.ready)))
        text = run_tool(
            [self.path, str(number), str(seed), sent, ready],
            cwd=self.folder,
            log=self.folder / "run.log",
            timeout_s=120,
        )
        return [_output(part, self.runs[number], self.ports) for part in text.split("r\n")[1:]]


def _output(text: str, run: Run, ports: Ports) -> Output:
    words: dict[str, list[str]] = {key: [] for key in ("i", "o", *map(str, range(ports.taps)))}
    cycles: dict[str, list[int]] = {"i": [], "o": []}
    for line in text.splitlines():
        kind, *fields = line.split()
        if kind == "t":
            words[fields[0]].append(fields[2])
        else:
            cycles[kind].append(int(fields[0]))
            words[kind] += fields[1:]
    values = {}
    for number, tap in enumerate(taps(run)):
        (part,) = tap.parts
        codes = Codes(0, 2**tap.bits - 1)
        values[part.boundary] = _values(words[str(number)], ports, codes, tap.elements) + part.low
    last = run.convolutions[-1]
    values["out"] = _values(words["o"], ports, last.output, last.outputs)
    return Output(values, np.array(cycles["i"]), np.array(cycles["o"]))


def _values(words: Sequence[str], ports: Ports, codes: Codes, elements: int) -> np.ndarray:
    raw = np.frombuffer(bytes.fromhex("".join(words)), np.uint8).reshape(-1, ports.word)
    own = word_bytes(codes.bits, elements)
    assert not raw[:, own:].any()
    return unpack(raw[:, :own].tobytes(), codes.bits, codes.signed, elements)


# --- building -----------------------------------------------------------------------------------


def build_bank(folder: Path, runs: Sequence[Run], faults: Sequence[tuple[Run, Fault]] = ()) -> Bank:
    """The runs, then those with faults."""
    whole = [*runs, *(run for run, _ in faults)]
    texts: dict[str, str] = {}
    for number, run in enumerate(whole):
        files = {name: raw.decode() for name, raw in run_files(run, f"run{number}").items()}
        if number >= len(runs):
            files = _broken(files, faults[number - len(runs)][1], f"fault{number}")
        texts |= files
    sizes = ports(whole)
    texts["bank.sv"] = _bank(whole, sizes)
    for name, text in texts.items():
        (folder / name).write_text(text)
    used = sorted({name for run in whole for name in kernels(run)})
    sources = [RTL / f"{name}.sv" for name in used]
    sources += [folder / name for name in texts if name.endswith(".sv")]
    program = Program("bank", tuple(sources), HARNESS, {}, sizes.flags)
    return Bank(build(program, RTL_CACHE).path, folder, tuple(whole), sizes)


def _broken(files: dict[str, str], fault: Fault, name: str) -> dict[str, str]:
    """The files of a run with the faulty module, which is called `name`."""
    text = (RTL / f"{fault.module}.sv").read_text()
    assert text.count(fault.right) == 1, fault
    text = text.replace(fault.right, fault.wrong).replace(
        f"module {fault.module} ", f"module {name} "
    )
    renamed = {
        file: own.replace(f" {fault.module} #(", f" {name} #(") for file, own in files.items()
    }
    assert renamed != files, f"{fault.module} is not used"
    return renamed | {f"{name}.sv": text}


def _bank(runs: Sequence[Run], sizes: Ports) -> str:
    count, bits, most = len(runs), 8 * sizes.word, sizes.taps
    body = "".join(_instance(number, run, sizes) for number, run in enumerate(runs))
    return f"""module bank (
  input  logic clk, rst_n,
  input  logic [7:0] chosen,
  input  logic [{8 * sizes.beat - 1}:0] data,
  input  logic valid, ready,
  output logic taken, out_valid,
  output logic [{bits - 1}:0] out,
  output logic [{max(LEAST_BYTES * 8, most * bits) - 1}:0] taps,
  output logic [7:0] tap_valids
);
  logic takens[{count}], out_valids[{count}];
  logic [{bits - 1}:0] outs[{count}];
  logic [{most - 1}:0][{bits - 1}:0] shown[{count}];
  logic [{most - 1}:0] shown_valids[{count}];
  assign taken      = takens[chosen];
  assign out_valid  = out_valids[chosen];
  assign out        = outs[chosen];
  assign taps       = shown[chosen];
  assign tap_valids = 8'(shown_valids[chosen]);
{body}endmodule
"""


def _instance(number: int, run: Run, sizes: Ports) -> str:
    first, last = run.convolutions[0], run.convolutions[-1]
    entering = 8 * word_bytes(run.entering.bits, first.channels)
    leaving = 8 * word_bytes(last.output.bits, last.outputs)
    shown = taps(run)
    unused = range(len(shown), sizes.taps)
    return f"""
  logic [{leaving - 1}:0] out{number};
{"".join(_tap(number, index, tap, 8 * sizes.word) for index, tap in enumerate(shown))}\
{"".join(_no_tap(number, index) for index in unused)}\
  assign outs[{number}] = {8 * sizes.word}'(out{number});
  run{number} instance{number} (
    .ap_clk(clk && chosen == {number}), .ap_rst_n(rst_n),
{"".join(_port(number, index, tap) for index, tap in enumerate(shown))}\
    .in0_V_TDATA(data[{entering - 1}:0]), .in0_V_TVALID(valid), .in0_V_TREADY(takens[{number}]),
    .out0_V_TDATA(out{number}), .out0_V_TVALID(out_valids[{number}]), .out0_V_TREADY(ready)
  );
"""


def _tap(number: int, index: int, tap: Tap, bits: int) -> str:
    net = f"{tap.signal}_{number}"
    return f"""  logic [{tap.word_bits - 1}:0] {net};
  assign shown[{number}][{index}] = {bits}'({net});
"""


def _no_tap(number: int, index: int) -> str:
    return f"  assign shown_valids[{number}][{index}] = 1'b0;\n"


def _port(number: int, index: int, tap: Tap) -> str:
    valid = f"shown_valids[{number}][{index}]"
    return f"    .{tap.signal}_TDATA({tap.signal}_{number}), .{tap.signal}_TVALID({valid}),\n"
