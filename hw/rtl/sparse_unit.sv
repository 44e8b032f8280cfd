/// One multiplier of a dense layer that computes nonzero weights only, a word of a program a cycle.
///
/// A word says: sum[accumulator] += (sign ? ~p : p), where p = magnitude * code[address].  So a
/// negative product is one too low; the number of them is a constant of an output.  A word with
/// magnitude and sign 0 changes nothing, and shows an accumulator: sum_o.  With clear_i at the same
/// time, two cycles after the word, the accumulator is 0 afterwards.
///
/// Codes are written Lanes at once, and may be read the cycle after.  A word finds in its accumulator
/// what the last but one left there: two words that follow each other have different ones, unless the
/// first changes nothing.
///
///   word_i    | w |                         in the low bits: address, accumulator, magnitude, sign
///   read_q        | code |
///   code_q               | code |
///   sum_o                | sum  |           of the accumulator, as it was before
///   product_q                   | p |
///   sum_q                       | s | ->    s + p is written
module sparse_unit #(
  parameter int unsigned CodeBits      = 4,
  parameter int unsigned Lanes         = 2,
  parameter int unsigned Words         = 4,
  parameter int unsigned MagnitudeBits = 3,
  parameter int unsigned Accumulators  = 4,
  parameter int unsigned AccBits       = 12,
  localparam int unsigned LaneBits    = $clog2(Lanes),
  localparam int unsigned WriteBits   = (Words > 1) ? $clog2(Words) : 1,
  localparam int unsigned AddressBits = LaneBits + WriteBits,
  localparam int unsigned NumberBits  = $clog2(Accumulators),
  localparam int unsigned WordBits    = AddressBits + NumberBits + MagnitudeBits + 1
) (
  input  logic                      clk,
  input  logic                      rst_n,

  input  logic [WordBits-1:0]       word_i,
  input  logic                      clear_i,
  output logic [AccBits-1:0]        sum_o,

  input  logic                      write_i,
  input  logic [WriteBits-1:0]      write_address_i,
  input  logic [Lanes*CodeBits-1:0] write_data_i
);
  localparam int unsigned ProductBits = CodeBits + MagnitudeBits;
  localparam int unsigned InLuts      = 64;  // words of memory that are too few for a block

  typedef logic [NumberBits-1:0] number_t;
  typedef logic [MagnitudeBits-1:0] magnitude_t;

  // --- codes: a copy of what all units read -----------------------------------------------------

  logic [CodeBits-1:0] read_q, code_q;

  if (Words <= InLuts) begin : g_luts
    (* ram_style = "distributed" *) logic [Lanes*CodeBits-1:0] codes[1 << WriteBits];
    logic [Lanes*CodeBits-1:0] word;

    assign word = codes[word_i[LaneBits +: WriteBits]];

    always_ff @(posedge clk) begin
      if (write_i) codes[write_address_i] <= write_data_i;
      read_q <= CodeBits'(word >> 32'(word_i[AddressBits-1:0]) % Lanes * CodeBits);
    end
  end else begin : g_block
    (* ram_style = "block" *) logic [CodeBits-1:0] codes[Lanes << WriteBits];
    logic [AddressBits-1:0] first;  // of the codes that are written

    assign first = AddressBits'(write_address_i) << LaneBits;

    always_ff @(posedge clk) begin
      for (int unsigned i = 0; i < Lanes; i++)
        if (write_i) codes[first | AddressBits'(i)] <= write_data_i[i*CodeBits +: CodeBits];
      read_q <= codes[word_i[AddressBits-1:0]];
    end
  end

  // --- product ----------------------------------------------------------------------------------

  number_t    number1_q, number2_q, number3_q;
  magnitude_t magnitude1_q, magnitude2_q;
  logic       sign1_q, sign2_q, sign3_q;
  logic [ProductBits-1:0] product_q;

  always_ff @(posedge clk) begin
    // the reset keeps these registers from becoming shift registers in LUTs
    if (!rst_n) {sign1_q, magnitude1_q, number1_q} <= '0;
    else {sign1_q, magnitude1_q, number1_q} <= word_i[WordBits-1:AddressBits];
    {sign2_q, magnitude2_q, number2_q} <= {sign1_q, magnitude1_q, number1_q};
    {sign3_q, number3_q}               <= {sign2_q, number2_q};
    code_q    <= read_q;
    product_q <= ProductBits'(code_q) * ProductBits'(magnitude2_q);
  end

  // --- accumulators -----------------------------------------------------------------------------

  (* ram_style = "distributed" *) logic [AccBits-1:0] sums[1 << NumberBits];
  logic [AccBits-1:0] sum_q;

  assign sum_o = sums[number2_q];

  always_ff @(posedge clk) begin
    if (clear_i) sum_q <= '0;
    else sum_q <= sum_o;
    sums[number3_q] <= sum_q + ({AccBits{sign3_q}} ^ AccBits'(product_q));
  end
endmodule
