# Generated. small for ZCU104, from hw/boards and model.toml.
set ::settings(vivado_oldest) {2022.2}
set ::settings(model) {small}
set ::settings(hash) {481263280c28d33e9c115beebba5f50e80d63e60d831f2b6a7d926182e88c29c}
set ::settings(backend) {hls}
set ::settings(board) {zcu104}
set ::settings(part) {xczu7ev-ffvc1156-2-e}
set ::settings(board_part) {xilinx.com:zcu104:part0}
set ::settings(family) {zynqmp}
set ::settings(clock_mhz) {100}
set ::settings(memory_bits) {128}
set ::settings(beat_bytes) {1}
set ::settings(label_bytes) {1}
set ::settings(dma_address) {0xA0000000}
set ::settings(accelerator_address) {0xA0010000}
set ::settings(address_range) {65536}
set ::settings(top) {amcflow}
set ::settings(hls_verilog) {
    hls
    hls_project
    solution
    syn
    verilog
}
set ::settings(ps) {PSU__PSS_REF_CLK__FREQMHZ 33.333333}
set ::settings(sources) {
    accelerator.v
    stream_fifo.sv
    axi_lite_registers.sv
    frame_buffer.sv
    label_queue.sv
    accelerator_axi.sv
    amcflow.v
}
set ::settings(tables) {}
