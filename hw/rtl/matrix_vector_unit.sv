/// Folded matrix-vector unit with constant weights: y = W x on a stream of vectors.
///
/// in0:  MatrixWidth / Simd words of Simd elements a vector, element 0 in the low bits.
/// out0: MatrixHeight / Pe words of Pe accumulators a vector, in row order.
///
/// The first Pe rows are computed while the vector arrives; it is kept and replayed for the
/// others, so a vector takes (MatrixWidth / Simd) * (MatrixHeight / Pe) cycles and the next one
/// follows without a gap.  Word nf * (MatrixWidth / Simd) + sf of the weight file holds the
/// weights of rows nf * Pe .. and columns sf * Simd .., the column running fastest.
///
///   issue       read         multiply, add      add             accumulate   out
///   x, address  x, weights   sums of 8 products sums of a word  acc          word
///
/// When out0 is held back everything behind it stands still.
module matrix_vector_unit #(
  parameter int unsigned MatrixWidth  = 4,
  parameter int unsigned MatrixHeight = 4,
  parameter int unsigned Pe           = 2,
  parameter int unsigned Simd         = 2,
  parameter int unsigned InBits       = 4,
  parameter bit          InSigned     = 1'b0,
  parameter int unsigned WeightBits   = 4,
  parameter int unsigned AccBits      = 16,
  parameter              WeightFile   = "weights.mem",
  localparam int unsigned InWidth  = (Simd * InBits + 7) / 8 * 8,
  localparam int unsigned OutWidth = (Pe * AccBits + 7) / 8 * 8
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
  if (Simd == 0 || MatrixWidth == 0 || MatrixWidth % Simd != 0) begin : g_check_simd
    $error("Simd has to divide MatrixWidth");
  end

  if (Pe == 0 || MatrixHeight == 0 || MatrixHeight % Pe != 0) begin : g_check_pe
    $error("Pe has to divide MatrixHeight");
  end

  localparam int unsigned SynapseFolds = MatrixWidth / Simd;
  localparam int unsigned NeuronFolds  = MatrixHeight / Pe;
  localparam int unsigned Words        = SynapseFolds * NeuronFolds;
  localparam int unsigned SfBits       = (SynapseFolds > 1) ? $clog2(SynapseFolds) : 1;
  localparam int unsigned NfBits       = (NeuronFolds > 1) ? $clog2(NeuronFolds) : 1;
  localparam int unsigned AddressBits  = (Words > 1) ? $clog2(Words) : 1;
  localparam int unsigned GroupSize    = 8;
  localparam int unsigned Groups       = (Simd + GroupSize - 1) / GroupSize;

  typedef logic [Simd*InBits-1:0] data_t;
  typedef logic [Pe*Simd*WeightBits-1:0] weights_t;
  typedef logic signed [AccBits-1:0] acc_t;

  // everything moves unless a finished word is held back
  logic enable;
  assign enable = !out0_V_TVALID || out0_V_TREADY;

  // --- issue: which word of the vector meets which word of weights
  logic [SfBits-1:0]      sf_q;
  logic [NfBits-1:0]      nf_q;
  logic [AddressBits-1:0] address_q;
  logic                   fresh, issue, last_sf, last_nf;

  assign fresh        = nf_q == '0;
  assign in0_V_TREADY = enable && fresh;
  assign issue        = enable && (!fresh || in0_V_TVALID);
  assign last_sf      = sf_q == SfBits'(SynapseFolds - 1);
  assign last_nf      = nf_q == NfBits'(NeuronFolds - 1);

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      sf_q      <= '0;
      nf_q      <= '0;
      address_q <= '0;
    end else if (issue) begin
      sf_q      <= last_sf ? '0 : sf_q + 1'b1;
      address_q <= (last_sf && last_nf) ? '0 : address_q + 1'b1;
      if (last_sf) nf_q <= last_nf ? '0 : nf_q + 1'b1;
    end
  end

  // --- read: the vector's word (from the stream or kept) and the weights
  data_t    kept[SynapseFolds];
  weights_t rom [Words];
  data_t    x_q;
  weights_t w_q;
  logic     read_valid_q, read_first_q, read_last_q;

  initial $readmemh(WeightFile, rom, 0, Words - 1);

  always_ff @(posedge ap_clk) begin
    if (issue && fresh) kept[sf_q] <= in0_V_TDATA[Simd*InBits-1:0];
    if (enable) begin
      x_q <= fresh ? in0_V_TDATA[Simd*InBits-1:0] : kept[sf_q];
      w_q <= rom[address_q];
    end
  end

  // --- multiply and add, add, accumulate
  logic group_valid_q, group_first_q, group_last_q;
  logic word_valid_q, word_first_q, word_last_q;

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      read_valid_q  <= 1'b0;
      group_valid_q <= 1'b0;
      word_valid_q  <= 1'b0;
      out0_V_TVALID <= 1'b0;
    end else if (enable) begin
      read_valid_q  <= issue;
      group_valid_q <= read_valid_q;
      word_valid_q  <= group_valid_q;
      out0_V_TVALID <= word_valid_q && word_last_q;
    end
    if (enable) begin
      read_first_q  <= sf_q == '0;
      read_last_q   <= last_sf;
      group_first_q <= read_first_q;
      group_last_q  <= read_last_q;
      word_first_q  <= group_first_q;
      word_last_q   <= group_last_q;
    end
  end

  for (genvar pe = 0; pe < Pe; pe++) begin : g_pe
    acc_t group_d[Groups];
    acc_t group_q[Groups];
    acc_t word_d, word_q, acc_d, acc_q;

    for (genvar g = 0; g < Groups; g++) begin : g_group
      localparam int unsigned First = g * GroupSize;
      localparam int unsigned Count = (Simd - First < GroupSize) ? Simd - First : GroupSize;
      always_comb begin
        group_d[g] = '0;
        for (int unsigned i = 0; i < Count; i++)
          group_d[g] += product(x_q[(First+i)*InBits +: InBits],
                                w_q[(pe*Simd+First+i)*WeightBits +: WeightBits]);
      end
    end

    always_comb begin
      word_d = '0;
      for (int unsigned g = 0; g < Groups; g++) word_d += group_q[g];
    end

    assign acc_d = (word_first_q ? '0 : acc_q) + word_q;
    always_ff @(posedge ap_clk) begin
      if (enable) begin
        group_q <= group_d;
        word_q  <= word_d;
        if (word_valid_q) acc_q <= acc_d;
      end
    end
    always_ff @(posedge ap_clk) if (enable) out0_V_TDATA[pe*AccBits +: AccBits] <= acc_d;
  end

  if (OutWidth > Pe * AccBits) begin : g_padding
    assign out0_V_TDATA[OutWidth-1 : Pe*AccBits] = '0;
  end

  /// Product in the accumulator's width: sums wrap, and the final sum fits.
  function automatic acc_t product(input logic [InBits-1:0] x, input logic [WeightBits-1:0] w);
    logic signed [InBits:0] wide;
    wide = $signed({InSigned && x[InBits-1], x});
    return acc_t'(wide * $signed(w));
  endfunction
endmodule
