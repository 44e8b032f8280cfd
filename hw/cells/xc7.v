// What the multipliers and block memories of Xilinx 7 series devices do, for simulation; after AMD
// UG479 and UG473.  A parameter that is not modelled is refused.

module DSP48E1 #(
  parameter integer ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1, BREG = 1,
  parameter integer CARRYINREG = 1, CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1,
  parameter integer MREG = 1, OPMODEREG = 1, PREG = 1,
  parameter A_INPUT = "DIRECT", B_INPUT = "DIRECT", USE_DPORT = "FALSE", USE_MULT = "MULTIPLY",
  parameter USE_SIMD = "ONE48"
) (
  output [47:0] P, PCOUT,
  output [29:0] ACOUT,
  output [17:0] BCOUT,
  input [29:0] A, ACIN,
  input [17:0] B, BCIN,
  input [47:0] C, PCIN,
  input [24:0] D,
  input [6:0] OPMODE,
  input [4:0] INMODE,
  input [3:0] ALUMODE,
  input [2:0] CARRYINSEL,
  input CARRYIN, CLK,
  input CEA1, CEA2, CEB1, CEB2, CEC, CEM, CEP, CED, CEAD,
  input CEALUMODE, CECARRYIN, CECTRL, CEINMODE,
  input RSTA, RSTB, RSTC, RSTM, RSTP, RSTD, RSTALLCARRYIN, RSTALUMODE, RSTCTRL, RSTINMODE
);
  if (USE_DPORT != "FALSE") $error("the adder in front of the multiplier");
  if (USE_SIMD != "ONE48") $error("several sums in one");
  if (ALUMODEREG + CARRYINREG + CARRYINSELREG + INMODEREG + OPMODEREG != 0)
    $error("registers of what controls it");

  reg signed [29:0] a1 = 0, a2 = 0;
  reg signed [17:0] b1 = 0, b2 = 0;
  reg signed [47:0] c_q = 0;
  reg signed [42:0] m_q = 0;
  reg signed [47:0] p_q = 0;

  wire signed [29:0] a_in = (A_INPUT == "CASCADE") ? ACIN : A;
  wire signed [17:0] b_in = (B_INPUT == "CASCADE") ? BCIN : B;

  always @(posedge CLK) begin
    if (RSTA) {a1, a2} <= 0;
    else begin
      if (CEA1) a1 <= a_in;
      if (CEA2) a2 <= (AREG == 2) ? a1 : a_in;
    end
    if (RSTB) {b1, b2} <= 0;
    else begin
      if (CEB1) b1 <= b_in;
      if (CEB2) b2 <= (BREG == 2) ? b1 : b_in;
    end
    if (RSTC) c_q <= 0;
    else if (CEC) c_q <= C;
  end

  wire signed [29:0] a_first = (AREG == 0) ? a_in : a1, a_last = (AREG == 0) ? a_in : a2;
  wire signed [17:0] b_first = (BREG == 0) ? b_in : b1, b_last = (BREG == 0) ? b_in : b2;

  assign ACOUT = (AREG == 2 && ACASCREG == 1) ? a1 : a_last;
  assign BCOUT = (BREG == 2 && BCASCREG == 1) ? b1 : b_last;

  // --- product ------------------------------------------------------------------------------------

  wire signed [29:0] a_chosen = INMODE[1] ? 30'sd0 : INMODE[0] ? a_first : a_last;
  wire signed [24:0] factor_a = a_chosen[24:0];
  wire signed [17:0] factor_b = INMODE[4] ? b_first : b_last;
  wire signed [42:0] product  = factor_a * factor_b;

  always @(posedge CLK)
    if (RSTM) m_q <= 0;
    else if (CEM) m_q <= product;

  wire signed [42:0] m = (MREG == 0) ? product : m_q;
  wire signed [47:0] c = (CREG == 0) ? C : c_q;

  // --- sum ----------------------------------------------------------------------------------------

  reg signed [47:0] x, y, z;
  wire carry = (CARRYINSEL == 0) && CARRYIN;

  always @* begin
    case (OPMODE[1:0])
      2'b00: x = 0;
      2'b01: x = m;
      2'b10: x = p_q;
      default: x = {a_last, b_last};
    endcase
    case (OPMODE[3:2])
      2'b10: y = -48'sd1;
      2'b11: y = c;
      default: y = 0;  // 01 belongs to the product, which is in x
    endcase
    case (OPMODE[6:4])
      3'b001: z = PCIN;
      3'b010: z = p_q;
      3'b011: z = c;
      3'b100: z = p_q;
      3'b101: z = $signed(PCIN) >>> 17;
      3'b110: z = p_q >>> 17;
      default: z = 0;
    endcase
  end

  reg [47:0] sum;

  always @*
    case (ALUMODE)
      4'b0000: sum = z + x + y + 48'(carry);
      4'b0001: sum = ~z + x + y + 48'(carry);
      4'b0010: sum = ~(z + x + y + 48'(carry));
      4'b0011: sum = z - (x + y + 48'(carry));
      default: sum = 48'bx;  // logic
    endcase

  always @(posedge CLK)
    if (RSTP) p_q <= 0;
    else if (CEP) p_q <= sum;

  assign P     = (PREG == 0) ? sum : p_q;
  assign PCOUT = P;
endmodule

// The memory in a block: two ports, of each the width of a word read and written, parity included.
// An address counts bits; a port that reads what it writes finds the word as it was.
module block_memory #(
  parameter integer Bytes = 2048, AddressBits = 14,
  parameter [8*Bytes-1:0] Data = 0,
  parameter [Bytes-1:0] Parity = 0,
  parameter integer ReadA = 0, ReadB = 0, WriteA = 0, WriteB = 0,
  parameter ModeA = "READ_FIRST", ModeB = "READ_FIRST"
) (
  input clk_a, enable_a, reset_a, clk_b, enable_b, reset_b,
  input [AddressBits-1:0] address_a, address_b,
  input [7:0] write_a, write_b,
  input [63:0] in_a, in_b,
  input [7:0] in_parity_a, in_parity_b,
  output reg [63:0] out_a, out_b,
  output reg [7:0] out_parity_a, out_parity_b
);
  if (ReadA != 0 && WriteA != 0 && ModeA != "READ_FIRST") $error("a port that reads what it writes");
  if (ReadB != 0 && WriteB != 0 && ModeB != "READ_FIRST") $error("a port that reads what it writes");

  reg [7:0] bytes[0:Bytes-1];
  reg       parity[0:Bytes-1];

  always @(posedge clk_a) if (enable_a && reset_a) $fatal(1, "a reset of what is read");
  always @(posedge clk_b) if (enable_b && reset_b) $fatal(1, "a reset of what is read");

  integer n;
  initial
    for (n = 0; n < Bytes; n = n + 1) begin
      bytes[n]  = Data[8*n +: 8];
      parity[n] = Parity[n];
    end

  function automatic integer lanes(input integer width);  // bytes of a word
    lanes = (width < 9) ? 1 : width / 9;
  endfunction

  // the byte in which a word begins, and the bit of it
  function automatic [AddressBits-4:0] first(input [AddressBits-1:0] address, input integer width);
    first = address[AddressBits-1:3] & ~(AddressBits-3)'(lanes(width) - 1);
  endfunction

  function automatic [2:0] place(input [2:0] address, input integer width);
    place = (width == 1) ? address : (width == 2) ? {address[2:1], 1'b0}
          : (width == 4) ? {address[2], 2'b00} : 3'd0;
  endfunction

  function automatic [7:0] mask(input integer width);
    mask = (width < 8) ? 8'((1 << width) - 1) : 8'hff;
  endfunction

  integer i;

  always @(posedge clk_a)
    if (enable_a) begin
      if (ReadA != 0)
        for (i = 0; i < lanes(ReadA); i = i + 1) begin
          out_a[8*i +: 8] <= bytes[first(address_a, ReadA) + i] >> place(address_a[2:0], ReadA) & mask(ReadA);
          out_parity_a[i] <= parity[first(address_a, ReadA) + i];
        end
      if (WriteA != 0)
        for (i = 0; i < lanes(WriteA); i = i + 1)
          if (write_a[i]) begin
            bytes[first(address_a, WriteA) + i] <=
              bytes[first(address_a, WriteA) + i]
                & ~(mask(WriteA) << place(address_a[2:0], WriteA))
              | (in_a[8*i +: 8] & mask(WriteA)) << place(address_a[2:0], WriteA);
            if (WriteA > 8) parity[first(address_a, WriteA) + i] <= in_parity_a[i];
          end
    end

  integer j;

  always @(posedge clk_b)
    if (enable_b) begin
      if (ReadB != 0)
        for (j = 0; j < lanes(ReadB); j = j + 1) begin
          out_b[8*j +: 8] <= bytes[first(address_b, ReadB) + j] >> place(address_b[2:0], ReadB) & mask(ReadB);
          out_parity_b[j] <= parity[first(address_b, ReadB) + j];
        end
      if (WriteB != 0)
        for (j = 0; j < lanes(WriteB); j = j + 1)
          if (write_b[j]) begin
            bytes[first(address_b, WriteB) + j] <=
              bytes[first(address_b, WriteB) + j]
                & ~(mask(WriteB) << place(address_b[2:0], WriteB))
              | (in_b[8*j +: 8] & mask(WriteB)) << place(address_b[2:0], WriteB);
            if (WriteB > 8) parity[first(address_b, WriteB) + j] <= in_parity_b[j];
          end
    end
endmodule

module RAMB18E1 #(
  parameter [255:0]
    INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0, INIT_04 = 0, INIT_05 = 0, INIT_06 = 0, INIT_07 = 0,
    INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0, INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0,
    INIT_10 = 0, INIT_11 = 0, INIT_12 = 0, INIT_13 = 0, INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0,
    INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0, INIT_1C = 0, INIT_1D = 0, INIT_1E = 0, INIT_1F = 0,
    INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0, INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0,
    INIT_28 = 0, INIT_29 = 0, INIT_2A = 0, INIT_2B = 0, INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0,
    INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0, INIT_34 = 0, INIT_35 = 0, INIT_36 = 0, INIT_37 = 0,
    INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0, INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0,
  parameter [255:0]
    INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0, INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0,
  parameter [71:0] INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0,
  parameter RAM_MODE = "TDP", WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST",
  parameter RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE",
  parameter integer READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
  parameter integer DOA_REG = 0, DOB_REG = 0
) (
  output [15:0] DOADO, DOBDO,
  output [1:0] DOPADOP, DOPBDOP,
  input [13:0] ADDRARDADDR, ADDRBWRADDR,
  input [15:0] DIADI, DIBDI,
  input [1:0] DIPADIP, DIPBDIP,
  input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
  input RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
  input [1:0] WEA,
  input [3:0] WEBWE
);
  if (RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") $error("two blocks as one");
  if (DOA_REG != 0 || DOB_REG != 0) $error("registers behind a block");

  // the widest words of a memory with one port for each direction use both ports
  localparam WideRead = READ_WIDTH_A == 36, WideWrite = WRITE_WIDTH_B == 36;

  wire [63:0] a, b;
  wire [7:0] a_parity, b_parity;

  block_memory #(
    .Bytes(2048), .AddressBits(14),
    .Data({
      INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
      INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
      INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
      INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
      INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
      INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
      INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
      INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
    }),
    .Parity({
      INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    }),
    .ReadA(READ_WIDTH_A), .ReadB(READ_WIDTH_B), .WriteA(WRITE_WIDTH_A), .WriteB(WRITE_WIDTH_B),
    .ModeA(WRITE_MODE_A), .ModeB(WRITE_MODE_B)
  ) memory (
    .clk_a(CLKARDCLK), .enable_a(ENARDEN), .reset_a(RSTRAMARSTRAM),
    .address_a(ADDRARDADDR[13:0]), .write_a(8'(WEA)),
    .in_a(64'(DIADI)), .in_parity_a(8'(DIPADIP)), .out_a(a), .out_parity_a(a_parity),
    .clk_b(CLKBWRCLK), .enable_b(ENBWREN), .reset_b(RSTRAMB),
    .address_b(ADDRBWRADDR[13:0]), .write_b(8'(WEBWE)),
    .in_b(WideWrite ? 64'({DIBDI, DIADI}) : 64'(DIBDI)),
    .in_parity_b(WideWrite ? 8'({DIPBDIP, DIPADIP}) : 8'(DIPBDIP)),
    .out_b(b), .out_parity_b(b_parity)
  );

  assign DOADO   = a[15:0];
  assign DOPADOP = a_parity[1:0];
  assign DOBDO   = WideRead ? a[31:16] : b[15:0];
  assign DOPBDOP = WideRead ? a_parity[3:2] : b_parity[1:0];
endmodule

module RAMB36E1 #(
  parameter [255:0]
    INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0, INIT_04 = 0, INIT_05 = 0, INIT_06 = 0, INIT_07 = 0,
    INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0, INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0,
    INIT_10 = 0, INIT_11 = 0, INIT_12 = 0, INIT_13 = 0, INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0,
    INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0, INIT_1C = 0, INIT_1D = 0, INIT_1E = 0, INIT_1F = 0,
    INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0, INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0,
    INIT_28 = 0, INIT_29 = 0, INIT_2A = 0, INIT_2B = 0, INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0,
    INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0, INIT_34 = 0, INIT_35 = 0, INIT_36 = 0, INIT_37 = 0,
    INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0, INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0,
    INIT_40 = 0, INIT_41 = 0, INIT_42 = 0, INIT_43 = 0, INIT_44 = 0, INIT_45 = 0, INIT_46 = 0, INIT_47 = 0,
    INIT_48 = 0, INIT_49 = 0, INIT_4A = 0, INIT_4B = 0, INIT_4C = 0, INIT_4D = 0, INIT_4E = 0, INIT_4F = 0,
    INIT_50 = 0, INIT_51 = 0, INIT_52 = 0, INIT_53 = 0, INIT_54 = 0, INIT_55 = 0, INIT_56 = 0, INIT_57 = 0,
    INIT_58 = 0, INIT_59 = 0, INIT_5A = 0, INIT_5B = 0, INIT_5C = 0, INIT_5D = 0, INIT_5E = 0, INIT_5F = 0,
    INIT_60 = 0, INIT_61 = 0, INIT_62 = 0, INIT_63 = 0, INIT_64 = 0, INIT_65 = 0, INIT_66 = 0, INIT_67 = 0,
    INIT_68 = 0, INIT_69 = 0, INIT_6A = 0, INIT_6B = 0, INIT_6C = 0, INIT_6D = 0, INIT_6E = 0, INIT_6F = 0,
    INIT_70 = 0, INIT_71 = 0, INIT_72 = 0, INIT_73 = 0, INIT_74 = 0, INIT_75 = 0, INIT_76 = 0, INIT_77 = 0,
    INIT_78 = 0, INIT_79 = 0, INIT_7A = 0, INIT_7B = 0, INIT_7C = 0, INIT_7D = 0, INIT_7E = 0, INIT_7F = 0,
  parameter [255:0]
    INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0, INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0,
    INITP_08 = 0, INITP_09 = 0, INITP_0A = 0, INITP_0B = 0, INITP_0C = 0, INITP_0D = 0, INITP_0E = 0, INITP_0F = 0,
  parameter [71:0] INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0,
  parameter RAM_MODE = "TDP", WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST",
  parameter RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE",
  parameter integer READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
  parameter integer DOA_REG = 0, DOB_REG = 0
) (
  output [31:0] DOADO, DOBDO,
  output [3:0] DOPADOP, DOPBDOP,
  input [15:0] ADDRARDADDR, ADDRBWRADDR,
  input [31:0] DIADI, DIBDI,
  input [3:0] DIPADIP, DIPBDIP,
  input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
  input RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
  input [3:0] WEA,
  input [7:0] WEBWE
);
  if (RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") $error("two blocks as one");
  if (DOA_REG != 0 || DOB_REG != 0) $error("registers behind a block");

  // the widest words of a memory with one port for each direction use both ports
  localparam WideRead = READ_WIDTH_A == 72, WideWrite = WRITE_WIDTH_B == 72;

  wire [63:0] a, b;
  wire [7:0] a_parity, b_parity;

  block_memory #(
    .Bytes(4096), .AddressBits(15),
    .Data({
      INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78,
      INIT_77, INIT_76, INIT_75, INIT_74, INIT_73, INIT_72, INIT_71, INIT_70,
      INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68,
      INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60,
      INIT_5F, INIT_5E, INIT_5D, INIT_5C, INIT_5B, INIT_5A, INIT_59, INIT_58,
      INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50,
      INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48,
      INIT_47, INIT_46, INIT_45, INIT_44, INIT_43, INIT_42, INIT_41, INIT_40,
      INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
      INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
      INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
      INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
      INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
      INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
      INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
      INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
    }),
    .Parity({
      INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08,
      INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    }),
    .ReadA(READ_WIDTH_A), .ReadB(READ_WIDTH_B), .WriteA(WRITE_WIDTH_A), .WriteB(WRITE_WIDTH_B),
    .ModeA(WRITE_MODE_A), .ModeB(WRITE_MODE_B)
  ) memory (
    .clk_a(CLKARDCLK), .enable_a(ENARDEN), .reset_a(RSTRAMARSTRAM),
    .address_a(ADDRARDADDR[14:0]), .write_a(8'(WEA)),
    .in_a(64'(DIADI)), .in_parity_a(8'(DIPADIP)), .out_a(a), .out_parity_a(a_parity),
    .clk_b(CLKBWRCLK), .enable_b(ENBWREN), .reset_b(RSTRAMB),
    .address_b(ADDRBWRADDR[14:0]), .write_b(8'(WEBWE)),
    .in_b(WideWrite ? 64'({DIBDI, DIADI}) : 64'(DIBDI)),
    .in_parity_b(WideWrite ? 8'({DIPBDIP, DIPADIP}) : 8'(DIPBDIP)),
    .out_b(b), .out_parity_b(b_parity)
  );

  assign DOADO   = a[31:0];
  assign DOPADOP = a_parity[3:0];
  assign DOBDO   = WideRead ? a[63:32] : b[31:0];
  assign DOPBDOP = WideRead ? a_parity[7:4] : b_parity[3:0];
endmodule
