/// In place of hw/rtl/stream_fifo.sv: one word, taken and offered at random.
///
/// Between all nodes of an accelerator it holds every one of them back and starves every one of
/// them.  random_q starts with what the simulator makes of its seed, another number in each.
module stream_fifo #(
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
  logic        full_q;
  logic [31:0] random_q, a, b;

  assign a = random_q ^ (random_q << 13);
  assign b = a ^ (a >> 17);
  assign in0_V_TREADY = !full_q && random_q[7:0] < 8'd160;

  always_ff @(posedge ap_clk) begin
    random_q <= (random_q == '0) ? 32'd1 : b ^ (b << 5);
    if (!ap_rst_n) begin
      full_q        <= 1'b0;
      out0_V_TVALID <= 1'b0;
    end else begin
      if (out0_V_TVALID && out0_V_TREADY) begin
        full_q        <= 1'b0;
        out0_V_TVALID <= 1'b0;
      end else if (full_q && random_q[15:8] < 8'd160) out0_V_TVALID <= 1'b1;
      if (in0_V_TVALID && in0_V_TREADY) begin
        full_q       <= 1'b1;
        out0_V_TDATA <= in0_V_TDATA;
      end
    end
  end
endmodule
