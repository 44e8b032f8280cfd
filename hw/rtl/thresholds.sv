/// Codes of accumulators: Low plus the number of the channel's thresholds that are reached, a
/// threshold being reached by an accumulator that equals it.
///
/// in0:  Channels / Pe words of Pe accumulators, element 0 in the low bits.
/// out0: as many words of Pe codes.
///
/// A channel has 2^Stages - 1 thresholds, ascending; where it has fewer, one that is never reached
/// fills them up.  They are searched: a stage compares with the middle one of those that are left,
/// which is one of 2^s in stage s.  Each lane of each stage has these in a table of its own, the
/// file <TablePrefix>_lane<l>_stage<s>.mem: word f * 2^s + i is number (2 i + 1) * 2^(Stages-1-s),
/// counted from 1, of the thresholds of channel f * Pe + l.
/// Accumulators and thresholds are signed or both are not; each has its own width.
///
/// One word a cycle, Stages + 1 cycles of delay.  When out0 is held back everything stands still.
///
///   read 0        compare 0      ..  compare Stages - 1
///   accumulator   top bit            lowest bit
///   threshold     next threshold     code
module thresholds #(
  parameter int unsigned Channels      = 4,
  parameter int unsigned Pe            = 2,
  parameter int unsigned InBits        = 8,
  parameter bit          Signed        = 1'b1,
  parameter int unsigned ThresholdBits = 8,
  parameter int unsigned Stages        = 2,
  parameter int unsigned OutBits       = 2,
  parameter int          Low           = 0,
  parameter              TablePrefix   = "thresholds",
  localparam int unsigned InWidth  = (Pe * InBits + 7) / 8 * 8,
  localparam int unsigned OutWidth = (Pe * OutBits + 7) / 8 * 8
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
  if (Pe == 0 || Channels == 0 || Channels % Pe != 0) begin : g_check_pe
    $error("Pe has to divide Channels");
  end
  if (Stages == 0 || OutBits < Stages) begin : g_check_bits
    $error("the number of thresholds has to fit into OutBits");
  end

  localparam int unsigned Folds    = Channels / Pe;
  localparam int unsigned FoldBits = (Folds > 1) ? $clog2(Folds) : 1;
  localparam int unsigned WideBits = 1 + ((InBits > ThresholdBits) ? InBits : ThresholdBits);

  typedef logic [FoldBits-1:0]        fold_t;
  typedef logic [InBits-1:0]          accumulator_t;
  typedef logic [ThresholdBits-1:0]   threshold_t;
  typedef logic [Stages-1:0]          count_t;
  typedef logic signed [WideBits-1:0] wide_t;

  logic              enable;
  logic [Stages-1:0] valid_q;
  fold_t             fold_q;          // of the word that is taken next
  fold_t             folds_q[Stages]; // of the word that a stage compares

  assign enable       = !out0_V_TVALID || out0_V_TREADY;
  assign in0_V_TREADY = enable;

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      fold_q        <= '0;
      valid_q       <= '0;
      out0_V_TVALID <= 1'b0;
    end else if (enable) begin
      if (in0_V_TVALID) fold_q <= (fold_q == fold_t'(Folds - 1)) ? '0 : fold_q + 1'b1;
      valid_q       <= Stages'({valid_q, in0_V_TVALID});
      out0_V_TVALID <= valid_q[Stages-1];
    end
    if (enable) begin
      folds_q[0] <= fold_q;
      for (int unsigned s = 1; s < Stages; s++) folds_q[s] <= folds_q[s-1];
    end
  end

  for (genvar p = 0; p < Pe; p++) begin : g_pe
    // before and after the comparison of a stage
    accumulator_t accumulator_q[Stages];
    count_t       count_q[Stages];
    count_t       count_d[Stages];

    for (genvar s = 0; s < Stages; s++) begin : g_stage
      localparam int unsigned Words       = Folds << s;
      localparam int unsigned AddressBits = (Words > 1) ? $clog2(Words) : 1;

      threshold_t             rom[Words];
      threshold_t             threshold_q;
      logic [AddressBits-1:0] address;
      logic                   reached;

      initial $readmemh($sformatf("%s_lane%0d_stage%0d.mem", TablePrefix, p, s), rom, 0, Words - 1);

      assign reached    = wide_accumulator(accumulator_q[s]) >= wide_threshold(threshold_q);
      assign count_d[s] = count_q[s] | (count_t'(reached) << (Stages - 1 - s));

      if (s == 0) begin : g_first
        assign address = AddressBits'(fold_q);
        always_ff @(posedge ap_clk) begin
          if (enable) begin
            accumulator_q[s] <= in0_V_TDATA[p*InBits +: InBits];
            count_q[s]       <= '0;
          end
        end
      end else begin : g_next
        assign address = AddressBits'({folds_q[s-1], count_d[s-1][Stages-1 -: s]});
        always_ff @(posedge ap_clk) begin
          if (enable) begin
            accumulator_q[s] <= accumulator_q[s-1];
            count_q[s]       <= count_d[s-1];
          end
        end
      end
      always_ff @(posedge ap_clk) if (enable) threshold_q <= rom[address];
    end

    always_ff @(posedge ap_clk) begin
      if (enable) out0_V_TDATA[p*OutBits +: OutBits] <= OutBits'(Low) + OutBits'(count_d[Stages-1]);
    end
  end

  if (OutWidth > Pe * OutBits) begin : g_padding
    assign out0_V_TDATA[OutWidth-1 : Pe*OutBits] = '0;
  end

  // one bit wider and signed, so that one comparison serves both kinds of input
  function automatic wide_t wide_accumulator(input accumulator_t x);
    return wide_t'($signed({Signed && x[InBits-1], x}));
  endfunction

  function automatic wide_t wide_threshold(input threshold_t x);
    return wide_t'($signed({Signed && x[ThresholdBits-1], x}));
  endfunction
endmodule
