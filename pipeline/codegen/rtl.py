"""The accelerator's RTL as files in memory: node modules, one top, tables, a file list.

The top is a plain chain of instances between two AXI4-Streams.  Everything lies flat in one
folder, because the tables are read by relative names: simulators and synthesis run there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.codegen.nodes import NodeHdl
from pipeline.codegen.zeros_run import TapPart
from pipeline.dataflow.integer_model import IntegerModel

TOP = "accelerator"
FILE_LIST = "files.f"
DESIGN = "design.json"


@dataclass(frozen=True)
class TopStream:
    """A stream of the top, for simulation: `<signal>_tdata`, `_tvalid` and `_tready` are nets.

    stream: the integer model's name of its values, "" where it is only watched; parts: where one
    stream has the codes of several layer boundaries, or counted from the lowest.
    """

    name: str
    signal: str
    bits: int
    signed: bool
    elements: int
    words: int
    stream: str
    parts: tuple[TapPart, ...] = ()

    @property
    def word_bytes(self) -> int:
        """Of `tdata`: a word is padded to whole bytes."""
        return (self.bits * self.elements + 7) // 8


@dataclass(frozen=True)
class DesignLayer:
    """A layer, or several that share their cells: places below the top, with their modules."""

    name: str
    cells: dict[str, str]


@dataclass(frozen=True)
class DesignFiles:
    """Sources in compile order, tables by name with their words, the top's nodes with their
    modules, its streams and layers in data order.  Cells of a layer may be within another's."""

    top: str
    sources: tuple[str, ...]
    tables: dict[str, int]
    input: TopStream
    streams: tuple[TopStream, ...]
    nodes: dict[str, str]
    layers: tuple[DesignLayer, ...]


def accelerator(
    nodes: Sequence[NodeHdl], entering: TopStream, kernels: Path, notice: bytes
) -> dict[str, bytes]:
    """All files by name: sources, tables, top, file list, design.json, NOTICE.

    `kernels` is the folder of our modules (`hw/rtl`).  Two files of one name but different
    content raise ValueError.
    """
    files: dict[str, bytes] = {}
    for module in sorted({kernel for n in nodes for kernel in n.kernels}):
        _add(files, f"{module}.sv", (kernels / f"{module}.sv").read_bytes())
    for node in nodes:
        for name, text in node.sources.items():
            _add(files, name, text.encode())
    _add(files, f"{TOP}.sv", top_text(nodes).encode())
    sources, tables = tuple(files), [table for node in nodes for table in node.tables.items()]
    for name, text in tables:
        _add(files, name, text.encode())
    design = DesignFiles(
        top=TOP,
        sources=sources,
        tables={name: len(text.split()) for name, text in tables},
        input=entering,
        streams=tuple(s for i, node in enumerate(nodes) for s in _streams(i, node)),
        nodes={f"node{i}": node.name for i, node in enumerate(nodes)},
        layers=_design_layers(nodes),
    )
    _add(files, FILE_LIST, "".join(f"{name}\n" for name in design.sources).encode())
    _add(files, DESIGN, (json.dumps(asdict(design), indent=1) + "\n").encode())
    _add(files, "NOTICE", notice)
    return files


def input_stream(first: NodeHdl, model: IntegerModel) -> TopStream:
    """What enters the accelerator, whose first node this is."""
    codes, elements = model.input, first.in_elements
    words = model.positions * model.channels // elements
    return TopStream("input", "s_axis", codes.bits, codes.signed, elements, words, "input")


def load_design(folder: Path) -> DesignFiles:
    """Reads design.json of a generated folder."""
    fields = json.loads((folder / DESIGN).read_text())
    return DesignFiles(
        top=fields["top"],
        sources=tuple(fields["sources"]),
        tables=fields["tables"],
        input=_read_stream(fields["input"]),
        streams=tuple(_read_stream(s) for s in fields["streams"]),
        nodes=fields["nodes"],
        layers=tuple(DesignLayer(**layer) for layer in fields["layers"]),
    )


def _read_stream(fields: dict[str, Any]) -> TopStream:
    parts = (TapPart(x["boundary"], tuple(x["places"]), x["low"]) for x in fields["parts"])
    return TopStream(**{**fields, "parts": tuple(parts)})


def _add(files: dict[str, bytes], name: str, content: bytes) -> None:
    if files.setdefault(name, content) != content:
        raise ValueError(f"two different files would be called {name}")


def _design_layers(nodes: Sequence[NodeHdl]) -> tuple[DesignLayer, ...]:
    found: dict[str, dict[str, str]] = {}
    for index, node in enumerate(nodes):
        for layer, cells in node.cells.items():
            own = found.setdefault(layer, {})
            own |= {f"node{index}{cell and '/'}{cell}": module for cell, module in cells.items()}
    return tuple(DesignLayer(name, cells) for name, cells in found.items())


def _streams(index: int, node: NodeHdl) -> Iterator[TopStream]:
    """What a node shows of itself, and what leaves it."""
    for tap in node.taps:
        yield TopStream(
            name=f"{node.name}, {', '.join(part.boundary for part in tap.parts)}",
            signal=f"{_signal(index + 1)}_{tap.signal}",
            bits=tap.bits,
            signed=False,
            elements=tap.elements,
            words=tap.words,
            stream="",
            parts=tap.parts,
        )
    out = node.output
    yield TopStream(
        name=node.name,
        signal=_signal(index + 1),
        bits=out.bits,
        signed=out.signed,
        elements=out.elements,
        words=out.words,
        stream=out.stream,
    )


def _signal(index: int) -> str:
    return f"stream{index}"


# --- the top ------------------------------------------------------------------------------------


def top_text(nodes: Sequence[NodeHdl]) -> str:
    """SystemVerilog of the chain; stream 0 is the input, stream i leaves node i - 1."""
    widths = [nodes[0].in_bits, *(n.out_bits for n in nodes)]
    nets = "".join(_nets(_signal(i), width) for i, width in enumerate(widths))
    nets += "".join(_tap_nets(i, node) for i, node in enumerate(nodes))
    instances = "".join(_instance(i, node) for i, node in enumerate(nodes))
    last = len(nodes)
    return f"""/// The accelerator: a chain of streaming layers between two AXI4-Streams.
/// In: one frame of positions in order; out: the class index, one beat a frame.
/// s_axis_tlast is not needed here: frames are counted by their length.
module {TOP} (
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire [{widths[0] - 1}:0] s_axis_tdata,
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  input  wire s_axis_tlast,
  output wire [{widths[-1] - 1}:0] m_axis_tdata,
  output wire m_axis_tvalid,
  input  wire m_axis_tready,
  output wire m_axis_tlast
);
{nets}
  assign {_signal(0)}_tdata = s_axis_tdata;
  assign {_signal(0)}_tvalid = s_axis_tvalid;
  assign s_axis_tready = {_signal(0)}_tready;

{instances}
  assign m_axis_tdata = {_signal(last)}_tdata;
  assign m_axis_tvalid = {_signal(last)}_tvalid;
  assign {_signal(last)}_tready = m_axis_tready;
  assign m_axis_tlast = 1'b1;  // a label is a packet of its own

  wire unused = s_axis_tlast;
endmodule
"""


def _tap_nets(index: int, node: NodeHdl) -> str:
    """A tap is never refused."""
    names = [(f"{_signal(index + 1)}_{tap.signal}", tap.word_bits) for tap in node.taps]
    return "".join(f"{_nets(x, bits)}  assign {x}_tready = 1'b1;\n" for x, bits in names)


def _nets(name: str, width: int) -> str:
    return f"""  wire [{width - 1}:0] {name}_tdata;
  wire {name}_tvalid;
  wire {name}_tready;
"""


def _instance(index: int, node: NodeHdl) -> str:
    before, after = _signal(index), _signal(index + 1)
    taps = "".join(
        f"    .{tap.signal}_TDATA({after}_{tap.signal}_tdata),\n"
        f"    .{tap.signal}_TVALID({after}_{tap.signal}_tvalid),\n"
        for tap in node.taps
    )
    return f"""  {node.name} node{index} (
    .ap_clk(ap_clk),
    .ap_rst_n(ap_rst_n),
    .in0_V_TDATA({before}_tdata),
    .in0_V_TVALID({before}_tvalid),
    .in0_V_TREADY({before}_tready),
{taps}    .out0_V_TDATA({after}_tdata),
    .out0_V_TVALID({after}_tvalid),
    .out0_V_TREADY({after}_tready)
  );
"""
