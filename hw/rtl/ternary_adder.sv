/// Registered sum of three operands, of which bits may be inverted: a LUT a bit.
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
  logic [Bits-1:0] sum;

  always_comb begin
    sum = a ^ InvertA;
    sum[Bits-1:Pass] = sum[Bits-1:Pass] + (b[Bits-1:Pass] ^ InvertB[Bits-1:Pass])
                       + (c[Bits-1:Pass] ^ InvertC[Bits-1:Pass]);
  end

  always_ff @(posedge clk) y <= sum;

  if (Pass > 0) begin : g_unused
    wire unused = &{1'b0, b[Pass-1:0], c[Pass-1:0]};
  end
endmodule
