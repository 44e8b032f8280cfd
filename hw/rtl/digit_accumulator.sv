/// Sum over the digits of a window, the most significant first: y = (first ? 0 : y << Digit) + a + b.
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
  always_ff @(posedge clk) y <= (a ^ InvertA) + (b ^ InvertB) + (first ? '0 : y << Digit);
endmodule
