/// Lets so many frames into a pipeline that cannot stop as its output has room for.
///
/// A frame takes one of Credits with its first beat in and gives it back with its last beat out.
module frame_credit #(
  parameter int unsigned InBeats  = 1024,
  parameter int unsigned OutBeats = 1,
  parameter int unsigned Credits  = 4
) (
  input  logic clk,
  input  logic rst_n,

  input  logic in_valid_i,
  output logic in_ready_o,
  output logic in_valid_o,
  input  logic in_ready_i,

  input  logic out_moves_i
);
  localparam int unsigned InBits     = (InBeats > 1) ? $clog2(InBeats) : 1;
  localparam int unsigned OutBits    = (OutBeats > 1) ? $clog2(OutBeats) : 1;
  localparam int unsigned CreditBits = $clog2(Credits + 1);

  logic [InBits-1:0]     in_q;
  logic [OutBits-1:0]    out_q;
  logic [CreditBits-1:0] inside_q;
  logic                  admit, moves, begins, ends;

  assign admit      = in_q != '0 || inside_q != CreditBits'(Credits);
  assign in_valid_o = in_valid_i && admit;
  assign in_ready_o = in_ready_i && admit;
  assign moves      = in_valid_o && in_ready_i;
  assign begins     = moves && in_q == '0;
  assign ends       = out_moves_i && out_q == OutBits'(OutBeats - 1);

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      in_q     <= '0;
      out_q    <= '0;
      inside_q <= '0;
    end else begin
      if (moves) in_q <= (in_q == InBits'(InBeats - 1)) ? '0 : in_q + 1'b1;
      if (out_moves_i) out_q <= ends ? '0 : out_q + 1'b1;
      if (begins != ends) inside_q <= begins ? inside_q + 1'b1 : inside_q - 1'b1;
    end
  end
endmodule
