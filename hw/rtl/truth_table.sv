/// A registered truth table: y is row x of Table in the next cycle.
///
/// Table: rows of Bits bits, row 0 in the low bits.  Up to six inputs fit one level of LUTs.
module truth_table #(
  parameter int unsigned Inputs = 5,
  parameter int unsigned Bits   = 4,
  parameter logic [Bits*2**Inputs-1:0] Table =
    (Bits*2**Inputs)'(128'hfedc_ba98_7654_3210_0123_4567_89ab_cdef)
) (
  input  logic              clk,
  input  logic [Inputs-1:0] x,
  output logic [Bits-1:0]   y
);
  always_ff @(posedge clk) y <= Table[x*Bits +: Bits];
endmodule
