"""Layers of the zero-skipping engine between two AXI4-Streams, as SystemVerilog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.codegen.zeros import convolution_files
from pipeline.dataflow.integer_model import Codes
from pipeline.dataflow.zeros.convolution import Convolution, width

CREDITS = 4
"""Frames inside: one takes a little longer than the interval, so two would do without stalls."""


@dataclass(frozen=True)
class Tap:
    """Codes of a layer boundary, for verification: ports `<signal>_TDATA` and `_TVALID`."""

    boundary: str
    signal: str
    codes: Codes
    elements: int
    words: int


def taps(layers: Sequence[Convolution]) -> list[Tap]:
    """What a run shows of itself, in data order."""
    return [
        Tap(x.boundary, f"tap{i}", x.output, x.outputs, x.output_positions)
        for i, x in enumerate(layers)
    ]


def run_files(layers: Sequence[Convolution], module: str) -> dict[str, bytes]:
    """Consecutive layers between two AXI4-Streams of FINN's names, a position a beat."""
    files = {f"{module}.sv": run_text(layers, module).encode()}
    for number, layer in enumerate(layers):
        files |= convolution_files(layer, f"{module}_layer{number}")
    return files


def run_text(layers: Sequence[Convolution], module: str) -> str:
    """SystemVerilog of a run: layers, and room for what comes out of the frames inside."""
    first, last = layers[0], layers[-1]
    in_bits = first.channels * first.code_bits
    out_bits = last.outputs * width(last.output)
    ports = "".join(
        f"  output wire [{_padded(tap.elements * width(tap.codes)) - 1}:0] {tap.signal}_TDATA,\n"
        f"  output wire {tap.signal}_TVALID,\n"
        for tap in taps(layers)
    )
    depth = max(2, CREDITS * last.output_positions)
    return f"""/// {len(layers)} layers that skip zeros; a position every {first.cycles} cycles.
/// Nothing inside can stop: a frame enters when there is room for all that comes of it.
/// tap: codes of the layer boundaries, for verification.
module {module} (
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire [{_padded(in_bits) - 1}:0] in0_V_TDATA,
  input  wire in0_V_TVALID,
  output wire in0_V_TREADY,
{ports}  output wire [{_padded(out_bits) - 1}:0] out0_V_TDATA,
  output wire out0_V_TVALID,
  input  wire out0_V_TREADY
);
  wire entering, ready;

  frame_credit #(
    .InBeats({first.positions}),
    .OutBeats({last.output_positions}),
    .Credits({CREDITS})
  ) credit (
    .clk(ap_clk), .rst_n(ap_rst_n),
    .in_valid_i(in0_V_TVALID), .in_ready_o(in0_V_TREADY),
    .in_valid_o(entering), .in_ready_i(ready),
    .out_moves_i(out0_V_TVALID && out0_V_TREADY)
  );

  // codes are counted from the lowest
  wire [{in_bits - 1}:0] codes0;
  wire valid0 = entering;
{"".join(_moved("in0_V_TDATA", "codes0", first.channels, first.codes, -first.codes.low))}
  wire ready0;
  assign ready = ready0;

{"".join(_layers(layers, module))}
  wire [{out_bits - 1}:0] leaving;
{"".join(_moved(f"codes{len(layers)}", "leaving", last.outputs, last.output, last.output.low))}
  wire room;
  stream_fifo #(.Bits({_padded(out_bits)}), .Depth({depth})) fifo (
    .ap_clk(ap_clk), .ap_rst_n(ap_rst_n), .in0_V_TDATA({_padded(out_bits)}'(leaving)),
    .in0_V_TVALID(valid{len(layers)}), .in0_V_TREADY(room),
    .out0_V_TDATA(out0_V_TDATA), .out0_V_TVALID(out0_V_TVALID), .out0_V_TREADY(out0_V_TREADY)
  );
endmodule
"""


def _padded(bits: int) -> int:
    return -(-bits // 8) * 8


def _moved(source: str, target: str, elements: int, codes: Codes, by: int) -> Iterator[str]:
    """Assigns every element, with a constant added."""
    bits = width(codes)
    term = f" + {bits}'d{by % (1 << bits)}" if by else ""
    for i in range(elements):
        yield f"  assign {target}[{i * bits} +: {bits}] = {source}[{i * bits} +: {bits}]{term};\n"


def _layers(layers: Sequence[Convolution], module: str) -> Iterator[str]:
    for i, (layer, tap) in enumerate(zip(layers, taps(layers), strict=True)):
        bits = layer.outputs * width(layer.output)
        # a layer is never refused: positions come at most every so many cycles, which it needs
        ready = "" if i == 0 else f"  wire ready{i};\n"
        yield f"""{ready}  wire [{bits - 1}:0] codes{i + 1};
  wire valid{i + 1};
  {module}_layer{i} layer{i} (
    .clk(ap_clk), .rst_n(ap_rst_n), .data_i(codes{i}), .valid_i(valid{i}), .ready_o(ready{i}),
    .codes_o(codes{i + 1}), .valid_o(valid{i + 1})
  );
  wire [{bits - 1}:0] {tap.signal};
{"".join(_moved(f"codes{i + 1}", tap.signal, layer.outputs, layer.output, layer.output.low))}\
  assign {tap.signal}_TDATA = {_padded(bits)}'({tap.signal});
  assign {tap.signal}_TVALID = valid{i + 1};

"""
