/// A frame_padding whose zeros in front of a frame are held back until the frame comes.
///
/// Those in front of a frame that never comes would be words too many.
module held_padding #(
  parameter int unsigned Bits      = 8,
  parameter int unsigned Folds     = 1,
  parameter int unsigned Positions = 4,
  parameter int unsigned Before    = 1,
  parameter int unsigned After     = 1,
  localparam int unsigned Width = (Bits + 7) / 8 * 8
) (
  input  logic             ap_clk,
  input  logic             ap_rst_n,
  input  logic [Width-1:0] in0_V_TDATA,
  input  logic             in0_V_TVALID,
  output logic             in0_V_TREADY,
  output logic [Width-1:0] out0_V_TDATA,
  output logic             out0_V_TVALID,
  input  logic             out0_V_TREADY
);
  localparam int unsigned Words = (Before + Positions + After) * Folds;

  int unsigned word_q;
  logic        valid, open;

  assign open          = word_q >= Before * Folds || in0_V_TVALID;
  assign out0_V_TVALID = valid && open;

  frame_padding #(
    .Bits(Bits), .Folds(Folds), .Positions(Positions), .Before(Before), .After(After)
  ) padding (
    .ap_clk, .ap_rst_n, .in0_V_TDATA, .in0_V_TVALID, .in0_V_TREADY, .out0_V_TDATA,
    .out0_V_TVALID(valid),
    .out0_V_TREADY(out0_V_TREADY && open)
  );

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) word_q <= '0;
    else if (out0_V_TVALID && out0_V_TREADY) word_q <= (word_q == Words - 1) ? '0 : word_q + 1'b1;
  end
endmodule
