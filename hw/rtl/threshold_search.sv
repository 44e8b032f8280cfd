/// Code of an accumulator: how many of its channel's thresholds it has reached, by binary search.
///
/// Takes a channel a cycle: each bit of the code has a memory of its own, with the thresholds that may
/// decide it.  That of bit CodeBits - 1 - s has Rows * 2**s words: {row, the bits above}; its file is
/// Files, then the digit s, then ".mem".  A bit takes two cycles: read, compare.
///
///   x_i, row_i  | x |
///   threshold       | t |          of the highest bit
///   code_o              ... code   after 2 * CodeBits cycles
module threshold_search #(
  parameter int unsigned AccBits  = 12,
  parameter int unsigned Rows     = 4,
  parameter int unsigned CodeBits = 2,
  parameter              Files    = "thresholds",
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1
) (
  input  logic                      clk,
  input  logic signed [AccBits-1:0] x_i,
  input  logic        [RowBits-1:0] row_i,
  output logic       [CodeBits-1:0] code_o
);
  // of the number and the row whose s highest bits are known
  logic signed [AccBits-1:0] x[CodeBits+1];
  logic [RowBits-1:0]        row[CodeBits+1];
  logic [CodeBits-1:0]       code[CodeBits+1];

  assign x[0]    = x_i;
  assign row[0]  = row_i;
  assign code[0] = '0;

  for (genvar s = 0; s < CodeBits; s++) begin : g_bit
    logic signed [AccBits-1:0] thresholds[Rows << s];
    logic signed [AccBits-1:0] threshold_q, x1_q, x2_q;
    logic [RowBits-1:0]        row1_q, row2_q;
    logic [CodeBits-1:0]       code1_q, code2_q;
    logic [RowBits+s-1:0]      address;

    if (s == 0) begin : g_first
      assign address = row[0];
    end else begin : g_next
      assign address = {row[s], code[s][s-1:0]};
    end

    initial $readmemh({Files, 8'(48 + s), ".mem"}, thresholds, 0, (Rows << s) - 1);

    always_ff @(posedge clk) begin
      threshold_q <= thresholds[address];
      x1_q        <= x[s];
      row1_q      <= row[s];
      code1_q     <= code[s];
      x2_q        <= x1_q;
      row2_q      <= row1_q;
      code2_q     <= CodeBits'({code1_q, x1_q >= threshold_q});
    end

    assign x[s+1]    = x2_q;
    assign row[s+1]  = row2_q;
    assign code[s+1] = code2_q;
  end

  assign code_o = code[CodeBits];
  wire unused = &{1'b0, x[CodeBits], row[CodeBits]};
endmodule
