/// Adds a constant to each channel.
///
/// in0, out0: Channels / Pe words of Pe elements; word w of the bias file holds the constants
/// of channels w * Pe .., in OutBits bits each.  One word a cycle, one cycle of delay.
module bias_add #(
  parameter int unsigned Channels = 4,
  parameter int unsigned Pe       = 1,
  parameter int unsigned InBits   = 8,
  parameter bit          InSigned = 1'b1,
  parameter int unsigned OutBits  = 9,
  parameter              BiasFile = "bias.mem",
  localparam int unsigned InWidth  = (Pe * InBits + 7) / 8 * 8,
  localparam int unsigned OutWidth = (Pe * OutBits + 7) / 8 * 8
) (
  input  logic                ap_clk,
  input  logic                ap_rst_n,
  input  logic [InWidth-1:0]  in0_V_TDATA,
  input  logic                in0_V_TVALID,
  output logic                in0_V_TREADY,
  output logic [OutWidth-1:0] out0_V_TDATA,
  output logic                out0_V_TVALID,
  input  logic                out0_V_TREADY
);
  if (Pe == 0 || Channels == 0 || Channels % Pe != 0) begin : g_check_pe
    $error("Pe has to divide Channels");
  end

  localparam int unsigned Folds    = Channels / Pe;
  localparam int unsigned FoldBits = (Folds > 1) ? $clog2(Folds) : 1;

  logic [Pe*OutBits-1:0] rom[Folds];
  logic [FoldBits-1:0]   fold_q;
  logic                  take;

  initial $readmemh(BiasFile, rom, 0, Folds - 1);

  assign in0_V_TREADY = !out0_V_TVALID || out0_V_TREADY;
  assign take         = in0_V_TVALID && in0_V_TREADY;

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      fold_q        <= '0;
      out0_V_TVALID <= 1'b0;
    end else begin
      if (take) fold_q <= (fold_q == FoldBits'(Folds - 1)) ? '0 : fold_q + 1'b1;
      if (in0_V_TREADY) out0_V_TVALID <= take;
    end
  end

  for (genvar p = 0; p < Pe; p++) begin : g_pe
    logic [InBits-1:0]         x;
    logic signed [OutBits-1:0] wide, bias;
    assign x    = in0_V_TDATA[p*InBits +: InBits];
    assign wide = OutBits'($signed({InSigned && x[InBits-1], x}));
    assign bias = rom[fold_q][p*OutBits +: OutBits];
    always_ff @(posedge ap_clk) if (take) out0_V_TDATA[p*OutBits +: OutBits] <= wide + bias;
  end

  if (OutWidth > Pe * OutBits) begin : g_padding
    assign out0_V_TDATA[OutWidth-1 : Pe*OutBits] = '0;
  end
endmodule
