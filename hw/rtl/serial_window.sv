/// The window of a 1-D convolution, digit by digit: Kernel positions of Channels codes each.
///
/// An evaluation takes Digits * Phases cycles, the digits of every code from the most significant
/// one on, over and over for every phase.  Taps that lie outside of the evaluation's own frame give
/// Pad.  x: tap 0 is the oldest position, in the low bits; within a tap channel 0 is.
///
///   event_i   _|‾|________________________|‾|___      Digits = 2, Phases = 3
///   x         ____| 1 | 0 | 1 | 0 | 1 | 0 | 1 | 0
///   first_o   ____|‾‾‾|___|‾‾‾|___|‾‾‾|___|‾‾‾|__
///   phase_o   ____|   0   |   1   |   2   |   0
module serial_window #(
  parameter int unsigned Channels = 2,
  parameter int unsigned Bits     = 4,
  parameter int unsigned Digit    = 4,
  parameter int unsigned Kernel   = 3,
  parameter int unsigned Phases   = 1,
  parameter int unsigned Pad      = 0,
  localparam int unsigned Digits     = (Bits + Digit - 1) / Digit,
  localparam int unsigned Word       = Channels * Digit,
  localparam int unsigned PhaseBits  = (Phases > 1) ? $clog2(Phases) : 1
) (
  input  logic                     clk,
  input  logic                     rst_n,

  input  logic                     event_i,
  input  logic                     position_i,
  input  logic [Channels*Bits-1:0] data_i,
  input  logic                     frame_i,
  input  logic                     own_i,
  input  logic                     valid_i,

  output logic [Kernel*Word-1:0]   x,
  output logic                     first_o,
  output logic                     last_o,
  output logic                     valid_o,
  output logic [PhaseBits-1:0]     phase_o
);
  localparam int unsigned DigitBits = (Digits > 1) ? $clog2(Digits) : 1;

  typedef logic [Word-1:0]      word_t;
  typedef logic [DigitBits-1:0] digit_t;
  typedef logic [PhaseBits-1:0] phase_t;

  // --- time -------------------------------------------------------------------------------------

  logic   active_q, valid_q, last_digit, last_phase;
  digit_t digit_q, digit_d;
  phase_t phase_q, phase_d;

  assign last_digit = digit_q == digit_t'(Digits - 1);
  assign last_phase = phase_q == phase_t'(Phases - 1);

  always_comb begin
    digit_d = last_digit ? '0 : digit_q + 1'b1;
    phase_d = !last_digit ? phase_q : last_phase ? '0 : phase_q + 1'b1;
    if (event_i) digit_d = '0;
    if (event_i) phase_d = '0;
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      active_q <= 1'b0;
    end else if (event_i) begin
      active_q <= 1'b1;
    end else if (last_digit && last_phase) begin
      active_q <= 1'b0;
    end
    if (event_i) valid_q <= valid_i;
    digit_q <= digit_d;
    phase_q <= phase_d;
  end

  // --- data: the newest position stands still, its digits pass through the other taps in the last
  // --- phase, and in the phases before are read where they are

  logic [Channels*Bits-1:0] newest_q;
  word_t                    newest[Digits];  // its digits
  word_t                    shown[Kernel];   // of every tap, the newest first
  logic                     moves;
  digit_t                   place, place_q;  // in a tap, of its digit of this cycle
  logic [Kernel-1:0]        filled_q, frame_q, inside_q;

  function automatic word_t digit_of(input logic [Channels*Bits-1:0] data, input int unsigned d);
    // digit d of every code, 0 the most significant; the first may be shorter than the others
    digit_of = '0;
    for (int unsigned c = 0; c < Channels; c++)
      for (int unsigned i = 0; i < Digit; i++)
        if ((Digits - 1 - d) * Digit + i < Bits)
          digit_of[c*Digit+i] = data[c*Bits+(Digits-1-d)*Digit+i];
  endfunction

  always_ff @(posedge clk) if (event_i) newest_q <= data_i;

  for (genvar d = 0; d < Digits; d++) begin : g_digit
    assign newest[d] = digit_of(newest_q, d);
  end

  assign shown[0] = newest[digit_q];
  assign moves    = active_q && last_phase;

  assign place    = (Phases > 1) ? place_q : digit_t'(Digits - 1);

  always_ff @(posedge clk)
    place_q <= digit_t'(Digits - 1) - ((phase_d == phase_t'(Phases - 1)) ? '0 : digit_d);

  for (genvar k = 1; k < Kernel; k++) begin : g_tap
    for (genvar i = 0; i < Word; i++) begin : g_bit
      logic [Digits-1:0] line_q;
      assign shown[k][i] = line_q[place];
      always_ff @(posedge clk) if (moves) line_q <= Digits'({line_q, shown[k-1][i]});
    end
  end

  // --- which taps are positions of the evaluation's frame ---------------------------------------

  logic [Kernel-1:0] filled, frames;

  assign filled = Kernel'({filled_q, position_i});
  assign frames = Kernel'({frame_q, frame_i});

  always_ff @(posedge clk) begin
    if (!rst_n) filled_q <= '0;
    else if (event_i) filled_q <= filled;
    if (event_i) begin
      frame_q  <= frames;
      inside_q <= filled & ~(frames ^ {Kernel{own_i}});
    end
  end

  // --- out --------------------------------------------------------------------------------------

  localparam logic [Digits*Digit-1:0] PadCode = (Digits * Digit)'(Pad);
  logic [Digit-1:0] pad;

  assign pad = Digit'(PadCode >> (Digit * (Digits - 1 - 32'(digit_q))));

  always_ff @(posedge clk) begin
    for (int unsigned k = 0; k < Kernel; k++)
      x[(Kernel-1-k)*Word +: Word] <= inside_q[k] ? shown[k] : {Channels{pad}};
    first_o <= digit_q == '0;
    last_o  <= rst_n && active_q && last_digit;
    valid_o <= active_q && valid_q;
    phase_o <= phase_q;
  end
endmodule
