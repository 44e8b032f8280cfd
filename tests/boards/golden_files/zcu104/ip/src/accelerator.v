// Generated. The accelerator of Vitis HLS with the ports that the AXI shell knows.
module accelerator (
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire [7:0] s_axis_tdata,
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  input  wire s_axis_tlast,
  output wire [7:0] m_axis_tdata,
  output wire m_axis_tvalid,
  input  wire m_axis_tready,
  output wire m_axis_tlast
);
  accelerator_hls core (
    .ap_clk(ap_clk),
    .ap_rst_n(ap_rst_n),
    .s_axis_TDATA(s_axis_tdata),
    .s_axis_TVALID(s_axis_tvalid),
    .s_axis_TREADY(s_axis_tready),
    .s_axis_TKEEP(1'b1),
    .s_axis_TSTRB(1'b1),
    .s_axis_TLAST(s_axis_tlast),
    .m_axis_TDATA(m_axis_tdata),
    .m_axis_TVALID(m_axis_tvalid),
    .m_axis_TREADY(m_axis_tready),
    .m_axis_TKEEP(),
    .m_axis_TSTRB(),
    .m_axis_TLAST(m_axis_tlast)
  );
endmodule
