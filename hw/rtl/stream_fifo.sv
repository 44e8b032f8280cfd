/// First-in first-out buffer of Depth words, one of them in the output register.
///
/// First word falls through: a word is offered one cycle after it arrived in an empty buffer.
/// One word a cycle in and out at once; a full buffer takes none in the cycle in which one leaves.
/// Any Depth >= 2.
module stream_fifo #(
  parameter int unsigned Bits  = 8,
  parameter int unsigned Depth = 2
) (
  input  logic            ap_clk,
  input  logic            ap_rst_n,
  input  logic [Bits-1:0] in0_V_TDATA,
  input  logic            in0_V_TVALID,
  output logic            in0_V_TREADY,
  output logic [Bits-1:0] out0_V_TDATA,
  output logic            out0_V_TVALID,
  input  logic            out0_V_TREADY
);
  if (Depth < 2) begin : g_check_depth
    $error("a buffer of less than two words");
  end

  localparam int unsigned Stored    = Depth - 1;
  localparam int unsigned IndexBits = (Stored > 1) ? $clog2(Stored) : 1;
  localparam int unsigned CountBits = $clog2(Stored + 1);

  logic [Bits-1:0]      memory[Stored];
  logic [IndexBits-1:0] write_q, read_q;
  logic [CountBits-1:0] count_q;
  logic                 load, push, pop, store, empty;

  assign empty        = count_q == '0;
  assign in0_V_TREADY = count_q != CountBits'(Stored);
  assign push         = in0_V_TVALID && in0_V_TREADY;
  assign load         = !out0_V_TVALID || out0_V_TREADY;
  assign pop          = load && !empty;
  assign store        = push && !(load && empty);  // else it goes straight to the output

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      write_q       <= '0;
      read_q        <= '0;
      count_q       <= '0;
      out0_V_TVALID <= 1'b0;
    end else begin
      if (store) write_q <= (write_q == IndexBits'(Stored - 1)) ? '0 : write_q + 1'b1;
      if (pop) read_q <= (read_q == IndexBits'(Stored - 1)) ? '0 : read_q + 1'b1;
      if (store != pop) count_q <= store ? count_q + 1'b1 : count_q - 1'b1;
      if (load) out0_V_TVALID <= push || !empty;
    end
    if (store) memory[write_q] <= in0_V_TDATA;
    if (load) out0_V_TDATA <= empty ? in0_V_TDATA : memory[read_q];
  end
endmodule
