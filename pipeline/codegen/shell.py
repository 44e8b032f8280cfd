"""The AXI shell around the accelerator, as files in memory: our modules, one generated top.

`amcflow` is what a system gets: AXI4-Stream both ways for a DMA, AXI4-Lite registers (their map
is in `hw/rtl/accelerator_axi.sv`).  It is plain Verilog, because Vivado's IP packager wants that
of a top; all it does is to fix the parameters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.codegen.rtl import DesignFiles

TOP = "amcflow"
DESCRIPTION = "shell.json"
VERSION = 1
"""Of the register map, as the hardware says it."""
CREDITS = 16
"""Frames that may be inside at once: more than the dense core ever holds."""
KERNELS = ("axi_lite_registers.sv", "frame_buffer.sv", "label_queue.sv", "accelerator_axi.sv")
SHARED = ("stream_fifo.sv",)
"""Modules that the core has too, where it needs them."""


@dataclass(frozen=True)
class Shell:
    """What software has to know of the hardware.

    sources: in compile order, after the core's; hash: SHA-256 of the core, which the registers
    hold; frame_beats: words of a frame; beat_bytes, label_bytes: of a stream's word; credits:
    frames that may be inside; version: of the register map.
    """

    top: str
    sources: tuple[str, ...]
    hash: str
    frame_beats: int
    beat_bytes: int
    label_bytes: int
    classes: int
    credits: int
    version: int


def shell(
    design: DesignFiles, core: Mapping[str, bytes], classes: int, kernels: Path
) -> dict[str, bytes]:
    """All files by name: our modules of `kernels` (`hw/rtl`), the top, shell.json.

    design: of the core; core: its files by name, from which the hash is taken.
    """
    shared = tuple(name for name in SHARED if name not in core)
    description = Shell(
        top=TOP,
        sources=(*shared, *KERNELS, f"{TOP}.v"),
        hash=core_hash({name: core[name] for name in (*design.sources, *design.tables)}),
        frame_beats=design.input.words,
        beat_bytes=design.input.word_bytes,
        label_bytes=design.streams[-1].word_bytes,
        classes=classes,
        credits=CREDITS,
        version=VERSION,
    )
    files = {name: (kernels / name).read_bytes() for name in (*shared, *KERNELS)}
    files[f"{TOP}.v"] = top_text(description).encode()
    files[DESCRIPTION] = (json.dumps(asdict(description), indent=1) + "\n").encode()
    return files


def load_shell(folder: Path) -> Shell:
    """Reads shell.json of a generated folder."""
    fields = json.loads((folder / DESCRIPTION).read_text())
    return Shell(**{**fields, "sources": tuple(fields["sources"])})


def core_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the names and contents of the core's files, sorted by name, in hex."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return digest.hexdigest()


def top_text(shell: Shell) -> str:
    """Verilog of the top; its ports are named so that Vivado infers the interfaces."""
    in_bits, label_bits = 8 * shell.beat_bytes, 8 * shell.label_bytes
    wires = "".join(f"    .{name}({name}),\n" for name in _PORTS)
    return f"""// The accelerator with its AXI interfaces; accelerator_axi.sv describes them.
module {TOP} (
  input  wire aclk,
  input  wire aresetn,

  input  wire [{in_bits - 1}:0] s_axis_tdata,
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  input  wire s_axis_tlast,

  output wire [{label_bits - 1}:0] m_axis_tdata,
  output wire m_axis_tvalid,
  input  wire m_axis_tready,
  output wire m_axis_tlast,

  input  wire [6:0] s_axi_awaddr,
  input  wire [2:0] s_axi_awprot,
  input  wire s_axi_awvalid,
  output wire s_axi_awready,
  input  wire [31:0] s_axi_wdata,
  input  wire [3:0] s_axi_wstrb,
  input  wire s_axi_wvalid,
  output wire s_axi_wready,
  output wire [1:0] s_axi_bresp,
  output wire s_axi_bvalid,
  input  wire s_axi_bready,
  input  wire [6:0] s_axi_araddr,
  input  wire [2:0] s_axi_arprot,
  input  wire s_axi_arvalid,
  output wire s_axi_arready,
  output wire [31:0] s_axi_rdata,
  output wire [1:0] s_axi_rresp,
  output wire s_axi_rvalid,
  input  wire s_axi_rready
);
  accelerator_axi #(
    .InBits({in_bits}),
    .LabelBits({label_bits}),
    .Beats({shell.frame_beats}),
    .Classes({shell.classes}),
    .Credits({shell.credits}),
    .Hash(256'h{shell.hash})
  ) shell (
{wires.rstrip(chr(10) + ",")}
  );

  wire unused = &{{1'b0, s_axi_awprot, s_axi_arprot}};
endmodule
"""


_PORTS = (
    *("aclk", "aresetn"),
    *("s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast"),
    *("m_axis_tdata", "m_axis_tvalid", "m_axis_tready", "m_axis_tlast"),
    *("s_axi_awaddr", "s_axi_awvalid", "s_axi_awready"),
    *("s_axi_wdata", "s_axi_wstrb", "s_axi_wvalid", "s_axi_wready"),
    *("s_axi_bresp", "s_axi_bvalid", "s_axi_bready"),
    *("s_axi_araddr", "s_axi_arvalid", "s_axi_arready"),
    *("s_axi_rdata", "s_axi_rresp", "s_axi_rvalid", "s_axi_rready"),
)
"""Of the shell itself, which knows no protection types."""
