/// Begins an evaluation of the window for every position, at least Cycles cycles apart.
///
/// A frame of Positions positions is followed by Flush evaluations that bring nothing: they empty
/// the window of it.  Where the next frame is already there, its first positions do that; else the
/// pacer does it alone, and a position that arrives meanwhile waits.  One can wait: positions that
/// are at least Cycles apart on average are never refused.
///
/// event_o: an evaluation begins.  With it: position_o: it brings data_o; frame_o: parity of the
/// frame that data_o is of; own_o: of the frame that the evaluation is of; valid_o: it gives a
/// result, which is so from the position number First of a frame on.
module position_pacer #(
  parameter int unsigned Bits      = 8,
  parameter int unsigned Cycles    = 1,
  parameter int unsigned Positions = 1024,
  parameter int unsigned Flush     = 1,
  parameter int unsigned First     = 1
) (
  input  logic            clk,
  input  logic            rst_n,

  input  logic [Bits-1:0] data_i,
  input  logic            valid_i,
  output logic            ready_o,

  output logic            event_o,
  output logic            position_o,
  output logic [Bits-1:0] data_o,
  output logic            frame_o,
  output logic            own_o,
  output logic            valid_o
);
  localparam int unsigned CountBits = $clog2(Positions + 1);
  localparam int unsigned WaitBits  = (Cycles > 1) ? $clog2(Cycles) : 1;
  localparam int unsigned FlushBits = (Flush > 0) ? $clog2(Flush + 1) : 1;

  typedef logic [CountBits-1:0] count_t;

  logic [Bits-1:0]      data_q;
  logic                 full_q, free, brings, flushes, begins_frame, ends_frame, frame_q;
  logic [WaitBits-1:0]  wait_q;   // cycles until the next evaluation may begin
  count_t               count_q;  // positions of the latest frame so far
  logic [FlushBits-1:0] flush_q;  // evaluations that a frame still needs after its last position

  assign free         = wait_q == '0;
  assign brings       = free && full_q;
  // none by itself once the next frame has begun: that would be a gap in it
  assign flushes      = free && flush_q != '0 && begins_frame;
  assign begins_frame = count_q == count_t'(Positions);
  assign ends_frame   = brings && (begins_frame ? Positions == 1
                                                : count_q == count_t'(Positions - 1));
  assign ready_o      = !full_q || free;

  assign event_o      = brings || flushes;
  assign position_o   = brings;
  assign data_o       = data_q;
  assign frame_o      = frame_q ^ (brings && begins_frame);
  // the frame that still needs flushing is the one before, once the next has begun
  assign own_o        = (flush_q != '0) ? frame_q ^ !begins_frame : frame_o;
  assign valid_o      = flush_q != '0
                        || (begins_frame ? First == 0 : count_q >= count_t'(First));

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      full_q  <= 1'b0;
      wait_q  <= '0;
      count_q <= count_t'(Positions);
      flush_q <= '0;
      frame_q <= 1'b0;
    end else begin
      if (ready_o) full_q <= valid_i;
      if (event_o) wait_q <= WaitBits'(Cycles - 1);
      else if (!free) wait_q <= wait_q - 1'b1;
      if (brings) begin
        count_q <= begins_frame ? count_t'(1) : count_q + 1'b1;
        frame_q <= frame_o;
      end
      if (ends_frame) flush_q <= FlushBits'(Flush);
      else if (event_o && flush_q != '0) flush_q <= flush_q - 1'b1;
    end
    if (ready_o) data_q <= data_i;
  end
endmodule
