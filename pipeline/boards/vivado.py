"""The Vivado project of an accelerator for a board, as files in memory.

It is self-contained: sources, the hand-written Tcl of `hw/vivado`, settings for it, and one
command, which makes `output/accelerator.bit`, `.hwh` and `.json` on a machine that has Vivado.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from pipeline.boards.board import Board, VivadoBoard
from pipeline.boards.hierarchy import LayerCells
from pipeline.codegen.hls import SCRIPT
from pipeline.codegen.shell import Shell
from pipeline.core.errors import UserError

OLDEST = "2022.2"
STEPS = ("package_ip", "block_design", "synthesize", "place", "route", "report", "bitstream")
"""Of build.tcl, which has them in the same order."""
DESCRIPTION = "project.json"
DIGEST = "digest"
BUILD_TCL = "build.tcl"
OUTPUT = "output"
DONE = "done"
BITSTREAM, HANDOFF, IDENTITY = "accelerator.bit", "accelerator.hwh", "accelerator.json"
REPORTS = "reports"
UTILIZATION, TIMING, POWER = "utilization.rpt", "timing.rpt", "power.rpt"
COMMAND = "sh build.sh"
VIVADO = ("vivado", "-mode", "batch", "-notrace", "-nojournal", "-log", "vivado.log")
VIVADO_BUILD = (*VIVADO, "-source", BUILD_TCL)
HLS_FOLDER = "hls"
HLS_COMMAND = ("vitis_hls", "-f", SCRIPT)
"""In HLS_FOLDER, before Vivado."""
HLS_VERILOG = ("hls_project", "solution", "syn", "verilog")
"""Where its script leaves Verilog, below that folder."""
STREAM_BYTES = (1, 2, 4, 8, 16, 32, 64, 128)
"""Widths that the AXI DMA's streams may have (AMD PG021)."""
ADDRESS_RANGE = 65536
ADDRESSES = {"zynq7": (0x4040_0000, 0x43C0_0000), "zynqmp": (0xA000_0000, 0xA001_0000)}
"""Of the DMA's and the accelerator's registers, in the processing system's first master port."""


@dataclass(frozen=True)
class Target:
    """What a project builds, and for what.

    model: its name; backend: what the core's sources are; sources: in compile order; tables: what
    they read; layers: of the core, none where its cells are not known by layer.
    """

    model: str
    board: Board
    clock_mhz: float
    backend: str
    shell: Shell
    sources: tuple[str, ...]
    tables: tuple[str, ...]
    layers: tuple[LayerCells, ...] = ()

    @property
    def with_hls(self) -> bool:
        """Whether Vitis HLS runs first."""
        return self.backend == "hls"

    @property
    def vivado(self) -> VivadoBoard:
        """What the board's file says for Vivado.  Raises UserError where that is nothing."""
        return of_vivado(self.board)


@dataclass(frozen=True)
class Description:
    """`project.json`: what software has to know of a project."""

    model: str
    hash: str
    board: str
    part: str
    backend: str
    clock_mhz: float
    steps: tuple[str, ...]
    layers: tuple[LayerCells, ...] = field(default_factory=tuple)


def project(
    target: Target,
    sources: Mapping[str, bytes],
    scripts: Mapping[str, bytes],
    notice: bytes,
    hls_folder: Mapping[str, bytes],
) -> dict[str, bytes]:
    """All files by path within the project.

    sources: of shell and core, tables included, by name; scripts: those of `hw/vivado`; notice: of
    the licences of others' sources; hls_folder: what Vitis HLS runs in, empty where it does not.
    Raises UserError where the board cannot have such an accelerator.
    """
    require_possible(target)
    missing = {*target.sources, *target.tables} - sources.keys()
    if missing:
        raise ValueError(f"no content for {', '.join(sorted(missing))}")
    files = {f"ip/src/{name}": sources[name] for name in (*target.sources, *target.tables)}
    files |= {name if name == BUILD_TCL else f"tcl/{name}": scripts[name] for name in scripts}
    files |= {f"{HLS_FOLDER}/{name}": text for name, text in hls_folder.items()}
    texts = {
        "settings.tcl": settings(target),
        "build.sh": build_script(target),
        "README.md": readme(target),
        DESCRIPTION: json.dumps(asdict(describe(target)), indent=1) + "\n",
    }
    files |= {name: text.encode() for name, text in texts.items()} | {"NOTICE": notice}
    return files | {DIGEST: f"{digest(files)}\n".encode()}


def describe(target: Target) -> Description:
    """What project.json says."""
    return Description(
        model=target.model,
        hash=target.shell.hash,
        board=target.board.key,
        part=target.board.part,
        backend=target.backend,
        clock_mhz=target.clock_mhz,
        steps=STEPS,
        layers=target.layers,
    )


def read_description(text: str) -> Description:
    """Reads project.json."""
    fields = json.loads(text)
    layers = tuple(
        LayerCells(layer["name"], layer["cycles"], tuple(layer["cells"]))
        for layer in fields["layers"]
    )
    return Description(**{**fields, "steps": tuple(fields["steps"]), "layers": layers})


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the names and contents of files, sorted by name, in hex."""
    result = hashlib.sha256()
    for name in sorted(files):
        result.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return result.hexdigest()


def of_vivado(board: Board) -> VivadoBoard:
    """What the board's file says for Vivado.  Raises UserError where that is nothing."""
    if board.vivado is None:
        raise UserError(
            f"{board.name} is not built by Vivado",
            f"hardware.board (BOARD=), hw/boards/{board.key}.toml",
            "another board, for example BOARD=pynq_z2",
        )
    return board.vivado


def require_clock(board: Board, clock_mhz: float) -> None:
    """Raises UserError for a clock that the board does not have."""
    vivado = of_vivado(board)
    if clock_mhz > vivado.clock_max_mhz:
        raise UserError(
            f"hardware.clock_mhz = {clock_mhz:g}, but {board.name} has {vivado.clock_max_mhz:g} "
            "at most",
            f"hw/boards/{board.key}.toml, vivado.clock_max_mhz",
            f"--set hardware.clock_mhz={vivado.clock_mhz:g}",
        )


def require_possible(target: Target) -> None:
    """Raises UserError for a clock that the board does not have or a stream that no DMA takes."""
    require_clock(target.board, target.clock_mhz)
    for name, found in (("in", target.shell.beat_bytes), ("out", target.shell.label_bytes)):
        if found not in STREAM_BYTES:
            raise UserError(
                f"the stream {name} has {found} bytes a beat, which the AXI DMA cannot",
                "network.input_bits" if name == "in" else "network.classes",
                "input_bits from 2 to 4 (1 byte) or 5 to 8 (2 bytes)",
            )


# --- settings.tcl -------------------------------------------------------------------------------


def settings(target: Target) -> str:
    """Tcl that fills the array `settings`."""
    vivado = target.vivado
    dma, accelerator = ADDRESSES[vivado.family]
    values: dict[str, object] = {
        "vivado_oldest": OLDEST,
        "model": target.model,
        "hash": target.shell.hash,
        "backend": target.backend,
        "board": target.board.key,
        "part": target.board.part,
        "board_part": vivado.board_part,
        "family": vivado.family,
        "clock_mhz": f"{target.clock_mhz:g}",
        "memory_bits": vivado.dma_width,
        "beat_bytes": target.shell.beat_bytes,
        "label_bytes": target.shell.label_bytes,
        "dma_address": f"0x{dma:08X}",
        "accelerator_address": f"0x{accelerator:08X}",
        "address_range": ADDRESS_RANGE,
        "top": target.shell.top,
    }
    lists = {
        "hls_verilog": (HLS_FOLDER, *HLS_VERILOG) if target.with_hls else (),
        "ps": [word for pair in vivado.ps.items() for word in pair],
        "sources": target.sources,
        "tables": target.tables,
    }
    lines = [f"set ::settings({name}) {tcl_word(str(value))}" for name, value in values.items()]
    lines += [f"set ::settings({name}) {tcl_list(words)}" for name, words in lists.items()]
    head = f"# Generated. {target.model} for {target.board.name}, from hw/boards and model.toml.\n"
    return head + "\n".join(lines) + "\n"


def tcl_word(text: str) -> str:
    """`text` as one word of Tcl, taken as it is."""
    if re.search(r"[{}\\\n]", text):
        raise ValueError(f"no word for a setting: {text!r}")
    return "{" + text + "}"


def tcl_list(words: Sequence[str]) -> str:
    """A list, one element a line where there are many."""
    inner = [word if re.fullmatch(r"[\w./-]+", word) else tcl_word(word) for word in words]
    if len(inner) <= 2:
        return "{" + " ".join(inner) + "}"
    return "{\n" + "".join(f"    {word}\n" for word in inner) + "}"


# --- for people ---------------------------------------------------------------------------------


def build_script(target: Target) -> str:
    """The shell script that does everything."""
    tools = "Vitis HLS and Vivado" if target.with_hls else "Vivado"
    before = ""
    if target.with_hls:
        before = f"""
if ! cmp -s {DIGEST} {DONE}/hls; then
  (cd {HLS_FOLDER} && {" ".join(HLS_COMMAND)})
  mkdir -p {DONE} && cp {DIGEST} {DONE}/hls
fi
"""
    return f"""#!/bin/sh
# Makes {OUTPUT}/{BITSTREAM}, .hwh and .json. {tools} {OLDEST} or newer must be on PATH.
# A build that was ended goes on where it was.
set -eu
cd "$(dirname "$0")"
{before}
exec {" ".join(VIVADO_BUILD)}
"""


def readme(target: Target) -> str:
    """What is in the folder and how to use it."""
    first = "Vitis HLS makes Verilog of `hls`, then Vivado" if target.with_hls else "Vivado"
    return f"""# {target.model} for {target.board.name}

Part {target.board.part}, {target.clock_mhz:g} MHz, core from {target.backend.upper()} sources, hash
{target.shell.hash}.

    {COMMAND}

{first} ({OLDEST} or newer) builds the bitstream, in half an hour to hours.
The same command goes on with a build that was ended. `{OUTPUT}` then has `{BITSTREAM}`,
`{HANDOFF}`, `{IDENTITY}` and `reports`; where this folder was made,
`make bitstream BITSTREAM=<that folder>` takes them.

A design that does not meet its timing gives no bitstream. Board files are used where Vivado has
them ({target.vivado.board_part}), and are not needed.

These scripts have been run against a model of Vivado's commands, not yet by Vivado itself.

| | |
|---|---|
| `ip/src` | shell and core, with their tables |
| `settings.tcl`, `project.json` | what is built, and for what |
| `build.tcl`, `tcl` | the steps: {", ".join(STEPS)} |
| `vivado`, `{DONE}` | made by the build: project, checkpoints; marks of finished steps |
"""
