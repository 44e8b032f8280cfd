/// Sum of Count numbers, modulo 2**Bits: three at a time, Levels cycles later.
module accumulator_sum #(
  parameter int unsigned Count  = 3,
  parameter int unsigned Bits   = 12,
  parameter int unsigned Levels = 1  // 3 ** Levels >= Count
) (
  input  logic                       clk,
  input  logic [Count-1:0][Bits-1:0] x_i,
  output logic [Bits-1:0]            y_o
);
  /// How many numbers are left after so many levels.
  function automatic int unsigned left(input int unsigned level);
    left = Count;
    for (int unsigned i = 0; i < level; i++) left = (left + 2) / 3;
  endfunction

  /// Where those of a level stand in `numbers`: behind those of the levels before.
  function automatic int unsigned place(input int unsigned level);
    place = 0;
    for (int unsigned i = 0; i < level; i++) place += left(i);
  endfunction

  logic [Bits-1:0] numbers[place(Levels)+1];

  for (genvar i = 0; i < Count; i++) begin : g_number
    assign numbers[i] = x_i[i];
  end

  for (genvar level = 0; level < Levels; level++) begin : g_level
    for (genvar i = 0; i < left(level + 1); i++) begin : g_sum
      logic [2:0][Bits-1:0] operands;

      for (genvar k = 0; k < 3; k++) begin : g_operand
        if (3 * i + k < left(level)) begin : g_number
          assign operands[k] = numbers[place(level)+3*i+k];
        end else begin : g_none
          assign operands[k] = '0;
        end
      end

      ternary_adder #(
        .Bits(Bits)
      ) adder (
        .clk(clk),
        .a  (operands[0]),
        .b  (operands[1]),
        .c  (operands[2]),
        .y  (numbers[place(level+1)+i])
      );
    end
  end

  assign y_o = numbers[place(Levels)];
endmodule
