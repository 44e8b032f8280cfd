"""Small Vivado projects: a core of three nodes, the real shell and the real scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.boards.board import Board, load_board
from pipeline.boards.hierarchy import layer_cells
from pipeline.boards.hls_adapter import FILE as ADAPTER
from pipeline.boards.hls_adapter import adapter
from pipeline.boards.vivado import HLS_FOLDER, HLS_VERILOG, Target, project
from pipeline.codegen import shell
from pipeline.codegen.hls import SCRIPT, TOP
from pipeline.codegen.rtl import DesignFiles, DesignLayer, TopStream
from pipeline.core.paths import PROJECT_ROOT
from tests.boards.behaviour import Behaviour

KERNELS = PROJECT_ROOT / "hw" / "rtl"
SCRIPTS = PROJECT_ROOT / "hw" / "vivado"
BOARDS = ("kv260", "pynq_z1", "pynq_z2", "rfsoc2x2", "zcu104")
NODES = ("StreamFIFO_rtl_0", "DenseMVAU_rtl_0", "LabelSelect_rtl_0")
CYCLES = {"conv0": 1026}
TABLES = {"weights.mem": b"0f\n10\n", "t_0.dat": b"1\n"}


def core() -> dict[str, bytes]:
    """Sources of a core as codegen writes it: modules that do nothing, but fit together."""
    streams = "".join(f"  wire [7:0] s{i};\n" for i in range(len(NODES) + 1))
    cells = "".join(
        f"  {name} node{i} (\n    .ap_clk(ap_clk),\n    .in(s{i}),\n    .out(s{i + 1})\n  );\n"
        for i, name in enumerate(NODES)
    )
    top = f"""module accelerator (
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire [7:0] s_axis_tdata,
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  input  wire s_axis_tlast,
  output wire [7:0] m_axis_tdata,
  output wire m_axis_tvalid,
  input  wire m_axis_tready,
  output wire m_axis_tlast
);
{streams}{cells}  assign s0 = s_axis_tdata;
  assign m_axis_tdata = s{len(NODES)};
endmodule
"""
    ports, body = "(input ap_clk, input [7:0] in, output [7:0] out)", "assign out = in;"
    nodes = {name: f"module {name} {ports};\n  {body}\nendmodule\n" for name in NODES}
    files = {f"{name}.v": text.encode() for name, text in nodes.items()}
    return files | {"accelerator.sv": top.encode()} | TABLES


def design() -> DesignFiles:
    """What codegen says of that core."""
    stream = TopStream("input", "s_axis", 4, True, 2, 128, "input")
    nodes = {f"node{i}": name for i, name in enumerate(NODES)}
    return DesignFiles(
        top="accelerator",
        sources=(*(f"{name}.v" for name in NODES), "accelerator.sv"),
        tables={name: len(text.split()) for name, text in TABLES.items()},
        input=stream,
        streams=tuple(replace(stream, name=name, bits=8, elements=1) for name in NODES),
        nodes=nodes,
        layers=(DesignLayer("conv0", nodes),),
    )


def target(
    board: str | Board = "pynq_z2", backend: str = "rtl", clock_mhz: float = 100.0
) -> Target:
    """A project's target; `board` may be one of no file."""
    files = shell.shell(design(), core(), 5, KERNELS)
    description = shell.Shell(**json.loads(files[shell.DESCRIPTION]))
    layers = layer_cells(design().layers, CYCLES) if backend == "rtl" else ()
    sources = (ADAPTER,) if backend == "hls" else design().sources
    return Target(
        model="small",
        board=load_board(board) if isinstance(board, str) else board,
        clock_mhz=clock_mhz,
        backend=backend,
        shell=description,
        sources=(*sources, *description.sources),
        tables=tuple(TABLES) if backend == "rtl" else (),
        layers=layers,
    )


def files_of(what: Target) -> dict[str, bytes]:
    """The project's files by path."""
    sources = core() | shell.shell(design(), core(), 5, KERNELS)
    sources[ADAPTER] = adapter(what.shell.beat_bytes, what.shell.label_bytes).encode()
    scripts = {path.name: path.read_bytes() for path in SCRIPTS.glob("*.tcl")}
    hls = {SCRIPT: b"# what Vitis HLS runs\n"} if what.with_hls else {}
    return project(what, sources, scripts, b"of others\n", hls)


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The folder, with these files in it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def made_by_hls(folder: Path) -> None:
    """What Vitis HLS would leave in a project's folder."""
    place = Path(folder, HLS_FOLDER, *HLS_VERILOG)
    body = f"module {TOP} (ap_clk);\n  input ap_clk;\nendmodule\n"
    write(place, {f"{TOP}.v": body.encode(), f"{TOP}_rom.dat": b"1\n"})


def install(folder: Path, behaviour: Behaviour, python: str, name: str = "vivado") -> Path:
    """A program that behaves like Vivado, in a folder that can stand on PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    settings, program = folder / f"{name}.json", folder / name
    settings.write_text(json.dumps(asdict(behaviour)))
    command = f"'{python}' -m tests.boards.fake_vivado '{settings}' \"$@\""
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{PROJECT_ROOT}' exec {command}\n")
    program.chmod(0o755)
    return program
