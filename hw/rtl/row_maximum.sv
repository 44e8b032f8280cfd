/// The largest of Ways values in each of Rows rows; a tree of pairs, a register in each level.
///
///   rows_i   way 0 in the low bits, within it row 0
///   rows_o   clog2(Ways) cycles later
module row_maximum #(
  parameter int unsigned Rows = 2,
  parameter int unsigned Ways = 2,
  parameter int unsigned Bits = 8
) (
  input  logic                      clk,
  input  logic [Ways*Rows*Bits-1:0] rows_i,
  output logic [Rows*Bits-1:0]      rows_o
);
  localparam int unsigned Levels = $clog2(Ways);

  typedef logic [Bits-1:0] value_t;

  for (genvar r = 0; r < Rows; r++) begin : g_row
    value_t level[Levels+1][Ways];

    for (genvar w = 0; w < Ways; w++) begin : g_way
      assign level[0][w] = rows_i[(w*Rows+r)*Bits +: Bits];
    end

    for (genvar s = 0; s < Levels; s++) begin : g_level
      localparam int unsigned Left = (Ways + (1 << s) - 1) >> s;  // values in this level
      for (genvar w = 0; w < Ways; w++) begin : g_pair
        if (2 * w + 1 < Left) begin : g_larger
          always_ff @(posedge clk)
            level[s+1][w] <= (level[s][2*w] > level[s][2*w+1]) ? level[s][2*w] : level[s][2*w+1];
        end else if (2 * w < Left) begin : g_alone
          always_ff @(posedge clk) level[s+1][w] <= level[s][2*w];
        end else begin : g_none
          assign level[s+1][w] = '0;
        end
      end
    end

    assign rows_o[r*Bits +: Bits] = level[Levels][0];
  end
endmodule
