/// Sum of Count numbers, modulo 2**Bits: three at a time, in as many cycles as that takes levels.
module accumulator_sum #(
  parameter int unsigned Count  = 3,
  parameter int unsigned Bits   = 12,
  parameter int unsigned Levels = 1  // 3 ** Levels >= Count
) (
  input  logic                       clk,
  input  logic [Count-1:0][Bits-1:0] x_i,
  output logic [Bits-1:0]            y_o
);
  localparam int unsigned Width = 3 ** Levels;

  logic [Bits-1:0] values[Levels+1][Width];  // of a level: three times fewer than of the one before

  for (genvar i = 0; i < Width; i++) begin : g_first
    if (i < Count) begin : g_number
      assign values[0][i] = x_i[i];
    end else begin : g_none
      assign values[0][i] = '0;
    end
  end

  for (genvar level = 0; level < Levels; level++) begin : g_level
    localparam int unsigned Sums = Width / 3 ** (level + 1);
    for (genvar i = 0; i < Width; i++) begin : g_sum
      if (i < Sums) begin : g_three
        ternary_adder #(
          .Bits(Bits)
        ) adder (
          .clk(clk),
          .a  (values[level][3*i]),
          .b  (values[level][3*i+1]),
          .c  (values[level][3*i+2]),
          .y  (values[level+1][i])
        );
      end else begin : g_none
        assign values[level+1][i] = '0;
        if (i > 0) begin : g_unused
          wire unused = &{1'b0, values[level+1][i]};
        end
      end
    end
  end

  assign y_o = values[Levels][0];
endmodule
