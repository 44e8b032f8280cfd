# Step block_design: the system around the accelerator, in the project `vivado/system.xpr`.
#
#   ps ── control ─┬─ dma          registers, over the processing system's master port
#                  └─ accelerator
#   ps ── memory ──── dma          frames and labels, over its memory port HP0
#   dma ── accelerator ── dma      AXI4-Stream
#
# One clock and one reset, both from the processing system. The driver uses the names of the cells
# and their addresses.

proc amcflow::block_design {} {
    global root
    file delete -force [in_root vivado]
    create_project -force system [in_root vivado] -part [setting part]
    set_property target_language Verilog [current_project]
    set with_preset [use_board_files]
    set_property ip_repo_paths [list [in_root ip]] [current_project]
    update_ip_catalog -rebuild

    create_bd_design system
    set names [dict get [processing_systems] [setting family]]
    add_processing_system $names $with_preset
    add_cells
    connect_clock [dict get $names clock] [dict get $names clocks_in]
    connect_reset [dict get $names reset]
    connect_interfaces $names
    assign_addresses $names
    validate_bd_design
    check_streams
    save_bd_design
    write_file [in_root vivado clock_hz] \
        [get_property CONFIG.FREQ_HZ [pin ps/[dict get $names clock]]]

    # Everything is synthesized together with the top: no runs of their own for the cells.
    set design [the_one "block design" [get_files -quiet system.bd]]
    set_property synth_checkpoint_mode None $design
    generate_target all $design
    make_wrapper -files $design -import -fileset sources_1 -top
    set_property top system_wrapper [current_fileset]
    update_compile_order -fileset sources_1
    close_project
}

# What differs between the families. config: properties of the fabric's side, which hold whatever a
# board's preset says; clocks_in: clocks of the ports that are in use; ddr: the memory behind HP0.
proc amcflow::processing_systems {} {
    return [dict create \
        zynq7 [dict create ip processing_system7 clock FCLK_CLK0 reset FCLK_RESET0_N \
            master M_AXI_GP0 memory S_AXI_HP0 clocks_in {M_AXI_GP0_ACLK S_AXI_HP0_ACLK} \
            segments S_AXI_HP0 ddr HP0_DDR_LOWOCM config [list \
                PCW_USE_M_AXI_GP0 1 \
                PCW_USE_S_AXI_HP0 1 \
                PCW_S_AXI_HP0_DATA_WIDTH [setting memory_bits] \
                PCW_EN_CLK0_PORT 1 \
                PCW_EN_RST0_PORT 1 \
                PCW_FPGA0_PERIPHERAL_FREQMHZ [setting clock_mhz] \
            ]] \
        zynqmp [dict create ip zynq_ultra_ps_e clock pl_clk0 reset pl_resetn0 \
            master M_AXI_HPM0_FPD memory S_AXI_HP0_FPD \
            clocks_in {maxihpm0_fpd_aclk saxihp0_fpd_aclk} \
            segments SAXIGP2 ddr HP0_DDR_LOW config [list \
                PSU__USE__M_AXI_GP0 1 \
                PSU__USE__M_AXI_GP1 0 \
                PSU__USE__M_AXI_GP2 0 \
                PSU__MAXIGP0__DATA_WIDTH 32 \
                PSU__USE__S_AXI_GP2 1 \
                PSU__SAXIGP2__DATA_WIDTH [setting memory_bits] \
                PSU__USE__IRQ0 0 \
                PSU__FPGA_PL0_ENABLE 1 \
                PSU__OVERRIDE__BASIC_CLOCK 0 \
                PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ [setting clock_mhz] \
            ]]]
}

# --- cells ----------------------------------------------------------------------------------------

# Whether Vivado has files of the board, of whatever version; the newest is taken.
proc amcflow::use_board_files {} {
    set found [lsort -dictionary [get_board_parts -quiet [setting board_part]:*]]
    if {[llength $found] == 0} {
        say "note: no files of the board [setting board_part] are installed; the processing system\
            is configured from hw/boards"
        return 0
    }
    set_property board_part [lindex $found end] [current_project]
    say "note: board files [lindex $found end]"
    return 1
}

proc amcflow::add_processing_system {names with_preset} {
    add_cell ps xilinx.com:ip:[dict get $names ip]:*
    if {[setting family] eq "zynq7"} {
        apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 -config [list \
            make_external {FIXED_IO, DDR} apply_board_preset $with_preset \
            Master Disable Slave Disable] [get_bd_cells ps]
    } elseif {$with_preset} {
        apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e \
            -config {apply_board_preset 1} [get_bd_cells ps]
    }
    if {!$with_preset} { configure ps [setting ps] }
    configure ps [dict get $names config]
}

proc amcflow::add_cells {} {
    add_cell reset xilinx.com:ip:proc_sys_reset:*
    add_cell control xilinx.com:ip:smartconnect:*
    configure control {NUM_SI 1 NUM_MI 2 NUM_CLKS 1}
    add_cell memory xilinx.com:ip:smartconnect:*
    configure memory {NUM_SI 2 NUM_MI 1 NUM_CLKS 1}
    add_cell accelerator amcflow:amcflow:accelerator:*
    add_cell dma xilinx.com:ip:axi_dma:*
    set_property CONFIG.c_s_axis_s2mm_tdata_width.VALUE_SRC USER [get_bd_cells dma]
    # Simple mode: one transfer each way at a time, of less than 2^26 bytes. Buffers are aligned, as
    # PYNQ allocates them: no realignment engines.
    configure dma [list \
        c_include_sg 0 \
        c_sg_include_stscntrl_strm 0 \
        c_sg_length_width 26 \
        c_include_mm2s 1 \
        c_include_mm2s_dre 0 \
        c_m_axi_mm2s_data_width [setting memory_bits] \
        c_m_axis_mm2s_tdata_width [expr {8 * [setting beat_bytes]}] \
        c_mm2s_burst_size 16 \
        c_include_s2mm 1 \
        c_include_s2mm_dre 0 \
        c_m_axi_s2mm_data_width [setting memory_bits] \
        c_s_axis_s2mm_tdata_width [expr {8 * [setting label_bytes]}] \
        c_s2mm_burst_size 16 \
        c_addr_width 32 \
    ]
}

# The newest version of the catalog.
proc amcflow::add_cell {name pattern} {
    set found [lsort -dictionary [get_ipdefs -quiet $pattern]]
    if {[llength $found] == 0} { error "the IP catalog has no $pattern" }
    create_bd_cell -type ip -vlnv [lindex $found end] $name
}

proc amcflow::configure {cell properties} {
    set named {}
    foreach {name value} $properties { lappend named CONFIG.$name $value }
    set_property -dict $named [the_one "cell $cell" [get_bd_cells -quiet $cell]]
}

# --- connections ----------------------------------------------------------------------------------

proc amcflow::pin {name} {
    return [the_one "pin $name" [get_bd_pins -quiet $name]]
}

proc amcflow::interface {name} {
    return [the_one "interface $name" [get_bd_intf_pins -quiet $name]]
}

proc amcflow::connect_clock {clock clocks_in} {
    foreach name $clocks_in { connect_bd_net [pin ps/$clock] [pin ps/$name] }
    foreach name {
        reset/slowest_sync_clk control/aclk memory/aclk accelerator/aclk
        dma/s_axi_lite_aclk dma/m_axi_mm2s_aclk dma/m_axi_s2mm_aclk
    } {
        connect_bd_net [pin ps/$clock] [pin $name]
    }
}

proc amcflow::connect_reset {reset} {
    connect_bd_net [pin ps/$reset] [pin reset/ext_reset_in]
    foreach name {control/aresetn memory/aresetn accelerator/aresetn dma/axi_resetn} {
        connect_bd_net [pin reset/peripheral_aresetn] [pin $name]
    }
}

# Master, slave.
proc amcflow::connect_interfaces {names} {
    foreach {from to} [list \
        ps/[dict get $names master] control/S00_AXI \
        control/M00_AXI dma/S_AXI_LITE \
        control/M01_AXI accelerator/s_axi \
        dma/M_AXI_MM2S memory/S00_AXI \
        dma/M_AXI_S2MM memory/S01_AXI \
        memory/M00_AXI ps/[dict get $names memory] \
        dma/M_AXIS_MM2S accelerator/s_axis \
        accelerator/m_axis dma/S_AXIS_S2MM \
    ] {
        connect_bd_intf_net [interface $from] [interface $to]
    }
}

# --- addresses ------------------------------------------------------------------------------------

proc amcflow::assign_addresses {names} {
    foreach {segment offset} [list \
        dma/S_AXI_LITE/Reg [setting dma_address] \
        accelerator/s_axi/reg0 [setting accelerator_address] \
    ] {
        assign_bd_address -target_address_space [space ps/Data] -offset $offset \
            -range [format 0x%08X [setting address_range]] [segment $segment]
    }
    # The DMA sees the memory, and nothing else that lies behind the port.
    set memory ps/[dict get $names segments]
    set ddr $memory/[dict get $names ddr]
    foreach name {dma/Data_MM2S dma/Data_S2MM} {
        assign_bd_address -target_address_space [space $name] [segment $ddr]
        foreach other [get_bd_addr_segs -quiet $memory/*] {
            if {[file tail $other] ne [dict get $names ddr]} { exclude [space $name] $other }
        }
    }
}

# What is neither assigned nor excluded is only complained of.
proc amcflow::exclude {space segment} {
    if {[catch {exclude_bd_addr_seg -target_address_space $space $segment} why]} {
        say "note: $segment could not be excluded from $space: $why"
    }
}

proc amcflow::space {name} {
    return [the_one "address space $name" [get_bd_addr_spaces -quiet $name]]
}

proc amcflow::segment {name} {
    return [the_one "address segment $name" [get_bd_addr_segs -quiet $name]]
}

# A stream whose ends differ in width would be connected all the same, and padded.
proc amcflow::check_streams {} {
    foreach {name bytes} [list \
        dma/M_AXIS_MM2S [setting beat_bytes] accelerator/s_axis [setting beat_bytes] \
        accelerator/m_axis [setting label_bytes] dma/S_AXIS_S2MM [setting label_bytes] \
    ] {
        set found [get_property CONFIG.TDATA_NUM_BYTES [interface $name]]
        if {$found != $bytes} { error "$name has $found bytes a beat, not $bytes" }
    }
}
