/// Registered sum of three operands, of which bits may be inverted: a LUT of two outputs a bit.
///
/// Single bits are added first, and then their sums and carries.
///
/// The lowest Pass bits are those of `a` alone (b and c are 0 there): they cost a register only.
module ternary_adder #(
  parameter int unsigned     Bits    = 8,
  parameter int unsigned     Pass    = 0,
  parameter logic [Bits-1:0] InvertA = '0,
  parameter logic [Bits-1:0] InvertB = '0,
  parameter logic [Bits-1:0] InvertC = '0
) (
  input  logic            clk,
  input  logic [Bits-1:0] a,
  input  logic [Bits-1:0] b,
  input  logic [Bits-1:0] c,
  output logic [Bits-1:0] y
);
  localparam int unsigned Top = Bits - Pass;

  logic [Bits-1:0] p;
  logic [Top-1:0]  high, q, r, sums, carries;  // of the bits that are added

  assign p       = a ^ InvertA;
  assign high    = p[Bits-1:Pass];
  assign q       = b[Bits-1:Pass] ^ InvertB[Bits-1:Pass];
  assign r       = c[Bits-1:Pass] ^ InvertC[Bits-1:Pass];
  assign sums    = high ^ q ^ r;
  assign carries = (high & q) | (r & (high | q));

  always_ff @(posedge clk) begin
    y              <= p;
    y[Bits-1:Pass] <= Top'({carries, 1'b0}) + sums;
  end

  if (Pass > 0) begin : g_unused
    wire unused = &{1'b0, b[Pass-1:0], c[Pass-1:0]};
  end
endmodule
