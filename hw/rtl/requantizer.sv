/// Codes of sums by one multiplication: code = clamp((factor * sum + term) >> Shift, 0, Levels).
///
/// Every slot of a lane has a factor and a term of its own, from a table: a word a slot, lane 0 in
/// the low bits, of each lane the factor below the term.  Factors are unsigned, terms signed.
/// Four cycles from sum to code; multiplication and addition have the registers of a DSP slice.
///
///   sums_i, slot_i    | a |
///   sum_q, factor_q       | a |        term_q goes with them
///   product_q                 | a |    late_term_q with it
///   total_q                       | a |
///   codes_o                           | a |
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
  input  logic [Lanes*AccBits-1:0]  sums_i,
  input  logic [SlotBits-1:0]       slot_i,
  output logic [Lanes*CodeBits-1:0] codes_o
);
  localparam int unsigned LaneBits = FactorBits + TermBits;
  localparam int unsigned Product  = AccBits + FactorBits + 1;
  localparam int unsigned Operand  = (Product > TermBits) ? Product : TermBits;
  localparam int unsigned Wide     = ((Operand > CodeBits) ? Operand : CodeBits) + 1;

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
    // Yosys 0.70 spoils an output register of a DSP if it knows some of its bits to be equal, so
    // pipeline/synth keeps this one out
    (* fabric_register *) logic signed [Wide-1:0] total;

    assign total = Wide'(product_q) + Wide'(late_term_q);

    assign level = total_q >>> Shift;

    always_ff @(posedge clk) begin
      sum_q       <= sums_i[j*AccBits +: AccBits];
      {term_q, factor_q} <= word[j*LaneBits +: LaneBits];
      product_q   <= $signed({1'b0, sum_q}) * $signed({1'b0, factor_q});
      late_term_q <= term_q;
      total_q     <= total;
      if (level < 0) codes_o[j*CodeBits +: CodeBits] <= '0;
      else if (level > $signed(Wide'(Levels))) codes_o[j*CodeBits +: CodeBits] <= CodeBits'(Levels);
      else codes_o[j*CodeBits +: CodeBits] <= level[CodeBits-1:0];
    end
  end
endmodule
