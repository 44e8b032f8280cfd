/// Max-pool along the frame: the maximum of each run of Kernel positions (stride = kernel).
///
/// in0, out0: Channels / Pe words of Pe elements a position.  A frame has Positions positions;
/// those behind the last whole run are dropped.  One word a cycle; a result leaves in the cycle
/// after the last position of its run has arrived.
module max_pool #(
  parameter int unsigned Channels  = 4,
  parameter int unsigned Pe        = 2,
  parameter int unsigned Bits      = 4,
  parameter bit          Signed    = 1'b0,
  parameter int unsigned Kernel    = 2,
  parameter int unsigned Positions = 8,
  localparam int unsigned Width = (Pe * Bits + 7) / 8 * 8
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
  if (Pe == 0 || Channels == 0 || Channels % Pe != 0) begin : g_check_pe
    $error("Pe has to divide Channels");
  end

  if (Kernel == 0 || Positions < Kernel) begin : g_check_kernel
    $error("a run has to fit into a frame");
  end

  localparam int unsigned Folds    = Channels / Pe;
  localparam int unsigned FoldBits = (Folds > 1) ? $clog2(Folds) : 1;
  localparam int unsigned TapBits  = (Kernel > 1) ? $clog2(Kernel) : 1;
  localparam int unsigned PosBits  = (Positions > 1) ? $clog2(Positions) : 1;

  logic [Pe*Bits-1:0]  best[Folds];
  logic [Pe*Bits-1:0]  maximum;
  logic [FoldBits-1:0] fold_q;
  logic [TapBits-1:0]  tap_q;
  logic [PosBits-1:0]  position_q;
  logic take, last_fold, last_tap, last_position;

  assign in0_V_TREADY  = !out0_V_TVALID || out0_V_TREADY;
  assign take          = in0_V_TVALID && in0_V_TREADY;
  assign last_fold     = fold_q == FoldBits'(Folds - 1);
  assign last_tap      = tap_q == TapBits'(Kernel - 1);
  assign last_position = position_q == PosBits'(Positions - 1);

  for (genvar p = 0; p < Pe; p++) begin : g_pe
    logic [Bits-1:0] now, held;
    logic            larger;
    assign now    = in0_V_TDATA[p*Bits +: Bits];
    assign held   = best[fold_q][p*Bits +: Bits];
    assign larger = Signed ? ($signed(now) > $signed(held)) : (now > held);
    assign maximum[p*Bits +: Bits] = (tap_q == '0 || larger) ? now : held;
  end

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      fold_q     <= '0;
      tap_q      <= '0;
      position_q <= '0;
    end else if (take) begin
      fold_q <= last_fold ? '0 : fold_q + 1'b1;
      if (last_fold) begin
        tap_q      <= (last_tap || last_position) ? '0 : tap_q + 1'b1;
        position_q <= last_position ? '0 : position_q + 1'b1;
      end
    end
    if (!ap_rst_n) out0_V_TVALID <= 1'b0;
    else if (in0_V_TREADY) out0_V_TVALID <= take && last_tap;
    if (take) begin
      best[fold_q]              <= maximum;
      out0_V_TDATA[Pe*Bits-1:0] <= maximum;
    end
  end

  if (Width > Pe * Bits) begin : g_padding
    assign out0_V_TDATA[Width-1 : Pe*Bits] = '0;
  end
endmodule
