/// Labels in the order of the frames, one for every frame that was begun.
///
/// A frame takes one of Credits as it begins (`begin_i`) and gives it back as its label leaves, so
/// both queues hold whatever comes and the core never has to wait.  `entry_i` says that a frame has
/// ended, good or not; the label of one that was dropped is all ones, and needs no core.
module label_queue #(
  parameter int unsigned Bits    = 8,
  parameter int unsigned Credits = 16
) (
  input  logic            aclk,
  input  logic            aresetn,

  input  logic            begin_i,
  input  logic            entry_i,
  input  logic            entry_good_i,
  input  logic            entry_last_i,
  output logic            admit_o,
  output logic            busy_o,
  output logic            label_o,  // the label of a good frame leaves

  input  logic [Bits-1:0] s_axis_tdata,
  input  logic            s_axis_tvalid,
  output logic            s_axis_tready,

  output logic [Bits-1:0] m_axis_tdata,
  output logic            m_axis_tvalid,
  input  logic            m_axis_tready,
  output logic            m_axis_tlast
);
  localparam int unsigned CountBits = $clog2(Credits + 1);

  logic [CountBits-1:0] inside_q;
  logic                 take, good, entry_valid, label_valid, entries_ready;
  logic [Bits-1:0]      core_label;

  assign admit_o       = inside_q != CountBits'(Credits);
  assign busy_o        = inside_q != '0;
  assign m_axis_tvalid = entry_valid && (!good || label_valid);
  assign m_axis_tdata  = good ? core_label : '1;
  assign take          = m_axis_tvalid && m_axis_tready;
  assign label_o       = take && good;

  always_ff @(posedge aclk) begin
    if (!aresetn) inside_q <= '0;
    else if (begin_i != take) inside_q <= begin_i ? inside_q + 1'b1 : inside_q - 1'b1;
  end

  stream_fifo #(
    .Bits(2),
    .Depth(Credits)
  ) entries (
    .ap_clk(aclk),
    .ap_rst_n(aresetn),
    .in0_V_TDATA({entry_good_i, entry_last_i}),
    .in0_V_TVALID(entry_i),
    .in0_V_TREADY(entries_ready),
    .out0_V_TDATA({good, m_axis_tlast}),
    .out0_V_TVALID(entry_valid),
    .out0_V_TREADY(take)
  );

  stream_fifo #(
    .Bits(Bits),
    .Depth(Credits)
  ) labels (
    .ap_clk(aclk),
    .ap_rst_n(aresetn),
    .in0_V_TDATA(s_axis_tdata),
    .in0_V_TVALID(s_axis_tvalid),
    .in0_V_TREADY(s_axis_tready),
    .out0_V_TDATA(core_label),
    .out0_V_TVALID(label_valid),
    .out0_V_TREADY(take && good)
  );

  wire unused = &{1'b0, entries_ready};  // there is room for every frame that may begin
endmodule
