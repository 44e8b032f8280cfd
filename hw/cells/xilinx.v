// What the cells of Xilinx devices do that Yosys maps to, for simulation: logic, registers and
// memories made of LUTs.  After AMD UG953 and UG974.  A parameter that is not modelled is refused.

module VCC (output P);
  assign P = 1'b1;
endmodule

module GND (output G);
  assign G = 1'b0;
endmodule

module INV (output O, input I);
  assign O = !I;
endmodule

// --- LUTs ----------------------------------------------------------------------------------------

module LUT1 #(parameter [1:0] INIT = 0) (output O, input I0);
  assign O = INIT[I0];
endmodule

module LUT2 #(parameter [3:0] INIT = 0) (output O, input I0, I1);
  assign O = INIT[{I1, I0}];
endmodule

module LUT3 #(parameter [7:0] INIT = 0) (output O, input I0, I1, I2);
  assign O = INIT[{I2, I1, I0}];
endmodule

module LUT4 #(parameter [15:0] INIT = 0) (output O, input I0, I1, I2, I3);
  assign O = INIT[{I3, I2, I1, I0}];
endmodule

module LUT5 #(parameter [31:0] INIT = 0) (output O, input I0, I1, I2, I3, I4);
  assign O = INIT[{I4, I3, I2, I1, I0}];
endmodule

module LUT6 #(parameter [63:0] INIT = 0) (output O, input I0, I1, I2, I3, I4, I5);
  assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module LUT6_2 #(parameter [63:0] INIT = 0) (output O5, O6, input I0, I1, I2, I3, I4, I5);
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

// --- beside LUTs ---------------------------------------------------------------------------------

module MUXF7 (output O, input I0, I1, S);
  assign O = S ? I1 : I0;
endmodule

module MUXF8 (output O, input I0, I1, S);
  assign O = S ? I1 : I0;
endmodule

module MUXF9 (output O, input I0, I1, S);
  assign O = S ? I1 : I0;
endmodule

module CARRY4 (output [3:0] CO, O, input CI, CYINIT, input [3:0] DI, S);
  // one of CI and CYINIT is not in use, and 0
  wire first = CI | CYINIT;
  assign CO[0] = S[0] ? first : DI[0];
  assign CO[1] = S[1] ? CO[0] : DI[1];
  assign CO[2] = S[2] ? CO[1] : DI[2];
  assign CO[3] = S[3] ? CO[2] : DI[3];
  assign O = S ^ {CO[2:0], first};
endmodule

// --- registers -----------------------------------------------------------------------------------

module FDRE #(parameter [0:0] INIT = 0) (output reg Q, input C, CE, D, R);
  initial Q = INIT;
  always @(posedge C)
    if (R) Q <= 1'b0;
    else if (CE) Q <= D;
endmodule

module FDSE #(parameter [0:0] INIT = 1) (output reg Q, input C, CE, D, S);
  initial Q = INIT;
  always @(posedge C)
    if (S) Q <= 1'b1;
    else if (CE) Q <= D;
endmodule

module SRL16E #(
  parameter [15:0] INIT = 0,
  parameter [0:0]  IS_CLK_INVERTED = 0
) (output Q, input A0, A1, A2, A3, CE, CLK, D);
  if (IS_CLK_INVERTED != 0) $error("a clock that is inverted");
  reg [15:0] held = INIT;
  assign Q = held[{A3, A2, A1, A0}];
  always @(posedge CLK) if (CE) held <= {held[14:0], D};
endmodule

module SRLC32E #(
  parameter [31:0] INIT = 0,
  parameter [0:0]  IS_CLK_INVERTED = 0
) (output Q, Q31, input [4:0] A, input CE, CLK, D);
  if (IS_CLK_INVERTED != 0) $error("a clock that is inverted");
  reg [31:0] held = INIT;
  assign Q   = held[A];
  assign Q31 = held[31];
  always @(posedge CLK) if (CE) held <= {held[30:0], D};
endmodule

// --- memories made of LUTs: written by a clock, read through the address; ADDRD writes ------------

module RAM32M #(
  parameter [63:0] INIT_A = 0, INIT_B = 0, INIT_C = 0, INIT_D = 0,
  parameter [0:0]  IS_WCLK_INVERTED = 0
) (
  output [1:0] DOA, DOB, DOC, DOD,
  input [4:0] ADDRA, ADDRB, ADDRC, ADDRD,
  input [1:0] DIA, DIB, DIC, DID,
  input WCLK, WE
);
  if (IS_WCLK_INVERTED != 0) $error("a clock that is inverted");
  reg [63:0] a = INIT_A, b = INIT_B, c = INIT_C, d = INIT_D;
  assign DOA = a[2*ADDRA +: 2];
  assign DOB = b[2*ADDRB +: 2];
  assign DOC = c[2*ADDRC +: 2];
  assign DOD = d[2*ADDRD +: 2];
  always @(posedge WCLK)
    if (WE) begin
      a[2*ADDRD +: 2] <= DIA;
      b[2*ADDRD +: 2] <= DIB;
      c[2*ADDRD +: 2] <= DIC;
      d[2*ADDRD +: 2] <= DID;
    end
endmodule

module RAM64M #(
  parameter [63:0] INIT_A = 0, INIT_B = 0, INIT_C = 0, INIT_D = 0,
  parameter [0:0]  IS_WCLK_INVERTED = 0
) (
  output DOA, DOB, DOC, DOD,
  input [5:0] ADDRA, ADDRB, ADDRC, ADDRD,
  input DIA, DIB, DIC, DID,
  input WCLK, WE
);
  if (IS_WCLK_INVERTED != 0) $error("a clock that is inverted");
  reg [63:0] a = INIT_A, b = INIT_B, c = INIT_C, d = INIT_D;
  assign DOA = a[ADDRA];
  assign DOB = b[ADDRB];
  assign DOC = c[ADDRC];
  assign DOD = d[ADDRD];
  always @(posedge WCLK)
    if (WE) begin
      a[ADDRD] <= DIA;
      b[ADDRD] <= DIB;
      c[ADDRD] <= DIC;
      d[ADDRD] <= DID;
    end
endmodule

module RAM32X1D #(
  parameter [31:0] INIT = 0,
  parameter [0:0]  IS_WCLK_INVERTED = 0
) (
  output DPO, SPO,
  input A0, A1, A2, A3, A4, DPRA0, DPRA1, DPRA2, DPRA3, DPRA4,
  input D, WCLK, WE
);
  if (IS_WCLK_INVERTED != 0) $error("a clock that is inverted");
  reg [31:0] held = INIT;
  wire [4:0] address = {A4, A3, A2, A1, A0};
  assign SPO = held[address];
  assign DPO = held[{DPRA4, DPRA3, DPRA2, DPRA1, DPRA0}];
  always @(posedge WCLK) if (WE) held[address] <= D;
endmodule

module RAM64X1D #(
  parameter [63:0] INIT = 0,
  parameter [0:0]  IS_WCLK_INVERTED = 0
) (
  output DPO, SPO,
  input A0, A1, A2, A3, A4, A5, DPRA0, DPRA1, DPRA2, DPRA3, DPRA4, DPRA5,
  input D, WCLK, WE
);
  if (IS_WCLK_INVERTED != 0) $error("a clock that is inverted");
  reg [63:0] held = INIT;
  wire [5:0] address = {A5, A4, A3, A2, A1, A0};
  assign SPO = held[address];
  assign DPO = held[{DPRA5, DPRA4, DPRA3, DPRA2, DPRA1, DPRA0}];
  always @(posedge WCLK) if (WE) held[address] <= D;
endmodule
