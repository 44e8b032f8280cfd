/// x, Cycles cycles later; a reset forgets what is on its way.
module strobe_line #(
  parameter int unsigned Cycles = 1
) (
  input  logic clk,
  input  logic rst_n,
  input  logic x,
  output logic y
);
  logic [Cycles-1:0] line_q;

  assign y = line_q[Cycles-1];

  always_ff @(posedge clk) line_q <= rst_n ? Cycles'({line_q, x}) : '0;
endmodule
