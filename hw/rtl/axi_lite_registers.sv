/// AXI4-Lite to a plain register bus: 32-bit words, one access at a time, responses always OKAY.
///
/// write: `write_o` for one cycle with address, data and byte enables; read: `read_o` for one cycle
/// with the address, and `read_data_i` taken in that cycle.  Addresses are in words.
///
/// An access takes two cycles, its ready among them: ready follows valid by a cycle, so no path
/// leads from an input to an output.
module axi_lite_registers #(
  parameter int unsigned AddressBits = 7,
  localparam int unsigned WordBits = AddressBits - 2
) (
  input  logic                   aclk,
  input  logic                   aresetn,

  input  logic [AddressBits-1:0] s_axi_awaddr,
  input  logic                   s_axi_awvalid,
  output logic                   s_axi_awready,
  input  logic [31:0]            s_axi_wdata,
  input  logic [3:0]             s_axi_wstrb,
  input  logic                   s_axi_wvalid,
  output logic                   s_axi_wready,
  output logic [1:0]             s_axi_bresp,
  output logic                   s_axi_bvalid,
  input  logic                   s_axi_bready,
  input  logic [AddressBits-1:0] s_axi_araddr,
  input  logic                   s_axi_arvalid,
  output logic                   s_axi_arready,
  output logic [31:0]            s_axi_rdata,
  output logic [1:0]             s_axi_rresp,
  output logic                   s_axi_rvalid,
  input  logic                   s_axi_rready,

  output logic                   write_o,
  output logic [WordBits-1:0]    write_address_o,
  output logic [31:0]            write_data_o,
  output logic [3:0]             write_bytes_o,
  output logic                   read_o,
  output logic [WordBits-1:0]    read_address_o,
  input  logic [31:0]            read_data_i
);
  logic write_ready_q, read_ready_q;

  assign s_axi_awready   = write_ready_q;
  assign s_axi_wready    = write_ready_q;
  assign s_axi_bresp     = 2'b00;
  assign write_o         = write_ready_q;
  assign write_address_o = s_axi_awaddr[AddressBits-1:2];
  assign write_data_o    = s_axi_wdata;
  assign write_bytes_o   = s_axi_wstrb;

  assign s_axi_arready   = read_ready_q;
  assign s_axi_rresp     = 2'b00;
  assign read_o          = read_ready_q;
  assign read_address_o  = s_axi_araddr[AddressBits-1:2];

  // Ready comes only where both halves are valid and the response has room: valid stays until
  // then, so the access is done in the one cycle in which ready is high.
  always_ff @(posedge aclk) begin
    if (!aresetn) begin
      write_ready_q <= 1'b0;
      read_ready_q  <= 1'b0;
      s_axi_bvalid  <= 1'b0;
      s_axi_rvalid  <= 1'b0;
    end else begin
      write_ready_q <= !write_ready_q && s_axi_awvalid && s_axi_wvalid
                       && (!s_axi_bvalid || s_axi_bready);
      read_ready_q  <= !read_ready_q && s_axi_arvalid && (!s_axi_rvalid || s_axi_rready);
      if (write_ready_q) s_axi_bvalid <= 1'b1;
      else if (s_axi_bready) s_axi_bvalid <= 1'b0;
      if (read_ready_q) s_axi_rvalid <= 1'b1;
      else if (s_axi_rready) s_axi_rvalid <= 1'b0;
    end
    if (read_ready_q) s_axi_rdata <= read_data_i;
  end

  wire unused = &{1'b0, s_axi_awaddr[1:0], s_axi_araddr[1:0]};
endmodule
