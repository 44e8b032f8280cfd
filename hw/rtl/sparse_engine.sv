/// Dense layers one after another, nonzero weights only: a program says which unit multiplies what.
///
/// In: all codes of a position with valid_i, counted from their type's lowest, channel 0 in the low
/// bits.  Out: the last layer's values in order, one at a time, value_last_o with a frame's last one.
/// Nothing is ever refused or held back: the program is such that positions which are far enough
/// apart are worked off before their memory is needed again.
///
/// There are Groups groups of Units units.  An output belongs to a group, and each of its units has an
/// accumulator for it.  A word of the program has products, or it reads accumulators.  With emit, all
/// groups do: their sums are quantized and written to where all units read codes.  With value one
/// group does: its sum, or code, leaves, while the other groups may go on multiplying.
///
///   cycle          0     1     2     3     4     5     6     7        Levels = 1, Scaled = 1
///   word         |emit |                                   |word |    which can use the codes
///   units              |     |reads|                       |     |
///   sums                           | sum |
///   quantizers                           |prod.| code|
///   hidden_o                                         |write|
///   value_o      |value|     |reads| sum |     |value|                ValueCodes = 0
///
/// ProgramFile: words, from the low bits on: wait, last, clear, emit, value, group (SelectBits), then
/// for each unit, those of group 0 first: address, accumulator, magnitude, sign.  QuantizerFile: a
/// word for each emission, of each group the factor below the term; or ThresholdFiles, followed by the
/// group's two digits: see threshold_search.  ValueFile: what is added to each value.
module sparse_engine #(
  parameter int unsigned Channels      = 4,
  parameter int unsigned CodeBits      = 4,
  parameter int unsigned Groups        = 2,
  parameter int unsigned Units         = 2,
  parameter int unsigned Levels        = 1,   // 3 ** Levels >= Units
  parameter int unsigned Ring          = 2,   // positions in memory
  parameter int unsigned Hidden        = 3,   // words of codes that a frame writes
  parameter int unsigned Slots         = 16,  // words of the program
  parameter int unsigned Accumulators  = 4,   // of a unit
  parameter int unsigned MagnitudeBits = 3,
  parameter int unsigned AccBits       = 12,
  parameter int unsigned HiddenBits    = 4,   // of a quantized code
  parameter bit          Scaled        = 1'b1,
  parameter int unsigned FactorBits    = 12,
  parameter int unsigned TermBits      = 20,
  parameter int unsigned Shift         = 16,
  parameter int unsigned Values        = 5,   // outputs of the last layer
  parameter int unsigned ValueBits     = 12,
  parameter bit          ValueCodes    = 1'b0,  // values are codes, not sums
  parameter              ProgramFile    = "program.mem",
  parameter              QuantizerFile  = "quantizer.mem",
  parameter              ThresholdFiles = "thresholds",
  parameter              ValueFile      = "values.mem"
) (
  input  logic                         clk,
  input  logic                         rst_n,

  input  logic [Channels*CodeBits-1:0] position_i,
  input  logic                         valid_i,

  output logic signed [ValueBits-1:0]  value_o,
  output logic                         value_valid_o,
  output logic                         value_last_o,

  // codes of hidden layers as they are written, for comparison
  output logic [Groups*CodeBits-1:0]   hidden_o,
  output logic                         hidden_valid_o
);
  localparam int unsigned SelectBits    = (Groups > 1) ? $clog2(Groups) : 1;
  localparam int unsigned Lines         = Groups * CodeBits;
  localparam int unsigned PositionWords = (Channels + Groups - 1) / Groups;
  localparam int unsigned RingWords     = Ring * PositionWords;
  localparam int unsigned Words         = RingWords + Hidden;
  localparam int unsigned RingBits      = (RingWords > 1) ? $clog2(RingWords) : 1;
  localparam int unsigned WriteBits     = (Words > 1) ? $clog2(Words) : 1;
  localparam int unsigned UnitBits      = $clog2(Groups) + WriteBits + $clog2(Accumulators)
                                          + MagnitudeBits + 1;
  // emissions that are quantized: those of the last layer too, where it ends in codes
  localparam int unsigned Rows          = Hidden + (ValueCodes ? Values : 0);
  localparam int unsigned RowBits       = (Rows > 1) ? $clog2(Rows) : 1;
  localparam int unsigned Search        = 2 * HiddenBits;
  localparam int unsigned Quantizer     = Scaled ? 2 : Search;  // cycles

  // Cycles after a word, at which an accumulator is read, its sum is there, its code is there.
  localparam int unsigned Reads  = 2;
  localparam int unsigned Summed = Reads + Levels;
  localparam int unsigned Coded  = Summed + Quantizer;

  typedef logic [SelectBits-1:0] select_t;
  typedef logic [WriteBits-1:0] write_t;

  // --- program ----------------------------------------------------------------------------------

  logic                       arrived;
  logic [2:0]                 flags;
  logic [SelectBits-1:0]      group;
  logic [Groups*Units*UnitBits-1:0] words;

  sparse_sequencer #(
    .Slots      (Slots),
    .Restart    (Accumulators),
    .Flags      (3),
    .Bits       (SelectBits + Groups * Units * UnitBits),
    .Pending    (Ring + 1),
    .ProgramFile(ProgramFile)
  ) sequencer (
    .clk      (clk),
    .rst_n    (rst_n),
    .arrived_i(arrived),
    .flags_o  (flags),
    .word_o   ({words, group})
  );

  // What the word of so many cycles ago was, a bit for each cycle; flags are low after a reset.
  logic [Coded:0]        emit, value;
  logic [Coded:0][SelectBits-1:0] chosen;
  logic [Coded:1]        emit_q, value_q;
  select_t               chosen_q[Coded:1];
  logic                  clear1_q;
  logic [Groups-1:0]     clear2_q;

  assign emit[0]   = flags[1];
  assign value[0]  = flags[2];
  assign chosen[0] = group;
  for (genvar i = 1; i <= Coded; i++) begin : g_past
    assign emit[i]   = emit_q[i];
    assign value[i]  = value_q[i];
    assign chosen[i] = chosen_q[i];
    always_ff @(posedge clk) chosen_q[i] <= chosen[i-1];
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      emit_q  <= '0;
      value_q <= '0;
    end else begin
      emit_q  <= emit[Coded-1:0];
      value_q <= value[Coded-1:0];
    end
    clear1_q <= flags[0];
    for (int unsigned g = 0; g < Groups; g++)
      clear2_q[g] <= clear1_q || (value[1] && chosen[1] == select_t'(g));
  end

  // --- groups -----------------------------------------------------------------------------------

  logic                           write_q;
  write_t                         write_address_q;
  logic [Lines-1:0]               write_data_q;
  logic [Groups-1:0][AccBits-1:0] sums;
  logic [Groups-1:0][HiddenBits-1:0] codes;

  for (genvar g = 0; g < Groups; g++) begin : g_group
    logic [Units-1:0][AccBits-1:0] read;

    for (genvar u = 0; u < Units; u++) begin : g_unit
      sparse_unit #(
        .CodeBits     (CodeBits),
        .Lanes        (Groups),
        .Words        (Words),
        .MagnitudeBits(MagnitudeBits),
        .Accumulators (Accumulators),
        .AccBits      (AccBits)
      ) engine_unit (
        .clk            (clk),
        .rst_n          (rst_n),
        .word_i         (words[(g*Units+u)*UnitBits +: UnitBits]),
        .clear_i        (clear2_q[g]),
        .sum_o          (read[u]),
        .write_i        (write_q),
        .write_address_i(write_address_q),
        .write_data_i   (write_data_q)
      );
    end

    accumulator_sum #(
      .Count (Units),
      .Bits  (AccBits),
      .Levels(Levels)
    ) sum (
      .clk(clk),
      .x_i(read),
      .y_o(sums[g])
    );
  end

  // --- quantizers -------------------------------------------------------------------------------

  if (Rows == 0) begin : g_sums_only
    assign codes = '0;
  end else begin : g_quantizer
    localparam int unsigned Leads = Scaled ? 2 : 0;  // cycles from the row to its constants
    logic [RowBits-1:0] row_q;
    logic               next;

    assign next = emit[Summed-Leads] || (ValueCodes && value[Summed-Leads]);

    always_ff @(posedge clk) begin
      if (!rst_n) row_q <= '0;
      else if (next) row_q <= (row_q == RowBits'(Rows - 1)) ? '0 : row_q + 1'b1;
    end

    if (Scaled) begin : g_scaled
      localparam int unsigned Bits = FactorBits + TermBits;
      (* rom_style = "block" *) logic [Groups*Bits-1:0] constants[Rows];
      logic [Groups*Bits-1:0] read_q, constants_q;

      initial $readmemh(QuantizerFile, constants, 0, Rows - 1);

      always_ff @(posedge clk) begin
        read_q      <= constants[row_q];
        constants_q <= read_q;
      end

      for (genvar g = 0; g < Groups; g++) begin : g_group
        scaled_quantizer #(
          .AccBits   (AccBits),
          .FactorBits(FactorBits),
          .TermBits  (TermBits),
          .Shift     (Shift),
          .CodeBits  (HiddenBits)
        ) quantizer (
          .clk     (clk),
          .x_i     (sums[g]),
          .factor_i(constants_q[g*Bits +: FactorBits]),
          .term_i  (constants_q[g*Bits+FactorBits +: TermBits]),
          .code_o  (codes[g])
        );
      end
    end else begin : g_search
      for (genvar g = 0; g < Groups; g++) begin : g_group
        threshold_search #(
          .AccBits (AccBits),
          .Rows    (Rows),
          .CodeBits(HiddenBits),
          .Files   ({ThresholdFiles, 8'(48 + g / 10), 8'(48 + g % 10)})
        ) quantizer (
          .clk   (clk),
          .x_i   (sums[g]),
          .row_i (row_q),
          .code_o(codes[g])
        );
      end
    end
  end

  // --- writing: codes go first, positions wait for them -----------------------------------------

  logic [Lines-1:0]    coded, position_data;
  logic [RingBits-1:0] position_address;
  logic                position_write;
  write_t              back_q;  // where the next codes are written

  for (genvar g = 0; g < Groups; g++) begin : g_coded
    assign coded[g*CodeBits +: CodeBits] = CodeBits'(codes[g]);
  end

  position_writer #(
    .Bits    (Channels * CodeBits),
    .WordBits(Lines),
    .Ring    (Ring)
  ) writer (
    .clk       (clk),
    .rst_n     (rst_n),
    .position_i(position_i),
    .valid_i   (valid_i),
    .hold_i    (emit[Coded]),
    .write_o   (position_write),
    .first_o   (arrived),
    .address_o (position_address),
    .data_o    (position_data)
  );

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      back_q         <= write_t'(RingWords);
      hidden_valid_o <= 1'b0;
    end else begin
      if (emit[Coded]) back_q <= (back_q == write_t'(Words - 1)) ? write_t'(RingWords)
                                                                 : back_q + 1'b1;
      hidden_valid_o <= emit[Coded];
    end
    write_q         <= emit[Coded] || position_write;
    write_address_q <= emit[Coded] ? back_q : write_t'(position_address);
    write_data_q    <= emit[Coded] ? coded : position_data;
  end

  assign hidden_o = write_data_q;

  // --- values -----------------------------------------------------------------------------------

  localparam int unsigned CountBits = (Values > 1) ? $clog2(Values) : 1;
  localparam int unsigned Taken = ValueCodes ? Coded : Summed;

  logic [CountBits-1:0] count_q;
  logic                 last_value;

  assign last_value = count_q == CountBits'(Values - 1);

  always_ff @(posedge clk) begin
    if (!rst_n) count_q <= '0;
    else if (value[Taken]) count_q <= last_value ? '0 : count_q + 1'b1;
  end

  if (ValueCodes) begin : g_codes
    always_ff @(posedge clk) begin
      value_valid_o <= rst_n && value[Taken];
      value_last_o  <= last_value;
      value_o       <= ValueBits'(codes[chosen[Taken]]);
    end
  end else begin : g_sums
    logic signed [ValueBits-1:0] constants[Values];
    logic signed [ValueBits-1:0] constant_q;
    logic signed [AccBits-1:0]   sum_q;
    logic                        valid_q, last_q;

    initial $readmemh(ValueFile, constants, 0, Values - 1);

    always_ff @(posedge clk) begin
      valid_q       <= rst_n && value[Taken];
      last_q        <= last_value;
      sum_q         <= sums[chosen[Taken]];
      constant_q    <= constants[count_q];
      value_valid_o <= rst_n && valid_q;
      value_last_o  <= last_q;
      value_o       <= ValueBits'(sum_q) + constant_q;
    end
  end
endmodule
