/// Holds words until they are taken, for a source that cannot wait: Depth is as many as can come.
///
///   cycle        0     1     2     3
///   write_i    |  a  |  b  |
///   memory           |  a  |  b  |
///   out                    |  a  |  b  |
module frame_queue #(
  parameter int unsigned Bits  = 8,
  parameter int unsigned Depth = 4  // at least 2
) (
  input  logic            clk,
  input  logic            rst_n,

  input  logic [Bits-1:0] data_i,
  input  logic            write_i,

  output logic [Bits-1:0] data_o,
  output logic            valid_o,
  input  logic            ready_i
);
  localparam int unsigned PlaceBits = $clog2(Depth);
  localparam int unsigned CountBits = $clog2(Depth + 1);

  typedef logic [PlaceBits-1:0] place_t;

  logic [Bits-1:0]      memory[Depth];
  place_t               write_q, read_q;
  logic [CountBits-1:0] count_q;  // words in memory
  logic                 read;

  assign read = count_q != '0 && (!valid_o || ready_i);

  function automatic place_t after(input place_t place);
    return (place == place_t'(Depth - 1)) ? '0 : place + 1'b1;
  endfunction

  always_ff @(posedge clk) begin
    if (write_i) memory[write_q] <= data_i;
    if (read) data_o <= memory[read_q];
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      write_q <= '0;
      read_q  <= '0;
      count_q <= '0;
      valid_o <= 1'b0;
    end else begin
      if (write_i) write_q <= after(write_q);
      if (read) read_q <= after(read_q);
      if (write_i != read) count_q <= write_i ? count_q + 1'b1 : count_q - 1'b1;
      valid_o <= read || (valid_o && !ready_i);
    end
  end
endmodule
