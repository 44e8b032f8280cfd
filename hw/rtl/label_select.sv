/// Index of the largest of Labels values; of equal ones the lowest index.
///
/// in0: Labels / Pe words of Pe values a frame; out0: one word, the index in 8 bits (16 for more
/// than 256 labels).  One word a cycle; the index leaves in the cycle after the last word.
module label_select #(
  parameter int unsigned Labels = 4,
  parameter int unsigned Pe     = 1,
  parameter int unsigned Bits   = 8,
  parameter bit          Signed = 1'b1,
  localparam int unsigned InWidth  = (Pe * Bits + 7) / 8 * 8,
  localparam int unsigned OutWidth = ($clog2(Labels) + 7) / 8 * 8
) (
  input  logic                ap_clk,
  input  logic                ap_rst_n,
  input  logic [InWidth-1:0]  in0_V_TDATA,
  input  logic                in0_V_TVALID,
  output logic                in0_V_TREADY,
  output logic [OutWidth-1:0] out0_V_TDATA,
  output logic                out0_V_TVALID,
  input  logic                out0_V_TREADY
);
  if (Pe == 0 || Labels == 0 || Labels % Pe != 0) begin : g_check_pe
    $error("Pe has to divide Labels");
  end

  localparam int unsigned Folds    = Labels / Pe;
  localparam int unsigned FoldBits = (Folds > 1) ? $clog2(Folds) : 1;

  // one bit wider and signed, so that one comparison serves both kinds of input
  typedef logic signed [Bits:0] value_t;

  logic [FoldBits-1:0] fold_q;
  logic                take, last_fold;
  value_t              best_q, best_d;
  logic [OutWidth-1:0] index_q, index_d;

  assign in0_V_TREADY = !out0_V_TVALID || out0_V_TREADY;
  assign take         = in0_V_TVALID && in0_V_TREADY;
  assign last_fold    = fold_q == FoldBits'(Folds - 1);

  always_comb begin
    best_d  = best_q;
    index_d = index_q;
    for (int unsigned p = 0; p < Pe; p++) begin
      if ((fold_q == '0 && p == 0) || value(in0_V_TDATA[p*Bits +: Bits]) > best_d) begin
        best_d  = value(in0_V_TDATA[p*Bits +: Bits]);
        index_d = OutWidth'(32'(fold_q) * Pe + p);
      end
    end
  end

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      fold_q        <= '0;
      out0_V_TVALID <= 1'b0;
    end else begin
      if (take) fold_q <= last_fold ? '0 : fold_q + 1'b1;
      if (in0_V_TREADY) out0_V_TVALID <= take && last_fold;
    end
    if (take) begin
      best_q       <= best_d;
      index_q      <= index_d;
      out0_V_TDATA <= index_d;
    end
  end

  function automatic value_t value(input logic [Bits-1:0] x);
    return {Signed && x[Bits-1], x};
  endfunction
endmodule
