/// One of several bits by turns: y is x[phase] in the next cycle.
module lane_select #(
  parameter int unsigned Phases = 2,
  localparam int unsigned PhaseBits = (Phases > 1) ? $clog2(Phases) : 1
) (
  input  logic                 clk,
  input  logic [PhaseBits-1:0] phase,
  input  logic [Phases-1:0]    x,
  output logic                 y
);
  always_ff @(posedge clk) y <= x[phase];
endmodule
