/// The same bits in words of another width: InBits a word in, OutBits a word out, low bits first.
///
/// Any two widths.  Where one is a multiple of the other there is one register as wide as the
/// larger; else words are collected up to the least common multiple and divided from there.
/// One word a cycle on the side that has more of them.  A collected word leaves in the cycle after
/// its last part came, the first part of a divided one in the cycle after that came.
///
///   collect, OutBits = 3 * InBits     divide, InBits = 3 * OutBits
///   in0   a0 a1 a2 b0 b1 b2           in0   a        b
///   out0           a        b         out0    a0 a1 a2 b0 b1 b2
module width_converter #(
  parameter int unsigned InBits  = 8,
  parameter int unsigned OutBits = 24,
  localparam int unsigned InWidth  = (InBits + 7) / 8 * 8,
  localparam int unsigned OutWidth = (OutBits + 7) / 8 * 8
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
  if (InBits == 0 || OutBits == 0) begin : g_check
    $error("a word needs bits");
  end

  /// Greatest common divisor.
  function automatic int unsigned common(input int unsigned a, input int unsigned b);
    int unsigned larger, smaller, rest;
    larger  = a;
    smaller = b;
    while (smaller != 0) begin
      rest    = larger % smaller;
      larger  = smaller;
      smaller = rest;
    end
    return larger;
  endfunction

  localparam int unsigned WideBits  = InBits / common(InBits, OutBits) * OutBits;
  localparam int unsigned Collected = WideBits / InBits;   // words in, in a wide one
  localparam int unsigned Divided   = WideBits / OutBits;  // words out, in a wide one

  logic [WideBits-1:0] wide;
  logic                wide_valid, wide_ready;

  // --- collect: words move in from above until the first one is at the bottom
  if (Collected == 1) begin : g_as_it_comes
    assign wide         = in0_V_TDATA[InBits-1:0];
    assign wide_valid   = in0_V_TVALID;
    assign in0_V_TREADY = wide_ready;
  end else begin : g_collect
    localparam int unsigned CountBits = $clog2(Collected);

    logic [CountBits-1:0] count_q;
    logic                 take, last;

    assign in0_V_TREADY = !wide_valid || wide_ready;
    assign take         = in0_V_TVALID && in0_V_TREADY;
    assign last         = count_q == CountBits'(Collected - 1);

    always_ff @(posedge ap_clk) begin
      if (!ap_rst_n) begin
        count_q    <= '0;
        wide_valid <= 1'b0;
      end else begin
        if (take) count_q <= last ? '0 : count_q + 1'b1;
        if (in0_V_TREADY) wide_valid <= take && last;
      end
      if (take) wide <= {in0_V_TDATA[InBits-1:0], wide[WideBits-1:InBits]};
    end
  end

  // --- divide: the word at the bottom leaves, the others move down
  if (Divided == 1) begin : g_whole
    assign out0_V_TDATA[OutBits-1:0] = wide;
    assign out0_V_TVALID             = wide_valid;
    assign wide_ready                = out0_V_TREADY;
  end else begin : g_divide
    localparam int unsigned CountBits = $clog2(Divided);

    logic [WideBits-1:0]  rest_q;
    logic [CountBits-1:0] count_q;
    logic                 enable, last;

    assign enable     = !out0_V_TVALID || out0_V_TREADY;
    assign last       = count_q == CountBits'(Divided - 1);
    assign wide_ready = enable && (!out0_V_TVALID || last);

    always_ff @(posedge ap_clk) begin
      if (!ap_rst_n) begin
        count_q       <= '0;
        out0_V_TVALID <= 1'b0;
      end else begin
        if (out0_V_TVALID && out0_V_TREADY) count_q <= last ? '0 : count_q + 1'b1;
        if (wide_ready) out0_V_TVALID <= wide_valid;
      end
      if (enable) rest_q <= wide_ready ? wide : rest_q >> OutBits;
    end
    assign out0_V_TDATA[OutBits-1:0] = rest_q[OutBits-1:0];
  end

  if (OutWidth > OutBits) begin : g_padding
    assign out0_V_TDATA[OutWidth-1 : OutBits] = '0;
  end
endmodule
