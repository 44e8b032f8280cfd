"""The zero-skipping engine as SystemVerilog: instances and tables of what a plan says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.dataflow.zeros.convolution import Convolution, width
from pipeline.dataflow.zeros.network import AdderNetwork, Leaf, Operand, Row, Sum

KERNELS = (
    "frame_credit.sv",
    "stream_fifo.sv",
    "delay_line.sv",
    "strobe_line.sv",
    "truth_table.sv",
    "lane_select.sv",
    "ternary_adder.sv",
    "digit_accumulator.sv",
    "position_pacer.sv",
    "serial_window.sv",
    "row_serializer.sv",
    "requantizer.sv",
    "position_pool.sv",
)


def convolution_files(layer: Convolution, module: str) -> dict[str, bytes]:
    """The module of a layer, of this name, and its table."""
    table = f"{module}_requantizer.mem"
    return {
        f"{module}.sv": convolution_text(layer, module, table).encode(),
        table: requantizer_table(layer).encode(),
    }


def requantizer_table(layer: Convolution) -> str:
    """A word a slot, lane 0 in the low bits, of each lane the factor below the term."""
    own = layer.requantizer
    lane_bits = own.factor_bits + own.term_bits
    lines = []
    for factors, terms in zip(own.factors, own.terms, strict=True):
        word = 0
        for lane, (factor, term) in enumerate(zip(factors, terms, strict=True)):
            value = factor | (term % (1 << own.term_bits)) << own.factor_bits
            word |= value << lane * lane_bits
        lines.append(f"{word:0{-(-len(factors) * lane_bits // 4)}x}\n")
    return "".join(lines)


def convolution_text(layer: Convolution, module: str, table: str) -> str:
    """SystemVerilog of a layer: codes of a position in, codes of a position out."""
    sums, own = layer.sums, layer.requantizer
    bits, out_bits = layer.code_bits, width(layer.output)
    lanes, slots = len(layer.order[0]), len(layer.order)
    phase_bits = max(1, sums.phase_bits)
    slot_bits = max(1, (slots - 1).bit_length())
    row_bits = sums.accumulator_bits
    latency = (sums.phases > 1) + sums.levels
    inputs, outputs = layer.channels * bits, layer.outputs * out_bits
    return f"""/// Layer {layer.name}: {layer.nonzeros} nonzeros, {layer.cycles} cycles a position.
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
    .Flush({layer.padding}),
    .First({layer.kernel - 1 - layer.padding})
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

  delay_line #(.Bits(1), .Cycles({latency})) first_line (.clk(clk), .x(first), .y(first_here));
  strobe_line #(.Cycles({latency + 1})) take_line (
    .clk(clk), .rst_n(rst_n), .x(last && valid), .y(take)
  );
  delay_line #(.Bits({phase_bits}), .Cycles({latency + 1})) phase_there_line (
    .clk(clk), .x(phase), .y(phase_there)
  );

{"".join(_sums(sums))}
  // --- codes

  wire [{lanes * row_bits - 1}:0] lane_sums;
  wire [{lanes * out_bits - 1}:0] lane_codes;
  wire sums_valid, codes_valid;
  wire [{slot_bits - 1}:0] sums_slot, codes_slot;
  wire [{slots * lanes * out_bits - 1}:0] pooled;

  row_serializer #(
    .Rows({len(sums.rows)}),
    .Digits({sums.digits}),
    .Phases({sums.phases}),
    .Bits({row_bits})
  ) serializer (
    .clk(clk), .rst_n(rst_n), .take_i(take), .phase_i(phase_there), .rows_i(rows),
    .lanes_o(lane_sums), .valid_o(sums_valid), .slot_o(sums_slot)
  );

  requantizer #(
    .Lanes({lanes}),
    .Slots({slots}),
    .AccBits({row_bits}),
    .FactorBits({own.factor_bits}),
    .TermBits({own.term_bits}),
    .Shift({own.shift}),
    .CodeBits({out_bits}),
    .Levels({own.levels}),
    .TableFile("{table}")
  ) requantize (
    .clk(clk), .rst_n(rst_n), .sums_i(lane_sums), .valid_i(sums_valid), .slot_i(sums_slot),
    .codes_o(lane_codes), .valid_o(codes_valid), .slot_o(codes_slot)
  );

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


def _permutation(layer: Convolution, bits: int) -> Iterator[str]:
    """Codes by channel, from codes by slot and lane."""
    lanes = len(layer.order[0])
    for slot, row in enumerate(layer.order):
        for lane, output in enumerate(row):
            if output is not None:
                source = (slot * lanes + lane) * bits
                yield (
                    f"  assign codes_o[{output * bits} +: {bits}] = pooled[{source} +: {bits}];\n"
                )


# --- sums ---------------------------------------------------------------------------------------


def _sums(sums: AdderNetwork) -> Iterator[str]:
    late_phase = "phase"
    if sums.phases > 1:
        bits = sums.phase_bits
        late_phase = "lane_phase"
        yield f"  wire [{bits - 1}:0] lane_phase;\n"
        yield f"  delay_line #(.Bits({bits}), .Cycles(1)) phase_line (.clk(clk), .x(phase), "
        yield ".y(lane_phase));\n"
        yield from _lanes(sums)
    for number, node in enumerate(sums.nodes):
        bits = node.bits
        yield f"  wire [{bits - 1}:0] n{number};\n"
        if isinstance(node, Leaf):
            yield _leaf(sums, number, node, bits, late_phase)
        else:
            yield _sum(sums, number, node)
    for number, row in enumerate(sums.rows):
        yield _row(sums, number, row)


def _lanes(sums: AdderNetwork) -> Iterator[str]:
    for number, lane in enumerate(sums.lanes):
        chosen = ", ".join("1'b0" if s is None else f"x[{s}]" for s in reversed(lane.sources))
        yield f"  wire l{number};\n"
        yield (
            f"  lane_select #(.Phases({sums.phases})) lane{number} "
            f"(.clk(clk), .phase(phase), .x({{{chosen}}}), .y(l{number}));\n"
        )


def _leaf(sums: AdderNetwork, number: int, leaf: Leaf, bits: int, phase: str) -> str:
    lanes = [_lane(sums, lane) for lane in leaf.lanes]
    if not lanes:
        return f"  assign n{number} = '0;\n"
    if sums.phases > 1:
        lanes.append(phase)
    inputs = len(leaf.lanes) + sums.phase_bits
    table = 0
    for phase_number in range(sums.phases):
        for value in range(1 << len(leaf.lanes)):
            place = phase_number << len(leaf.lanes) | value
            table |= leaf.sum(phase_number, value) << place * bits
    digits = -(-bits * 2**inputs // 4)
    return (
        f"  truth_table #(.Inputs({inputs}), .Bits({bits}), "
        f".Table({bits * 2**inputs}'h{table:0{digits}x})) leaf{number} "
        f"(.clk(clk), .x({{{', '.join(reversed(lanes))}}}), .y(n{number}));\n"
    )


def _lane(sums: AdderNetwork, lane: int) -> str:
    if sums.phases > 1:
        return f"l{lane}"
    return f"x[{sums.lanes[lane].sources[0]}]"


def _sum(sums: AdderNetwork, number: int, node: Sum) -> str:
    bits = node.bits
    if len(node.operands) == 1:
        return (
            f"  delay_line #(.Bits({bits}), .Cycles(1)) sum{number} "
            f"(.clk(clk), .x(n{node.operands[0].node}), .y(n{number}));\n"
        )
    parameters, ports = _adder(sums, node.operands, bits)
    return f"  ternary_adder #({parameters}) sum{number} (.clk(clk), {ports}, .y(n{number}));\n"


def _row(sums: AdderNetwork, number: int, row: Row) -> str:
    """Accumulators are as wide as the widest, so that all rows are one vector."""
    bits = sums.accumulator_bits
    target = f"rows[{number * bits} +: {bits}]"
    if sums.digits == 1:
        parameters, ports = _adder(sums, row.operands, bits)
        return f"  ternary_adder #({parameters}) row{number} (.clk(clk), {ports}, .y({target}));\n"
    masks = ", ".join(_masks(sums, row.operands, bits, "AB"))
    ports = ", ".join(_ports(row.operands, bits, "ab"))
    return (
        f"  digit_accumulator #(.Bits({bits}), .Digit({sums.digit_bits}){masks and ', '}{masks}) "
        f"row{number} (.clk(clk), .first(first_here), {ports}, .y({target}));\n"
    )


def _adder(sums: AdderNetwork, operands: Sequence[Operand], bits: int) -> tuple[str, str]:
    """Parameters and ports; the operand that reaches lowest comes first and passes below."""
    ordered = sorted(operands, key=lambda x: x.shift)
    passed = ordered[1].shift if len(ordered) > 1 else 0
    passed = min(passed, bits - 1)
    masks = "".join(f", {mask}" for mask in _masks(sums, ordered, bits, "ABC"))
    return f".Bits({bits}), .Pass({passed}){masks}", ", ".join(_ports(ordered, bits, "abc"))


def _masks(sums: AdderNetwork, operands: Sequence[Operand], bits: int, names: str) -> Iterator[str]:
    for name, x in zip(names, operands, strict=False):
        if x.inverted:
            mask = ((1 << sums.nodes[x.node].bits) - 1) << x.shift
            yield f".Invert{name}({bits}'h{mask:x})"


def _ports(operands: Sequence[Operand], bits: int, names: str) -> Iterator[str]:
    for index, name in enumerate(names):
        if index >= len(operands):
            yield f".{name}({bits}'d0)"
            continue
        x = operands[index]
        value = f"{bits}'(n{x.node})"
        yield f".{name}({value} << {x.shift})" if x.shift else f".{name}({value})"
