"""Runs a design in Verilator and records the streams inside it (rung 6).

The simulator is built once for a design and kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.codegen.zeros_run import TapPart
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.tools import run_tool
from pipeline.verify.streams import Integers, pack, unpack, word_bytes
from pipeline.verify.verilated import Program, build

HARNESS = Path(__file__).with_name("harness.cpp")
HESITANT_FIFO = Path(__file__).with_name("hesitant_fifo.sv")
WATCHDOG_CYCLES = 50_000
"""No stream moves for this long: the design hangs.  The slowest unit delivers far more often."""
RUN_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Stream:
    """One AXI4-Stream of the top.

    name: shown to people; signal: `<signal>_tdata`, `_tvalid`, `_tready` are nets or ports of the
    top; bits, signed: of an element; elements: of a word; words: a frame; values: name under
    which its data are recorded, "" where it is only watched; parts: names of parts of its data.
    """

    name: str
    signal: str
    bits: int
    signed: bool
    elements: int
    words: int
    values: str = ""
    parts: tuple[TapPart, ...] = ()

    @property
    def recorded(self) -> bool:
        return bool(self.values or self.parts)


@dataclass(frozen=True)
class Design:
    """What is simulated: the top's name, sources in compile order, the table files it reads from
    its working folder, with their words, and its streams.  `inner` streams are in data order.
    flags: more of them for Verilator."""

    top: str
    sources: tuple[Path, ...]
    tables: Mapping[str, int]
    input: Stream
    output: Stream
    inner: tuple[Stream, ...]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Simulator:
    """A built simulator; `built`: just now, in `seconds`, rather than found in the cache."""

    design: Design
    binary: Path
    built: bool
    seconds: float


@dataclass(frozen=True)
class Stalls:
    """What happens at the ends of a design while it runs; the moments are those of a seed.

    none; random: each end is held back in `percent` of the cycles, now and then for longer;
    bursts: each end for up to 400 cycles, again and again; stop: both ends for 1,000 cycles at
    random moments; full: the output until the design is full, then the input until it is empty,
    and so on; reset: three resets in the middle of a frame, before the last of which no output has
    left.  After each all frames are sent from the first on; what follows the last one is recorded,
    and what came before must be the beginning of it.  inside: nothing at the ends, but FIFOs that
    hold back and starve all nodes, which makes another design (`hesitant`).  paced: the words of
    a frame enter evenly over `cycles`.
    """

    kind: str = "none"
    percent: int = 0
    cycles: int = 0

    @classmethod
    def parse(cls, text: str) -> Stalls:
        """Reads one of those that `verify.stalls` lists: "random 25", "bursts"."""
        kind, _, percent = text.strip().partition(" ")
        return cls(kind, int(percent or 0))

    def __str__(self) -> str:
        return f"{self.kind} {self.percent} %" if self.percent else self.kind


@dataclass(frozen=True)
class Simulation:
    """values: recorded streams by name, (frames, words * elements), the output as "output";
    latency: cycles from the first input word to the first frame's last output word; interval:
    cycles between frames once the pipeline is full (0 with fewer than two frames); room: by name
    of a stream, the places that a buffer between the stream before and it needs, which is the most
    words that it held, where one that leaves has its place until the end of the cycle; seconds: of
    the run alone."""

    values: dict[str, Integers]
    cycles: int
    latency: int
    interval: int
    room: dict[str, int]
    seconds: float
    seed: int
    stalls: Stalls


def hesitant(design: Design) -> Design:
    """The design with FIFOs of one word that take and offer it at random.

    Stalls at the ends hardly reach the nodes behind deep FIFOs.
    """
    sources = (HESITANT_FIFO if x.name == "stream_fifo.sv" else x for x in design.sources)
    return replace(design, sources=tuple(sources))


# --- building -----------------------------------------------------------------------------------


def build_simulator(design: Design, cache: Path) -> Simulator:
    """The simulator of `design`, from `cache` or built into it.  Raises ToolError."""
    written = {"streams.hpp": header_text(design), "public.vlt": visibility_text(design)}
    built = build(Program(design.top, design.sources, HARNESS, written, design.flags), cache)
    return Simulator(design, built.path, built.fresh, built.seconds)


def visibility_text(design: Design) -> str:
    """Verilator configuration that keeps the handshakes, and the recorded data, readable."""
    lines = ["`verilator_config"]
    for stream in design.inner:
        suffixes = ("tdata", "tvalid", "tready") if stream.recorded else ("tvalid", "tready")
        for suffix in suffixes:
            lines.append(f'public_flat_rd -module "{design.top}" -var "{stream.signal}_{suffix}"')
    return "\n".join(lines) + "\n"


def header_text(design: Design) -> str:
    """The C++ that ties the generic harness to this top."""
    top, entering, leaving = design.top, design.input.signal, design.output.signal
    views = "".join(_view(top, stream) for stream in design.inner)
    in_bytes = word_bytes(design.input.bits, design.input.elements)
    return f"""#pragma once
#include <cstdint>
#include <cstring>
#include <vector>
#include "V{top}.h"
#include "V{top}___024root.h"
#include "verilated.h"

using Top = V{top};

struct View {{
  const uint8_t* valid;
  const uint8_t* ready;
  const uint8_t* data;
  unsigned bytes;
  bool captured;
}};

constexpr uint64_t input_bytes = {in_bytes}, output_words = {design.output.words};

inline std::vector<View> make_views(Top& top) {{
  (void)top;
  return {{
{views}    {{&top.{leaving}_tvalid, &top.{leaving}_tready,
     reinterpret_cast<const uint8_t*>(&top.{leaving}_tdata), {_bytes(design.output)}, true}},
  }};
}}

inline void drive_input(Top& top, bool valid, const uint8_t* word) {{
  top.{entering}_tvalid = valid;
  if (word) std::memcpy(&top.{entering}_tdata, word, input_bytes);
}}
inline void drive_ready(Top& top, bool ready) {{ top.{leaving}_tready = ready; }}
inline bool input_moves(const Top& top) {{ return top.{entering}_tvalid && top.{entering}_tready; }}
inline bool output_moves(const Top& top) {{ return top.{leaving}_tvalid && top.{leaving}_tready; }}

inline void reset(Top& top, int cycles) {{
  top.ap_rst_n = 0;
  drive_input(top, false, nullptr);
  drive_ready(top, false);
  for (int i = 0; i < cycles; i++) {{
    top.ap_clk = 0;
    top.eval();
    top.ap_clk = 1;
    top.eval();
  }}
  top.ap_rst_n = 1;
}}
"""


def _view(top: str, stream: Stream) -> str:
    root = f"top.rootp->{top}__DOT__{stream.signal}"
    data = f"reinterpret_cast<const uint8_t*>(&{root}_tdata)" if stream.recorded else "nullptr"
    captured = "true" if stream.recorded else "false"
    size = _bytes(stream)
    return f"    {{&{root}_tvalid, &{root}_tready, {data}, {size}, {captured}}},\n"


def _bytes(stream: Stream) -> int:
    return word_bytes(stream.bits, stream.elements)


# --- running ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ended:
    """What the harness says of a run.

    done: all frames came out and nothing more; sent, received: words; first_in: cycle of the
    first input word; finished: cycle of every frame's last output word; streams: words, the most
    between it and the stream before, the handshake at the end, and whether runs that a reset ended
    agree with the last, of every stream.
    """

    done: bool
    cycles: int
    sent: int
    received: int
    first_in: int
    finished: list[int]
    streams: list[dict[str, int]]


def simulate(
    simulator: Simulator,
    frames: Integers,
    *,
    stalls: Stalls,
    seed: int,
    tables: Path,
    scratch: Path,
) -> Simulation:
    """Runs `frames` (frames, values of the input stream) through the design, back to back.

    tables: folder with the design's table files; scratch: an empty folder to write to.  Raises
    VerificationFailed where the design hangs (naming the stream), or delivers too many or too few
    words.
    """
    design = simulator.design
    if len(frames) == 0:
        raise VerificationFailed("0 frames to simulate, so nothing is shown")
    _require_tables(design, tables)
    (scratch / "input.bin").write_bytes(pack(frames, design.input.bits, design.input.elements))
    started = time.monotonic()
    ends = "none" if stalls.kind == "inside" else stalls.kind
    arguments = (len(frames), ends, stalls.percent or stalls.cycles, seed, WATCHDOG_CYCLES)
    ended = _run(simulator, arguments, tables, scratch)
    seconds = time.monotonic() - started
    if not ended.done:
        why = _explain_hang(design, ended, len(frames))
        raise VerificationFailed(f"{why}; stalls {stalls}, seed {seed}")
    streams = (*design.inner, design.output)
    for stream, state in zip(streams, ended.streams, strict=True):
        if not state["repeats"]:
            why = f"stream {stream.name} carries other words after one reset than after another"
            raise VerificationFailed(f"{why}; stalls {stalls}, seed {seed}")
    return Simulation(
        values=_recorded(streams, len(frames), scratch),
        cycles=ended.cycles,
        latency=ended.finished[0] - ended.first_in,
        interval=_steady_interval(ended.finished),
        room={x.name: state["most"] for x, state in zip(streams, ended.streams, strict=True)},
        seconds=seconds,
        seed=seed,
        stalls=stalls,
    )


def _require_tables(design: Design, folder: Path) -> None:
    """Verilator computes with garbage where a table is missing or too short, and says so only where
    `$readmemh` was told how many words there are."""
    for table, words in design.tables.items():
        path = folder / table
        found = len(path.read_text().split()) if path.is_file() else 0
        if found != words:
            how = f"has {found} words, not {words}" if path.is_file() else "is missing"
            raise UserError(
                f"the table {table} {how}", str(folder), "generate it again: make codegen FORCE=1"
            )


def _run(
    simulator: Simulator, arguments: Iterable[int | str], tables: Path, scratch: Path
) -> _Ended:
    log = scratch / "simulator.log"
    command = [simulator.binary.resolve(), scratch.resolve() / "input.bin", scratch.resolve()]
    try:
        output = run_tool(
            [*command, *map(str, arguments)], cwd=tables, log=log, timeout_s=RUN_TIMEOUT_S
        )
    except UserError:
        output = log.read_text()
        if '"done": false' not in output:
            raise
    complaints = [x for x in log.read_text().splitlines() if "%Warning" in x or "%Error" in x]
    if complaints:
        raise VerificationFailed(f"the simulator complained: {complaints[0]}")
    return _Ended(**json.loads(output[output.index("{") :]))


def _explain_hang(design: Design, ended: _Ended, frames: int) -> str:
    """Names the first stream, in data order, that has not carried all its words."""
    streams, entering = (*design.inner, design.output), frames * design.input.words
    if ended.received > frames * streams[-1].words:
        return f"the output has {ended.received} words, {frames * streams[-1].words} expected"
    for stream, state in zip(streams, ended.streams, strict=True):
        if state["words"] >= frames * stream.words:
            continue
        how = "offers a word that nobody takes" if state["valid"] else "is starved"
        return (
            f"the design hangs: stream {stream.name} {how} after {state['words']} of "
            f"{frames * stream.words} words (cycle {ended.cycles})"
        )
    if ended.sent < entering:
        return f"all outputs are there, but the design took {ended.sent} of {entering} input words"
    return "the simulator could not write what it recorded: is the disk full?"


def _recorded(streams: tuple[Stream, ...], frames: int, scratch: Path) -> dict[str, Integers]:
    values = {}
    for index, stream in enumerate(streams):
        name = "output" if index == len(streams) - 1 else stream.values
        if not name and not stream.parts:
            continue
        raw = (scratch / f"{index}.bin").read_bytes()
        words = len(raw) // _bytes(stream)
        if words != frames * stream.words:
            raise VerificationFailed(
                f"stream {stream.name} carried {words} words, {frames * stream.words} expected"
            )
        found = unpack(raw, stream.bits, stream.signed, stream.elements).reshape(frames, -1)
        if name:
            values[name] = found
        values |= {part.boundary: _part(part, found) for part in stream.parts}
    return values


def _part(part: TapPart, found: Integers) -> Integers:
    """(frames, values) of one layer boundary in a stream."""
    return part.low + (found[:, part.places] if part.places else found)


def _steady_interval(finished: list[int]) -> int:
    """Cycles between frames in the second half of the run."""
    if len(finished) < 2:
        return 0
    middle = min(len(finished) // 2, len(finished) - 2)
    return round((finished[-1] - finished[middle]) / (len(finished) - 1 - middle))
