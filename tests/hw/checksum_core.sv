/* verilator lint_off DECLFILENAME */  // it takes the place of a generated module
/// Stands in for a core: the label is a checksum of the frame, never 255.
///
/// Frames are Beats long by its own count, so a beat too few or too many shows in every label from
/// there on; a tlast anywhere else than at a frame's end gives the label 254.  It stalls at random
/// (unless the simulation clears `stalls`), and up to four frames are inside at once, for a random
/// time.
module accelerator #(
  parameter int unsigned Beats = 16
) (
  input  logic       ap_clk,
  input  logic       ap_rst_n,
  input  logic [7:0] s_axis_tdata,
  input  logic       s_axis_tvalid,
  output logic       s_axis_tready,
  input  logic       s_axis_tlast,
  output logic [7:0] m_axis_tdata,
  output logic       m_axis_tvalid,
  input  logic       m_axis_tready,
  output logic       m_axis_tlast
);
  logic        stalls;
  logic [15:0] random_q;
  logic [7:0]  sum_q, sum_d, label_q[4];
  logic [15:0] beat_q;
  logic [2:0]  count_q;
  logic        wrong_q, wrong, last, done, leave;

  initial begin
    stalls   = 1'b1;
    random_q = 16'hace1;
  end

  assign s_axis_tready = count_q != 3'd4 && (!stalls || random_q[1:0] != 2'd0);
  assign last          = beat_q == 16'(Beats - 1);
  assign wrong         = wrong_q || s_axis_tlast != last;
  assign done          = s_axis_tvalid && s_axis_tready && last;
  assign leave         = count_q != 3'd0 && (!stalls || random_q[6:2] == 5'd0);
  assign m_axis_tdata  = label_q[0];
  assign m_axis_tvalid = leave;
  assign m_axis_tlast  = 1'b1;

  always_comb sum_d = 8'((16'(sum_q) * 16'd7 + 16'(s_axis_tdata) + 16'd1) % 16'd251);

  always_ff @(posedge ap_clk) begin
    random_q <= {random_q[14:0], random_q[15] ^ random_q[13] ^ random_q[12] ^ random_q[10]};
    if (!ap_rst_n) begin
      sum_q   <= '0;
      beat_q  <= '0;
      count_q <= '0;
      wrong_q <= 1'b0;
    end else begin
      if (s_axis_tvalid && s_axis_tready) begin
        sum_q   <= last ? '0 : sum_d;
        beat_q  <= last ? '0 : beat_q + 1'b1;
        wrong_q <= !last && wrong;
      end
      if (leave) for (int i = 0; i < 3; i++) label_q[i] <= label_q[i+1];
      if (done) label_q[2'(count_q - 3'(leave))] <= wrong ? 8'd254 : sum_d;
      count_q <= count_q + 3'(done) - 3'(leave);
      // the shell never holds a label back
      if (m_axis_tvalid) assert (m_axis_tready);
    end
  end
endmodule
