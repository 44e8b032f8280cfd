/// The accelerator as a system sees it: AXI4-Stream in and out by DMA, AXI4-Lite registers.
///
///   s_axis ─ frame_buffer ─ accelerator ─ label_queue ─ m_axis
///                 └───── one credit a frame ─────┘
///
/// In: packets of PACKET_FRAMES frames of Beats beats, tlast on the last beat of the packet; out:
/// one label for every frame, in order, tlast on that of the packet's last frame.  Short and long
/// frames are dropped whole and give the label of all ones (see frame_buffer).
///
/// Registers, 32 bit, at byte offsets; counters are 0 after a reset and wrap:
///   00 MAGIC          ro  "AMCF"
///   04 VERSION        ro  of this map
///   08 CONTROL        rw  bit 0: write 1 for a soft reset of all but the AXI4-Lite interface;
///                         reads 1 while it goes on, 16 cycles, in which no beat is taken
///   0c STATUS         ro  bit 0: frames are inside; bit 1: in the middle of a packet
///   10 FRAME_BEATS    ro
///   14 CLASSES        ro
///   18 PACKET_FRAMES  rw  1 after any reset; taken at a packet's first beat; 0 is not taken
///   1c CREDITS        ro  frames that may be inside at once
///   20 HASH0..7       ro  of the accelerator, SHA-256; HASH0 holds its first four bytes
///   40 FRAMES_IN      ro  good frames taken
///   44 FRAMES_OUT     ro  their labels that left
///   48 SHORT_FRAMES   ro
///   4c LONG_FRAMES    ro
///   50 SHORT_PACKETS  ro
///   54 BAD_BEATS      ro  beats of the latest short or long frame, of a long one up to its tlast
///   58 BAD_FRAME      ro  its number in its packet
///   60 CYCLES_LO      ro  cycles in which a frame was inside; a read latches CYCLES_HI
///   64 CYCLES_HI      ro
module accelerator_axi #(
  parameter int unsigned  InBits    = 8,
  parameter int unsigned  LabelBits = 8,
  parameter int unsigned  Beats     = 1024,
  parameter int unsigned  Classes   = 24,
  parameter int unsigned  Credits   = 16,
  parameter logic [255:0] Hash      = '0
) (
  input  logic                 aclk,
  input  logic                 aresetn,

  input  logic [InBits-1:0]    s_axis_tdata,
  input  logic                 s_axis_tvalid,
  output logic                 s_axis_tready,
  input  logic                 s_axis_tlast,

  output logic [LabelBits-1:0] m_axis_tdata,
  output logic                 m_axis_tvalid,
  input  logic                 m_axis_tready,
  output logic                 m_axis_tlast,

  input  logic [6:0]           s_axi_awaddr,
  input  logic                 s_axi_awvalid,
  output logic                 s_axi_awready,
  input  logic [31:0]          s_axi_wdata,
  input  logic [3:0]           s_axi_wstrb,
  input  logic                 s_axi_wvalid,
  output logic                 s_axi_wready,
  output logic [1:0]           s_axi_bresp,
  output logic                 s_axi_bvalid,
  input  logic                 s_axi_bready,
  input  logic [6:0]           s_axi_araddr,
  input  logic                 s_axi_arvalid,
  output logic                 s_axi_arready,
  output logic [31:0]          s_axi_rdata,
  output logic [1:0]           s_axi_rresp,
  output logic                 s_axi_rvalid,
  input  logic                 s_axi_rready
);
  localparam logic [31:0] Magic       = 32'h414D_4346;
  localparam logic [31:0] Version     = 32'd1;
  localparam int unsigned ResetCycles = 16;
  localparam int unsigned ResetBits   = $clog2(ResetCycles + 1);

  localparam logic [4:0] Control      = 5'h02;  // in words
  localparam logic [4:0] PacketFrames = 5'h06;
  localparam logic [4:0] CyclesLow    = 5'h18;

  // --- registers --------------------------------------------------------------------------------

  logic        write, read;
  logic [4:0]  write_address, read_address;
  logic [31:0] write_data, read_data, packet_frames_q, packet_frames_d;
  logic [3:0]  write_bytes;

  axi_lite_registers #(
    .AddressBits(7)
  ) registers (
    .aclk(aclk),
    .aresetn(aresetn),
    .s_axi_awaddr(s_axi_awaddr),
    .s_axi_awvalid(s_axi_awvalid),
    .s_axi_awready(s_axi_awready),
    .s_axi_wdata(s_axi_wdata),
    .s_axi_wstrb(s_axi_wstrb),
    .s_axi_wvalid(s_axi_wvalid),
    .s_axi_wready(s_axi_wready),
    .s_axi_bresp(s_axi_bresp),
    .s_axi_bvalid(s_axi_bvalid),
    .s_axi_bready(s_axi_bready),
    .s_axi_araddr(s_axi_araddr),
    .s_axi_arvalid(s_axi_arvalid),
    .s_axi_arready(s_axi_arready),
    .s_axi_rdata(s_axi_rdata),
    .s_axi_rresp(s_axi_rresp),
    .s_axi_rvalid(s_axi_rvalid),
    .s_axi_rready(s_axi_rready),
    .write_o(write),
    .write_address_o(write_address),
    .write_data_o(write_data),
    .write_bytes_o(write_bytes),
    .read_o(read),
    .read_address_o(read_address),
    .read_data_i(read_data)
  );

  // Registered, since it resets the whole core; one cycle longer than what it follows.
  logic [ResetBits-1:0] reset_left_q;
  logic                 run_n_q;

  always_ff @(posedge aclk) begin
    if (!aresetn) reset_left_q <= '0;
    else if (write && write_address == Control && write_bytes[0] && write_data[0])
      reset_left_q <= ResetBits'(ResetCycles);
    else if (reset_left_q != '0) reset_left_q <= reset_left_q - 1'b1;
    run_n_q <= aresetn && reset_left_q == '0;
  end

  always_comb begin
    packet_frames_d = packet_frames_q;
    for (int unsigned i = 0; i < 4; i++)
      if (write_bytes[i]) packet_frames_d[8*i +: 8] = write_data[8*i +: 8];
  end

  always_ff @(posedge aclk) begin
    if (!run_n_q) packet_frames_q <= 32'd1;
    else if (write && write_address == PacketFrames && packet_frames_d != '0)
      packet_frames_q <= packet_frames_d;
  end

  // --- data -------------------------------------------------------------------------------------

  logic                 buffer_ready, admit, begins, entry, entry_good, entry_last, busy, in_packet;
  logic                 short_frame, long_frame, short_packet, label_leaves;
  logic [31:0]          bad_beats, bad_frame;
  logic [InBits-1:0]    frame_tdata;
  logic                 frame_tvalid, frame_tready, frame_tlast;
  logic [LabelBits-1:0] label_tdata;
  logic                 label_tvalid, label_tready, label_tlast;

  // what comes during a soft reset waits
  assign s_axis_tready = buffer_ready && run_n_q;

  frame_buffer #(
    .Bits(InBits),
    .Beats(Beats)
  ) buffer (
    .aclk(aclk),
    .aresetn(run_n_q),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(buffer_ready),
    .s_axis_tlast(s_axis_tlast),
    .m_axis_tdata(frame_tdata),
    .m_axis_tvalid(frame_tvalid),
    .m_axis_tready(frame_tready),
    .m_axis_tlast(frame_tlast),
    .packet_frames_i(packet_frames_q),
    .admit_i(admit),
    .begin_o(begins),
    .entry_o(entry),
    .entry_good_o(entry_good),
    .entry_last_o(entry_last),
    .in_packet_o(in_packet),
    .short_frame_o(short_frame),
    .long_frame_o(long_frame),
    .short_packet_o(short_packet),
    .bad_beats_o(bad_beats),
    .bad_frame_o(bad_frame)
  );

  accelerator core (
    .ap_clk(aclk),
    .ap_rst_n(run_n_q),
    .s_axis_tdata(frame_tdata),
    .s_axis_tvalid(frame_tvalid),
    .s_axis_tready(frame_tready),
    .s_axis_tlast(frame_tlast),
    .m_axis_tdata(label_tdata),
    .m_axis_tvalid(label_tvalid),
    .m_axis_tready(label_tready),
    .m_axis_tlast(label_tlast)
  );

  label_queue #(
    .Bits(LabelBits),
    .Credits(Credits)
  ) queue (
    .aclk(aclk),
    .aresetn(run_n_q),
    .begin_i(begins),
    .entry_i(entry),
    .entry_good_i(entry_good),
    .entry_last_i(entry_last),
    .admit_o(admit),
    .busy_o(busy),
    .label_o(label_leaves),
    .s_axis_tdata(label_tdata),
    .s_axis_tvalid(label_tvalid),
    .s_axis_tready(label_tready),
    .m_axis_tdata(m_axis_tdata),
    .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready),
    .m_axis_tlast(m_axis_tlast)
  );

  wire unused = &{1'b0, label_tlast};  // packets are this module's

  // --- counters ---------------------------------------------------------------------------------

  logic [31:0] frames_in_q, frames_out_q, short_frames_q, long_frames_q, short_packets_q;
  logic [31:0] cycles_high_q;
  logic [63:0] cycles_q;

  always_ff @(posedge aclk) begin
    if (!run_n_q) begin
      frames_in_q     <= '0;
      frames_out_q    <= '0;
      short_frames_q  <= '0;
      long_frames_q   <= '0;
      short_packets_q <= '0;
      cycles_q        <= '0;
      cycles_high_q   <= '0;
    end else begin
      if (entry && entry_good) frames_in_q <= frames_in_q + 1'b1;
      if (label_leaves) frames_out_q <= frames_out_q + 1'b1;
      if (short_frame) short_frames_q <= short_frames_q + 1'b1;
      if (long_frame) long_frames_q <= long_frames_q + 1'b1;
      if (short_packet) short_packets_q <= short_packets_q + 1'b1;
      if (busy) cycles_q <= cycles_q + 1'b1;
      if (read && read_address == CyclesLow) cycles_high_q <= cycles_q[63:32];
    end
  end

  always_comb begin
    case (read_address)
      5'h00:        read_data = Magic;
      5'h01:        read_data = Version;
      Control:      read_data = 32'(!run_n_q || reset_left_q != '0);
      5'h03:        read_data = {30'd0, in_packet, busy};
      5'h04:        read_data = Beats;
      5'h05:        read_data = Classes;
      PacketFrames: read_data = packet_frames_q;
      5'h07:        read_data = Credits;
      5'h08:        read_data = Hash[255:224];
      5'h09:        read_data = Hash[223:192];
      5'h0a:        read_data = Hash[191:160];
      5'h0b:        read_data = Hash[159:128];
      5'h0c:        read_data = Hash[127:96];
      5'h0d:        read_data = Hash[95:64];
      5'h0e:        read_data = Hash[63:32];
      5'h0f:        read_data = Hash[31:0];
      5'h10:        read_data = frames_in_q;
      5'h11:        read_data = frames_out_q;
      5'h12:        read_data = short_frames_q;
      5'h13:        read_data = long_frames_q;
      5'h14:        read_data = short_packets_q;
      5'h15:        read_data = bad_beats;
      5'h16:        read_data = bad_frame;
      CyclesLow:    read_data = cycles_q[31:0];
      5'h19:        read_data = cycles_high_q;
      default:      read_data = '0;
    endcase
  end
endmodule
