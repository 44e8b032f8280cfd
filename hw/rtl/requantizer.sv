/// Codes of sums by one multiplication: code = clamp((factor * sum + term) >> Shift, 0, Levels).
///
/// Every slot of a lane has a factor and a term of its own, from a table: a word a slot, lane 0 in
/// the low bits, of each lane the factor below the term.  Factors are unsigned, terms signed.
/// Four cycles from sum to code; multiplication and addition have the registers of a DSP slice.
module requantizer #(
  parameter int unsigned Lanes      = 1,
  parameter int unsigned Slots      = 1,
  parameter int unsigned AccBits    = 12,
  parameter int unsigned FactorBits = 11,
  parameter int unsigned TermBits   = 24,
  parameter int unsigned Shift      = 16,
  parameter int unsigned CodeBits   = 4,
  parameter int unsigned Levels     = 15,
  parameter              TableFile  = "requantizer.mem",
  localparam int unsigned SlotBits = (Slots > 1) ? $clog2(Slots) : 1
) (
  input  logic                      clk,
  input  logic                      rst_n,
  input  logic [Lanes*AccBits-1:0]  sums_i,
  input  logic                      valid_i,
  input  logic [SlotBits-1:0]       slot_i,
  output logic [Lanes*CodeBits-1:0] codes_o,
  output logic                      valid_o,
  output logic [SlotBits-1:0]       slot_o
);
  localparam int unsigned Latency  = 4;
  localparam int unsigned LaneBits = FactorBits + TermBits;
  localparam int unsigned Product  = AccBits + FactorBits + 1;
  localparam int unsigned Wide     = ((Product > TermBits) ? Product : TermBits) + 1;

  (* rom_style = "distributed" *) logic [Lanes*LaneBits-1:0] table_q[Slots];
  initial $readmemh(TableFile, table_q);

  logic [Lanes*LaneBits-1:0] word;
  assign word = table_q[slot_i];

  for (genvar j = 0; j < Lanes; j++) begin : g_lane
    logic [AccBits-1:0]           sum_q;
    logic [FactorBits-1:0]        factor_q;
    logic signed [TermBits-1:0]   term_q, late_term_q;
    (* use_dsp = "yes" *) logic signed [Product-1:0] product_q;
    (* use_dsp = "yes" *) logic signed [Wide-1:0]    total_q;
    logic signed [Wide-1:0]       level;

    assign level = total_q >>> Shift;

    always_ff @(posedge clk) begin
      sum_q       <= sums_i[j*AccBits +: AccBits];
      {term_q, factor_q} <= word[j*LaneBits +: LaneBits];
      product_q   <= $signed({1'b0, sum_q}) * $signed({1'b0, factor_q});
      late_term_q <= term_q;
      total_q     <= Wide'(product_q) + Wide'(late_term_q);
      if (level < 0) codes_o[j*CodeBits +: CodeBits] <= '0;
      else if (level > $signed(Wide'(Levels))) codes_o[j*CodeBits +: CodeBits] <= CodeBits'(Levels);
      else codes_o[j*CodeBits +: CodeBits] <= level[CodeBits-1:0];
    end
  end

  logic [Latency-1:0]  valid_q;
  logic [SlotBits-1:0] slot_q[Latency];

  assign valid_o = valid_q[Latency-1];
  assign slot_o  = slot_q[Latency-1];

  always_ff @(posedge clk) begin
    valid_q <= rst_n ? {valid_q[Latency-2:0], valid_i} : '0;
    for (int unsigned i = 0; i < Latency; i++) slot_q[i] <= (i == 0) ? slot_i : slot_q[i-1];
  end
endmodule
