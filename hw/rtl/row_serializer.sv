/// Hands the accumulators of all rows to fewer lanes, one after the other.
///
/// With `take_i` all rows are taken; lane j gives rows j * Digits .. j * Digits + Digits - 1 in the
/// next Digits cycles.  slot_o: phase * Digits + the row's number in its lane.
module row_serializer #(
  parameter int unsigned Rows   = 64,
  parameter int unsigned Digits = 2,
  parameter int unsigned Phases = 1,
  parameter int unsigned Bits   = 12,
  localparam int unsigned Lanes     = (Rows + Digits - 1) / Digits,
  localparam int unsigned Slots     = Digits * Phases,
  localparam int unsigned SlotBits  = (Slots > 1) ? $clog2(Slots) : 1,
  localparam int unsigned PhaseBits = (Phases > 1) ? $clog2(Phases) : 1
) (
  input  logic                  clk,
  input  logic                  rst_n,
  input  logic                  take_i,
  input  logic [PhaseBits-1:0]  phase_i,
  input  logic [Rows*Bits-1:0]  rows_i,
  output logic [Lanes*Bits-1:0] lanes_o,
  output logic                  valid_o,
  output logic [SlotBits-1:0]   slot_o
);
  localparam int unsigned DigitBits = (Digits > 1) ? $clog2(Digits) : 1;

  logic [Rows*Bits-1:0] rows_q;
  logic [DigitBits-1:0] digit_q;
  logic                 valid_q;
  logic [SlotBits-1:0]  slot_q;

  assign valid_o = valid_q;
  assign slot_o  = slot_q;

  for (genvar j = 0; j < Lanes; j++) begin : g_lane
    logic [Bits-1:0] own[Digits];
    for (genvar d = 0; d < Digits; d++) begin : g_row
      if (j * Digits + d < Rows) begin : g_there
        assign own[d] = rows_q[(j*Digits+d)*Bits +: Bits];
      end else begin : g_none
        assign own[d] = '0;
      end
    end
    assign lanes_o[j*Bits +: Bits] = own[digit_q];
  end

  always_ff @(posedge clk) begin
    if (!rst_n) valid_q <= 1'b0;
    else if (take_i) valid_q <= 1'b1;
    else if (digit_q == DigitBits'(Digits - 1)) valid_q <= 1'b0;
    digit_q <= take_i ? '0 : digit_q + 1'b1;
    slot_q  <= take_i ? SlotBits'(32'(phase_i) * Digits) : slot_q + 1'b1;
    if (take_i) rows_q <= rows_i;
  end
endmodule
