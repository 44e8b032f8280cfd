/// Code of an accumulator: clamp((factor * x + term) >> Shift) to 0 .. 2**CodeBits - 1.
///
/// A multiplier with an adder behind it; code_o follows x_i two cycles later, and is to be
/// registered.
///
///   x_i, factor_i, term_i  | x |
///   product_q, term_q          | p |
///   total_q, code_o                | code |
module scaled_quantizer #(
  parameter int unsigned AccBits    = 12,
  parameter int unsigned FactorBits = 12,
  parameter int unsigned TermBits   = 20,
  parameter int unsigned Shift      = 16,
  parameter int unsigned CodeBits   = 4
) (
  input  logic                         clk,
  input  logic signed [AccBits-1:0]    x_i,
  input  logic        [FactorBits-1:0] factor_i,
  input  logic signed [TermBits-1:0]   term_i,
  output logic        [CodeBits-1:0]   code_o
);
  localparam int unsigned ProductBits = AccBits + FactorBits;
  localparam int unsigned Widest = ((ProductBits > TermBits) ? ProductBits : TermBits) + 1;
  localparam int unsigned Needed = Shift + CodeBits + 2;
  localparam int unsigned TotalBits = (Widest > Needed) ? Widest : Needed;

  logic signed [ProductBits-1:0] product_q;
  logic signed [TermBits-1:0]    term_q;
  logic signed [TotalBits-1:0]   total_q;
  (* fabric_register *) logic signed [TotalBits-1:0] total;  // see requantizer.sv
  logic                          negative, beyond;

  assign total = TotalBits'(product_q) + TotalBits'(term_q);

  always_ff @(posedge clk) begin
    product_q <= ProductBits'(x_i * $signed({1'b0, factor_i}));
    term_q    <= term_i;
    total_q   <= total;
  end

  assign negative = total_q[TotalBits-1];
  assign beyond   = |total_q[TotalBits-2:Shift+CodeBits];
  assign code_o   = negative ? '0 : beyond ? '1 : total_q[Shift +: CodeBits];

  if (Shift > 0) begin : g_fraction
    wire unused = &{1'b0, total_q[Shift-1:0]};
  end
endmodule
