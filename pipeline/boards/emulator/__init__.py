"""The emulated board: the Verilated AXI shell behind the interface of PYNQ's library."""
