"""The zero-skipping engine as SystemVerilog: instances and tables of what a plan says."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.codegen.zeros_quantizer import quantizer_text, tables
from pipeline.codegen.zeros_sums import sums_text
from pipeline.dataflow.zeros.convolution import Convolution, width

KERNELS = (
    "delay_line.sv",
    "strobe_line.sv",
    "truth_table.sv",
    "lane_select.sv",
    "ternary_adder.sv",
    "digit_accumulator.sv",
    "position_pacer.sv",
    "serial_window.sv",
    "row_maximum.sv",
    "row_serializer.sv",
    "requantizer.sv",
    "threshold_search.sv",
    "position_pool.sv",
)


def convolution_files(layer: Convolution, module: str) -> dict[str, bytes]:
    """The module of a layer, of this name, and its tables."""
    files = {f"{module}.sv": convolution_text(layer, module)} | tables(layer.quantizer, module)
    return {name: text.encode() for name, text in files.items()}


def convolution_text(layer: Convolution, module: str) -> str:
    """SystemVerilog of a layer: codes of a position in, codes of a position out."""
    sums, order = layer.sums, layer.quantizer.order
    bits, out_bits = layer.code_bits, width(layer.output)
    lanes, slots = len(order[0]), len(order)
    phase_bits = max(1, sums.phase_bits)
    slot_bits = max(1, (slots - 1).bit_length())
    row_bits = sums.accumulator_bits
    latency = (sums.phases > 1) + sums.levels
    largest = "rows" if layer.merged == 1 else "largest"
    taken = latency + 1 + (layer.merged - 1).bit_length()
    inputs, outputs = layer.channels * bits, layer.outputs * out_bits
    own = layer.quantizer
    return f"""/// Layer {layer.name}: {layer.nonzeros} nonzeros, {layer.cycles} cycles a position.
/// Codes by multiplication in {own.lines} channels, by comparison in {own.compared}.
module {module} (
  input  wire clk,
  input  wire rst_n,
  input  wire [{inputs - 1}:0] data_i,
  input  wire valid_i,
  output wire ready_o,
  output wire [{outputs - 1}:0] codes_o,
  output wire valid_o
);
  wire event_w, position, frame, own, evaluates;
  wire [{inputs - 1}:0] data;

  position_pacer #(
    .Bits({inputs}),
    .Cycles({layer.cycles}),
    .Positions({layer.positions}),
    .Flush({layer.flush}),
    .First({layer.first})
  ) pacer (
    .clk(clk), .rst_n(rst_n), .data_i(data_i), .valid_i(valid_i), .ready_o(ready_o),
    .event_o(event_w), .position_o(position), .data_o(data), .frame_o(frame), .own_o(own),
    .valid_o(evaluates)
  );

  wire [{layer.kernel * layer.channels * sums.digit_bits - 1}:0] x;
  wire first, last, valid;
  wire [{phase_bits - 1}:0] phase;

  serial_window #(
    .Channels({layer.channels}),
    .Bits({bits}),
    .Digit({sums.digit_bits}),
    .Kernel({layer.kernel}),
    .Phases({sums.phases}),
    .Pad({-layer.codes.low})
  ) window (
    .clk(clk), .rst_n(rst_n), .event_i(event_w), .position_i(position), .data_i(data),
    .frame_i(frame), .own_i(own), .valid_i(evaluates),
    .x(x), .first_o(first), .last_o(last), .valid_o(valid), .phase_o(phase)
  );

  // --- sums: {len(sums.nodes)} truth tables and adders, {len(sums.rows)} accumulators

  wire first_here, take;
  wire [{phase_bits - 1}:0] phase_there;
  wire [{len(sums.rows) * row_bits - 1}:0] rows;

  strobe_line #(.Cycles({latency})) first_line (
    .clk(clk), .rst_n(rst_n), .x(first), .y(first_here)
  );
  strobe_line #(.Cycles({taken})) take_line (
    .clk(clk), .rst_n(rst_n), .x(last && valid), .y(take)
  );
  delay_line #(.Bits({phase_bits}), .Cycles({taken})) phase_there_line (
    .clk(clk), .x(phase), .y(phase_there)
  );

{"".join(sums_text(sums))}{_maximum(layer)}
  // --- codes

  wire [{lanes * row_bits - 1}:0] lane_sums;
  wire [{lanes * out_bits - 1}:0] lane_codes;
  wire sums_valid, codes_valid;
  wire [{slot_bits - 1}:0] sums_slot, codes_slot;
  wire [{slots * lanes * out_bits - 1}:0] pooled;

  row_serializer #(
    .Rows({len(sums.rows) // layer.merged}),
    .Digits({sums.digits}),
    .Phases({sums.phases}),
    .Bits({row_bits})
  ) serializer (
    .clk(clk), .rst_n(rst_n), .take_i(take), .phase_i(phase_there), .rows_i({largest}),
    .lanes_o(lane_sums), .valid_o(sums_valid), .slot_o(sums_slot)
  );

{"".join(quantizer_text(own, row_bits, out_bits, module))}
  position_pool #(
    .Lanes({lanes}),
    .Slots({slots}),
    .Bits({out_bits}),
    .Pool({layer.pool}),
    .Evaluations({layer.evaluations})
  ) pool (
    .clk(clk), .rst_n(rst_n), .codes_i(lane_codes), .valid_i(codes_valid), .slot_i(codes_slot),
    .codes_o(pooled), .valid_o(valid_o)
  );

{"".join(_permutation(layer, out_bits))}endmodule
"""


def _maximum(layer: Convolution) -> str:
    """Of several evaluations of an output, before it becomes a code."""
    if layer.merged == 1:
        return ""
    rows, bits = len(layer.sums.rows) // layer.merged, layer.sums.accumulator_bits
    return f"""
  wire [{rows * bits - 1}:0] largest;

  row_maximum #(.Rows({rows}), .Ways({layer.merged}), .Bits({bits})) maximum (
    .clk(clk), .rows_i(rows), .rows_o(largest)
  );
"""


def _permutation(layer: Convolution, bits: int) -> Iterator[str]:
    """Codes by channel, from codes by slot and lane."""
    order = layer.quantizer.order
    lanes = len(order[0])
    for slot, row in enumerate(order):
        for lane, output in enumerate(row):
            if output is not None:
                source = (slot * lanes + lane) * bits
                yield (
                    f"  assign codes_o[{output * bits} +: {bits}] = pooled[{source} +: {bits}];\n"
                )
