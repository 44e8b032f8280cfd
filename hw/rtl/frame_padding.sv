/// Zeros before and after each frame of a 1-D signal.
///
/// in0:  Folds words a position, Positions positions a frame.
/// out0: Before positions of zeros, the frame, After positions of zeros.
///
/// One word a cycle; a word of the frame leaves in the cycle after it came.  Zeros wait for nobody:
/// those in front of the next frame are offered before it comes.
///
///   in0   | 0 1 2        | 0 1 2        Positions = 3, Before = After = 1, Folds = 1
///   out0  z 0 1 2 z z 0 1 2 z z ..
module frame_padding #(
  parameter int unsigned Bits      = 8,
  parameter int unsigned Folds     = 1,
  parameter int unsigned Positions = 4,
  parameter int unsigned Before    = 1,
  parameter int unsigned After     = 1,
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
  localparam int unsigned Begin    = Before * Folds;
  localparam int unsigned End      = Begin + Positions * Folds;
  localparam int unsigned Words    = End + After * Folds;
  localparam int unsigned WordBits = (Words > 1) ? $clog2(Words) : 1;

  if (Bits == 0 || Folds == 0 || Positions == 0) begin : g_check
    $error("a frame needs positions, and they words of bits");
  end

  logic [WordBits-1:0] word_q;
  logic                own, load, step;

  assign own          = 32'(word_q) >= Begin && 32'(word_q) < End;
  assign load         = !out0_V_TVALID || out0_V_TREADY;
  assign step         = load && (!own || in0_V_TVALID);
  assign in0_V_TREADY = load && own;

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      word_q        <= '0;
      out0_V_TVALID <= 1'b0;
    end else begin
      if (step) word_q <= (word_q == WordBits'(Words - 1)) ? '0 : word_q + 1'b1;
      if (load) out0_V_TVALID <= step;
    end
    if (step) out0_V_TDATA[Bits-1:0] <= own ? in0_V_TDATA[Bits-1:0] : '0;
  end

  if (Width > Bits) begin : g_padding
    assign out0_V_TDATA[Width-1 : Bits] = '0;
  end
endmodule
