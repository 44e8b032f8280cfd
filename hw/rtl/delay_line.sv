/// x, Cycles cycles later.
module delay_line #(
  parameter int unsigned Bits   = 1,
  parameter int unsigned Cycles = 1
) (
  input  logic            clk,
  input  logic [Bits-1:0] x,
  output logic [Bits-1:0] y
);
  logic [Bits-1:0] line_q[Cycles];

  assign y = line_q[Cycles-1];

  always_ff @(posedge clk)
    for (int unsigned i = 0; i < Cycles; i++) line_q[i] <= (i == 0) ? x : line_q[i-1];
endmodule
