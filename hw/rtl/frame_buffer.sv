/// Takes packets of frames, checks their lengths, and passes on whole frames only.
///
/// A packet is `packet_frames_i` frames of Beats beats (taken at its first beat), with tlast on the
/// last beat.  A frame is stored whole before its first beat leaves, and leaves without gaps if the
/// taker has none.  A frame that turns out to be wrong is forgotten where it was stored:
///
///   tlast before a frame's end        short frame: dropped, the packet ends
///   no tlast where the packet ends    long frame: dropped, and with it all beats up to tlast
///   tlast at an earlier frame's end   the frame is good, the packet is short
///
/// Every frame that was begun ends in one cycle of `entry_o`, whether it is good and whether it is
/// the last of its packet beside it.  `admit_i`: another frame may begin.
///
///   beats in   | 0 1 2 .. Beats-1 | 0 1 2 ..
///   entry_o    ___________________|‾|________
///   beats out  ____________________| 0 1 2 ..
module frame_buffer #(
  parameter int unsigned Bits  = 8,
  parameter int unsigned Beats = 1024,
  parameter int unsigned Slots = 2
) (
  input  logic            aclk,
  input  logic            aresetn,

  input  logic [Bits-1:0] s_axis_tdata,
  input  logic            s_axis_tvalid,
  output logic            s_axis_tready,
  input  logic            s_axis_tlast,

  output logic [Bits-1:0] m_axis_tdata,
  output logic            m_axis_tvalid,
  input  logic            m_axis_tready,
  output logic            m_axis_tlast,

  input  logic [31:0]     packet_frames_i,
  input  logic            admit_i,
  output logic            begin_o,
  output logic            entry_o,
  output logic            entry_good_o,
  output logic            entry_last_o,

  output logic            in_packet_o,
  output logic            short_frame_o,
  output logic            long_frame_o,
  output logic            short_packet_o,
  output logic [31:0]     bad_beats_o,
  output logic [31:0]     bad_frame_o
);
  localparam int unsigned Words       = Slots * Beats;
  localparam int unsigned AddressBits = $clog2(Words);
  localparam int unsigned BeatBits    = (Beats > 1) ? $clog2(Beats) : 1;
  localparam int unsigned SlotBits    = $clog2(Slots + 1);

  typedef logic [AddressBits-1:0] address_t;
  typedef logic [BeatBits-1:0]    beat_t;

  logic [Bits-1:0]     memory[Words];
  logic [SlotBits-1:0] stored_q;  // whole frames that have not left

  // --- in ---------------------------------------------------------------------------------------

  address_t    write_q, start_q;  // the beat to come; where its frame starts
  beat_t       beat_q;
  logic [31:0] frame_q, packet_q, packet;
  logic        skipping_q;  // behind a long frame, until tlast
  logic        take, first_beat, last_beat, last_frame, store, commit;

  assign first_beat    = beat_q == '0;
  assign last_beat     = beat_q == beat_t'(Beats - 1);
  assign packet        = (first_beat && frame_q == '0) ? packet_frames_i : packet_q;
  assign last_frame    = frame_q == packet - 1'b1;
  assign s_axis_tready = skipping_q || !first_beat
                         || (admit_i && stored_q != SlotBits'(Slots));
  assign take          = s_axis_tvalid && s_axis_tready;
  assign store         = take && !skipping_q;

  assign begin_o        = store && first_beat;
  assign short_frame_o  = store && s_axis_tlast && !last_beat;
  assign long_frame_o   = store && !s_axis_tlast && last_beat && last_frame;
  assign short_packet_o = store && s_axis_tlast && last_beat && !last_frame;
  assign entry_o        = store && (last_beat || s_axis_tlast);
  assign entry_good_o   = last_beat && (s_axis_tlast || !last_frame);
  assign entry_last_o   = s_axis_tlast || last_frame;
  assign commit         = entry_o && entry_good_o;
  assign in_packet_o    = skipping_q || !first_beat || frame_q != '0;

  always_ff @(posedge aclk) begin
    if (!aresetn) begin
      write_q     <= '0;
      start_q     <= '0;
      beat_q      <= '0;
      frame_q     <= '0;
      skipping_q  <= 1'b0;
      bad_beats_o <= '0;
      bad_frame_o <= '0;
    end else begin
      if (store) begin
        packet_q <= packet;
        beat_q   <= entry_o ? '0 : beat_q + 1'b1;
        write_q  <= (entry_o && !entry_good_o) ? start_q : next(write_q);
        if (commit) start_q <= next(write_q);
        if (entry_o) frame_q <= entry_last_o ? '0 : frame_q + 1'b1;
      end
      if (long_frame_o) skipping_q <= 1'b1;
      else if (take && s_axis_tlast) skipping_q <= 1'b0;

      if (short_frame_o || long_frame_o) begin
        bad_beats_o <= 32'(beat_q) + 1'b1;
        bad_frame_o <= frame_q;
      end else if (take && skipping_q) begin
        bad_beats_o <= bad_beats_o + 1'b1;
      end
    end
    if (store) memory[write_q] <= s_axis_tdata;
  end

  // --- out --------------------------------------------------------------------------------------

  address_t read_q;
  beat_t    read_beat_q;
  logic     load, fetch, fetch_last;

  assign load       = !m_axis_tvalid || m_axis_tready;
  assign fetch      = load && stored_q != '0;
  assign fetch_last = fetch && read_beat_q == beat_t'(Beats - 1);

  always_ff @(posedge aclk) begin
    if (!aresetn) begin
      read_q        <= '0;
      read_beat_q   <= '0;
      stored_q      <= '0;
      m_axis_tvalid <= 1'b0;
    end else begin
      if (load) m_axis_tvalid <= fetch;
      if (fetch) begin
        read_q      <= next(read_q);
        read_beat_q <= fetch_last ? '0 : read_beat_q + 1'b1;
      end
      if (commit != fetch_last) stored_q <= commit ? stored_q + 1'b1 : stored_q - 1'b1;
    end
    if (fetch) begin
      m_axis_tdata <= memory[read_q];
      m_axis_tlast <= fetch_last;
    end
  end

  function automatic address_t next(input address_t address);
    return (address == address_t'(Words - 1)) ? '0 : address + 1'b1;
  endfunction
endmodule
