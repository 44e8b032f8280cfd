# Generated. small for PYNQ-Z2, from hw/boards and model.toml.
set ::settings(vivado_oldest) {2022.2}
set ::settings(model) {small}
set ::settings(hash) {481263280c28d33e9c115beebba5f50e80d63e60d831f2b6a7d926182e88c29c}
set ::settings(backend) {rtl}
set ::settings(board) {pynq_z2}
set ::settings(part) {xc7z020clg400-1}
set ::settings(board_part) {tul.com.tw:pynq-z2:part0}
set ::settings(family) {zynq7}
set ::settings(clock_mhz) {100}
set ::settings(memory_bits) {64}
set ::settings(beat_bytes) {1}
set ::settings(label_bytes) {1}
set ::settings(dma_address) {0x40400000}
set ::settings(accelerator_address) {0x43C00000}
set ::settings(address_range) {65536}
set ::settings(top) {amcflow}
set ::settings(hls_verilog) {}
set ::settings(ps) {
    PCW_CRYSTAL_PERIPHERAL_FREQMHZ
    50
    PCW_UIPARAM_DDR_PARTNO
    {MT41J256M16 RE-125}
    PCW_UIPARAM_DDR_BUS_WIDTH
    {16 Bit}
}
set ::settings(sources) {
    StreamFIFO_rtl_0.v
    DenseMVAU_rtl_0.v
    LabelSelect_rtl_0.v
    accelerator.sv
    stream_fifo.sv
    axi_lite_registers.sv
    frame_buffer.sv
    label_queue.sv
    accelerator_axi.sv
    amcflow.v
}
set ::settings(tables) {weights.mem t_0.dat}
