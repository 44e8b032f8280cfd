"""The module `accelerator`, which the AXI shell takes, around the one that Vitis HLS makes."""

from __future__ import annotations

from pipeline.codegen.hls import TOP

FILE = "accelerator.v"


def adapter(beat_bytes: int, label_bytes: int) -> str:
    """Verilog.  Port names of Vitis HLS are those of the function's arguments, with `_TDATA` and so
    on; its streams carry `tkeep` and `tstrb` too, and every byte counts."""
    in_bits, label_bits = 8 * beat_bytes, 8 * label_bytes
    return f"""// Generated. The accelerator of Vitis HLS with the ports that the AXI shell knows.
module accelerator (
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire [{in_bits - 1}:0] s_axis_tdata,
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  input  wire s_axis_tlast,
  output wire [{label_bits - 1}:0] m_axis_tdata,
  output wire m_axis_tvalid,
  input  wire m_axis_tready,
  output wire m_axis_tlast
);
  {TOP} core (
    .ap_clk(ap_clk),
    .ap_rst_n(ap_rst_n),
    .s_axis_TDATA(s_axis_tdata),
    .s_axis_TVALID(s_axis_tvalid),
    .s_axis_TREADY(s_axis_tready),
    .s_axis_TKEEP({beat_bytes}'b{"1" * beat_bytes}),
    .s_axis_TSTRB({beat_bytes}'b{"1" * beat_bytes}),
    .s_axis_TLAST(s_axis_tlast),
    .m_axis_TDATA(m_axis_tdata),
    .m_axis_TVALID(m_axis_tvalid),
    .m_axis_TREADY(m_axis_tready),
    .m_axis_TKEEP(),
    .m_axis_TSTRB(),
    .m_axis_TLAST(m_axis_tlast)
  );
endmodule
"""
