/// A stream_fifo whose output is held back until it has refused a word, and never again.
///
/// It opens one cycle after the refusal.
module filled_fifo #(
  parameter int unsigned Bits  = 8,
  parameter int unsigned Depth = 2
) (
  input  logic            ap_clk,
  input  logic            ap_rst_n,
  input  logic [Bits-1:0] in0_V_TDATA,
  input  logic            in0_V_TVALID,
  output logic            in0_V_TREADY,
  output logic [Bits-1:0] out0_V_TDATA,
  output logic            out0_V_TVALID,
  input  logic            out0_V_TREADY
);
  logic open_q, valid;

  stream_fifo #(.Bits(Bits), .Depth(Depth)) fifo (
    .ap_clk, .ap_rst_n, .in0_V_TDATA, .in0_V_TVALID, .in0_V_TREADY, .out0_V_TDATA,
    .out0_V_TVALID(valid),
    .out0_V_TREADY(out0_V_TREADY && open_q)
  );
  assign out0_V_TVALID = valid && open_q;

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) open_q <= 1'b0;
    else if (in0_V_TVALID && !in0_V_TREADY) open_q <= 1'b1;
  end
endmodule
