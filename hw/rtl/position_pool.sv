/// Maximum over Pool evaluations, lane by lane and slot by slot; then all codes at once.
///
/// Slots come in order, without a gap within an evaluation.  A frame has Evaluations of them; what
/// is left over at its end is dropped.  codes_o: slot 0 in the low bits, within it lane 0; it holds
/// until the next position's slots arrive.
module position_pool #(
  parameter int unsigned Lanes       = 1,
  parameter int unsigned Slots       = 1,
  parameter int unsigned Bits        = 4,
  parameter int unsigned Pool        = 2,
  parameter int unsigned Evaluations = 1024,
  localparam int unsigned SlotBits = (Slots > 1) ? $clog2(Slots) : 1
) (
  input  logic                        clk,
  input  logic                        rst_n,
  input  logic [Lanes*Bits-1:0]       codes_i,
  input  logic                        valid_i,
  input  logic [SlotBits-1:0]         slot_i,
  output logic [Slots*Lanes*Bits-1:0] codes_o,
  output logic                        valid_o
);
  localparam int unsigned Word     = Lanes * Bits;
  localparam int unsigned PoolBits = (Pool > 1) ? $clog2(Pool) : 1;
  localparam int unsigned LeftBits = (Evaluations > 1) ? $clog2(Evaluations) : 1;

  typedef logic [Word-1:0] word_t;

  logic [PoolBits-1:0] place_q;  // in the pool
  logic [LeftBits-1:0] count_q;  // evaluations of the frame so far
  logic                last_slot, last_place, last_evaluation, emit;
  word_t               best;

  assign last_slot       = slot_i == SlotBits'(Slots - 1);
  assign last_place      = place_q == PoolBits'(Pool - 1);
  assign last_evaluation = count_q == LeftBits'(Evaluations - 1);
  assign emit            = valid_i && last_place;

  if (Pool > 1) begin : g_pool
    word_t kept_q[Slots];  // the maximum so far of the slot to come stands at 0

    always_comb begin
      for (int unsigned j = 0; j < Lanes; j++) begin
        best[j*Bits +: Bits] = codes_i[j*Bits +: Bits];
        if (place_q != '0 && kept_q[0][j*Bits +: Bits] > best[j*Bits +: Bits])
          best[j*Bits +: Bits] = kept_q[0][j*Bits +: Bits];
      end
    end

    always_ff @(posedge clk) begin
      if (valid_i) begin
        for (int unsigned i = 0; i + 1 < Slots; i++) kept_q[i] <= kept_q[i+1];
        kept_q[Slots-1] <= best;
      end
    end
  end else begin : g_pass
    assign best = codes_i;
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      place_q <= '0;
      count_q <= '0;
      valid_o <= 1'b0;
    end else begin
      if (valid_i && last_slot) begin
        place_q <= (last_place || last_evaluation) ? '0 : place_q + 1'b1;
        count_q <= last_evaluation ? '0 : count_q + 1'b1;
      end
      valid_o <= emit && last_slot;
    end
    if (emit) codes_o <= (Slots*Word)'({best, codes_o} >> Word);
  end
endmodule
