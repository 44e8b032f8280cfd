/// Writes the codes of a position word by word into a memory for Ring positions, one after another.
///
/// A position is taken whenever valid_i is high: it must not come before the last one has been
/// written.  Words waits while hold_i is high.  first_o: word 0 is written.
///
///   valid_i   _|‾|___________________     Words = 3
///   write_o   ____|‾‾‾‾‾|___|‾‾|____
///   address_o     | 0|1 | 2    |
///   hold_i    __________|‾‾‾|_______
///   first_o   ____|‾‾|______________
module position_writer #(
  parameter int unsigned Bits     = 32,
  parameter int unsigned WordBits = 8,
  parameter int unsigned Ring     = 2,
  localparam int unsigned Words       = (Bits + WordBits - 1) / WordBits,
  localparam int unsigned AddressBits = (Ring * Words > 1) ? $clog2(Ring * Words) : 1
) (
  input  logic                   clk,
  input  logic                   rst_n,

  input  logic [Bits-1:0]        position_i,
  input  logic                   valid_i,

  input  logic                   hold_i,
  output logic                   write_o,
  output logic                   first_o,
  output logic [AddressBits-1:0] address_o,
  output logic [WordBits-1:0]    data_o
);
  localparam int unsigned NumberBits = (Words > 1) ? $clog2(Words) : 1;

  typedef logic [NumberBits-1:0] number_t;
  typedef logic [AddressBits-1:0] address_t;

  logic [Words*WordBits-1:0] position_q;
  logic                      busy_q, first_q;
  number_t                   number_q;
  address_t                  address_q;
  logic                      last_word, last_address;

  assign last_word    = number_q == number_t'(Words - 1);
  assign last_address = address_q == address_t'(Ring * Words - 1);
  assign write_o      = busy_q && !hold_i;
  assign first_o      = write_o && first_q;
  assign address_o    = address_q;
  assign data_o       = position_q[number_q*WordBits +: WordBits];

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      busy_q    <= 1'b0;
      first_q   <= 1'b1;
      number_q  <= '0;
      address_q <= '0;
    end else begin
      if (valid_i) busy_q <= 1'b1;
      else if (write_o && last_word) busy_q <= 1'b0;
      if (write_o) begin
        first_q   <= last_word;
        number_q  <= last_word ? '0 : number_q + 1'b1;
        address_q <= last_address ? '0 : address_q + 1'b1;
      end
    end
    if (valid_i) position_q <= (Words * WordBits)'(position_i);
  end
endmodule
