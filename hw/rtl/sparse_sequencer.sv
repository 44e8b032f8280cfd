/// Reads a program word by word, waits in it for positions, and begins again.
///
/// The lowest two bits of a word: wait, last.  Two words after one with wait, the program stands
/// still, unless an arrived position is left over from before: the third word after it is read once a
/// position has arrived, and the second again and again until then, so that must change nothing.
/// Waits are at least three words apart.  Two words after one with last, word Restart follows.
///
///   address_q  | 3 | 4 | 5 | 5 | 5 | 6 | 7 | 8     word 3 has wait
///   word_o     | 1 | 2 | 3 | 4 | 5 | 5 | 5 | 6
///   arrived_i  _____________|‾‾‾|______________
///
/// It begins at word 0; words before Restart bring everything into a known state.  The flags of a word,
/// the Flags bits above those two, are low until word 0 arrives.
module sparse_sequencer #(
  parameter int unsigned Slots   = 16,
  parameter int unsigned Restart = 4,
  parameter int unsigned Flags   = 3,
  parameter int unsigned Bits    = 16,  // of the rest of a word
  parameter int unsigned Pending = 2,   // most positions that have arrived and were not waited for
  parameter              ProgramFile = "program.mem"
) (
  input  logic             clk,
  input  logic             rst_n,
  input  logic             arrived_i,
  output logic [Flags-1:0] flags_o,
  output logic [Bits-1:0]  word_o
);
  localparam int unsigned AddressBits = $clog2(Slots);
  localparam int unsigned CountBits   = $clog2(Pending + 1);

  (* rom_style = "block" *) logic [Bits+Flags+1:0] rom[Slots];

  logic [AddressBits-1:0] address_q;
  logic [Bits+Flags+1:0]  read_q;
  logic [CountBits-1:0]   count_q;
  logic                   read_valid_q, wait_q, last_q, hold, take;

  initial $readmemh(ProgramFile, rom, 0, Slots - 1);

  assign hold = wait_q && count_q == '0;
  assign take = wait_q && count_q != '0;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      address_q    <= '0;
      read_valid_q <= 1'b0;
      count_q      <= '0;
    end else begin
      read_valid_q <= 1'b1;
      if (last_q) address_q <= AddressBits'(Restart);
      else if (!hold) address_q <= address_q + 1'b1;
      if (arrived_i && !take) count_q <= count_q + 1'b1;
      else if (take && !arrived_i) count_q <= count_q - 1'b1;
    end

    if (!rst_n || !read_valid_q) begin
      wait_q  <= 1'b0;
      last_q  <= 1'b0;
      flags_o <= '0;
    end else begin
      if (!hold) wait_q <= read_q[0];
      last_q  <= read_q[1];
      flags_o <= read_q[2 +: Flags];
    end

    read_q <= rom[address_q];
    word_o <= read_q[2+Flags +: Bits];
  end
endmodule
