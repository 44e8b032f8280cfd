/// Sum over the digits of a window, the most significant first: y = (first ? 0 : y << Digit) + a + b.
///
/// Three operands become two, as in `ternary_adder`.
module digit_accumulator #(
  parameter int unsigned     Bits    = 12,
  parameter int unsigned     Digit   = 1,
  parameter logic [Bits-1:0] InvertA = '0,
  parameter logic [Bits-1:0] InvertB = '0
) (
  input  logic            clk,
  input  logic            first,
  input  logic [Bits-1:0] a,
  input  logic [Bits-1:0] b,
  output logic [Bits-1:0] y
);
  logic [Bits-1:0] p, q, r, sums, carries;

  assign p       = a ^ InvertA;
  assign q       = b ^ InvertB;
  assign r       = first ? '0 : y << Digit;
  assign sums    = p ^ q ^ r;
  assign carries = (p & q) | (r & (p | q));

  always_ff @(posedge clk) y <= Bits'({carries, 1'b0}) + sums;
endmodule
