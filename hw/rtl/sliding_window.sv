/// The windows of a 1-D convolution: Kernel positions of the input for each one of the output.
///
/// in0:  Folds words a position, Positions positions a frame.
/// out0: the words of position o * Stride + t * Dilation for every output position o and tap t, o
///       running slowest and the fold fastest.
///
/// A window holds positions of one frame; those that are in none are taken and dropped.  One word a
/// cycle in and out at once; a word leaves two cycles after it came, or later.  (With Dilation > 1 the
/// first window of a frame may have to wait for its taps: no more than one window is kept.)
///
///   in0   0 1 2 3 4 5                          Kernel = 3, Stride = Dilation = Folds = 1
///   out0      0 1 2 1 2 3 2 3 4 ..
///
/// The memory is a ring as long as one window, in which every word that comes has its place.
/// ahead_q counts the words that have come from the one to be read next on, less than 1 where it is
/// still missing.  room_q counts those that may come before one is overwritten that is read again.
module sliding_window #(
  parameter int unsigned Bits      = 8,
  parameter int unsigned Folds     = 1,
  parameter int unsigned Positions = 8,
  parameter int unsigned Kernel    = 3,
  parameter int unsigned Stride    = 1,
  parameter int unsigned Dilation  = 1,
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
  function automatic int largest(input int a, input int b);
    return (a > b) ? a : b;
  endfunction

  localparam int Span    = int'((Kernel - 1) * Dilation + 1);  // positions from first to last tap
  localparam int Windows = (int'(Positions) - Span) / int'(Stride) + 1;
  localparam int Rest    = int'(Positions) - Span - (Windows - 1) * int'(Stride);
  localparam int Words   = int'(Folds);  // of a position
  // taps of a window whose positions are in no later one
  localparam int Leaving = (int'(Stride) > Span) ? int'(Kernel)
                                                 : int'((Stride + Dilation - 1) / Dilation);
  localparam int Depth   = (Span * Words > 1) ? Span * Words : 2;

  if (Bits == 0 || Folds == 0 || Kernel == 0 || Stride == 0 || Dilation == 0) begin : g_check
    $error("no parameter can be 0");
  end
  if (Positions < Kernel || int'(Positions) < Span) begin : g_check_span
    $error("a window has to fit into a frame");
  end

  // words from the one that was read to the next one
  localparam int NextTap    = (int'(Dilation) - 1) * Words + 1;
  localparam int NextWindow = (int'(Stride) - Span + 1) * Words - Words + 1;
  localparam int NextFrame  = Rest * Words + 1;
  // words from the last one of the last leaving tap to the oldest that a later window has
  localparam int NextOldest = (int'(Stride) - (Leaving - 1) * int'(Dilation)) * Words - Words + 1;

  localparam int Farthest  = largest(largest(NextTap, NextWindow), largest(NextFrame, NextOldest));
  localparam int AheadBits = $clog2(largest(Depth, Farthest) + 1) + 1;
  localparam int RoomBits  = $clog2(Depth + Farthest + 1);
  localparam int PlaceBits = $clog2(Depth);
  localparam int WrapBits  = PlaceBits + 1;
  localparam int FoldBits  = $clog2(largest(Words, 2));
  localparam int TapBits   = $clog2(largest(int'(Kernel), 2));
  localparam int WinBits   = $clog2(largest(Windows, 2));

  typedef logic signed [AheadBits-1:0] ahead_t;
  typedef logic [RoomBits-1:0]         room_t;
  typedef logic [PlaceBits-1:0]        place_t;

  /// The way in the ring that so many words in the input are, forwards or back.
  function automatic place_t way(input int words);
    return place_t'((words % Depth + Depth) % Depth);
  endfunction

  function automatic place_t place_after(input place_t place, input place_t by);
    logic [WrapBits-1:0] sum;
    sum = WrapBits'(place) + WrapBits'(by);
    return place_t'((sum >= WrapBits'(Depth)) ? sum - WrapBits'(Depth) : sum);
  endfunction

  logic [Bits-1:0]     memory[Depth];
  ahead_t              ahead_q, moved;
  room_t               room_q, freed;
  place_t              write_q, read_q, hop;
  logic [FoldBits-1:0] fold_q;
  logic [TapBits-1:0]  tap_q;
  logic [WinBits-1:0]  window_q;
  logic                take, load, step, last_fold, last_tap, last_window, leaving, last_leaving;

  assign in0_V_TREADY = room_q != '0;
  assign take         = in0_V_TVALID && in0_V_TREADY;
  assign load         = !out0_V_TVALID || out0_V_TREADY;
  assign step         = load && ahead_q > 0;
  assign last_fold    = fold_q == FoldBits'(Words - 1);
  assign last_tap     = tap_q == TapBits'(Kernel - 1);
  assign last_window  = window_q == WinBits'(Windows - 1);
  assign leaving      = int'(tap_q) < Leaving;
  assign last_leaving = int'(tap_q) == Leaving - 1;

  // what a step reads past, and what nobody needs after it
  always_comb begin
    moved = ahead_t'(1);
    hop   = way(1);
    freed = room_t'(leaving || last_window);
    if (last_fold && last_tap) begin
      moved = last_window ? ahead_t'(NextFrame) : ahead_t'(NextWindow);
      hop   = last_window ? way(NextFrame) : way(NextWindow);
    end else if (last_fold) begin
      moved = ahead_t'(NextTap);
      hop   = way(NextTap);
    end
    if (last_fold && last_window) freed = last_tap ? room_t'(NextFrame) : room_t'(NextTap);
    else if (last_fold && leaving) freed = last_leaving ? room_t'(NextOldest) : room_t'(NextTap);
  end

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      ahead_q       <= '0;
      room_q        <= room_t'(Depth);
      write_q       <= '0;
      read_q        <= '0;
      fold_q        <= '0;
      tap_q         <= '0;
      window_q      <= '0;
      out0_V_TVALID <= 1'b0;
    end else begin
      ahead_q <= ahead_q + ahead_t'({1'b0, take}) - (step ? moved : '0);
      room_q  <= room_q - room_t'(take) + (step ? freed : '0);
      if (take) write_q <= place_after(write_q, way(1));
      if (step) begin
        read_q <= place_after(read_q, hop);
        fold_q <= last_fold ? '0 : fold_q + 1'b1;
        if (last_fold) tap_q <= last_tap ? '0 : tap_q + 1'b1;
        if (last_fold && last_tap) window_q <= last_window ? '0 : window_q + 1'b1;
      end
      if (load) out0_V_TVALID <= step;
    end
    if (take) memory[write_q] <= in0_V_TDATA[Bits-1:0];
    if (step) out0_V_TDATA[Bits-1:0] <= memory[read_q];
  end

  if (Width > Bits) begin : g_padding
    assign out0_V_TDATA[Width-1 : Bits] = '0;
  end
endmodule
