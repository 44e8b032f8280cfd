"""Faults to plant in the scripts of `hw/vivado`: a file, what is there, what comes in its place,
and what the model of Vivado has to say of it."""

FAULTS = {
    "a clock is not connected": (
        *(
            "block_design.tcl",
            "control/aclk memory/aclk accelerator/aclk",
            "control/aclk memory/aclk",
        ),
        "accelerator/aclk is not connected",
    ),
    "a clock of the processing system is not connected": (
        *("block_design.tcl", "{M_AXI_GP0_ACLK S_AXI_HP0_ACLK}", "{M_AXI_GP0_ACLK}"),
        "ps/S_AXI_HP0_ACLK is not connected",
    ),
    "a reset is not connected": (
        *("block_design.tcl", "accelerator/aresetn dma/axi_resetn", "accelerator/aresetn"),
        "dma/axi_resetn is not connected",
    ),
    "a reset past the one that makes it synchronous": (
        *(
            "block_design.tcl",
            "[pin reset/peripheral_aresetn] [pin $name]",
            "[pin ps/$reset] [pin $name]",
        ),
        "accelerator/aresetn is reset by ps/FCLK_RESET0_N",
    ),
    "a reset of the other polarity": (
        *("block_design.tcl", "pin reset/peripheral_aresetn", "pin reset/peripheral_reset"),
        "reset/peripheral_reset is a reset_high, control/aresetn a reset",
    ),
    "a clock in the place of a reset": (
        *(
            "block_design.tcl",
            "[pin ps/$reset] [pin reset/ext",
            "[pin ps/FCLK_CLK0] [pin reset/ext",
        ),
        "ps/FCLK_CLK0 is a clock, reset/ext_reset_in a reset",
    ),
    "two drivers": (
        *(
            "block_design.tcl",
            "reset/slowest_sync_clk control/aclk",
            "reset/slowest_sync_clk control/aclk control/aclk",
        ),
        "control/aclk is driven by ps/FCLK_CLK0 already",
    ),
    "a direction is swapped": (
        *(
            "block_design.tcl",
            "connect_bd_net [pin ps/$clock] [pin ps/$name]",
            "connect_bd_net [pin ps/$name] [pin ps/$name]",
        ),
        "are both inputs",
    ),
    "two masters": (
        *(
            "block_design.tcl",
            "dma/M_AXIS_MM2S accelerator/s_axis",
            "dma/M_AXIS_MM2S accelerator/m_axis",
        ),
        "dma/M_AXIS_MM2S and accelerator/m_axis are both masters",
    ),
    "a stream into a memory port": (
        *("block_design.tcl", "dma/M_AXI_S2MM memory/S01_AXI", "accelerator/m_axis memory/S01_AXI"),
        "accelerator/m_axis is axis, memory/S01_AXI is aximm",
    ),
    "a stream is not connected": (
        *("block_design.tcl", "accelerator/m_axis dma/S_AXIS_S2MM \\\n", "\\\n"),
        "m_axis is not connected",
    ),
    "a port that is used twice": (
        *(
            "block_design.tcl",
            "control/M01_AXI accelerator/s_axi",
            "control/M00_AXI accelerator/s_axi",
        ),
        "is connected already",
    ),
    "a name that no cell has": (
        *("block_design.tcl", "control/M01_AXI accelerator", "control/M02_AXI accelerator"),
        "interface control/M02_AXI: there should be one, but there are 0",
    ),
    "a wrong address": (
        *(
            "block_design.tcl",
            "dma/S_AXI_LITE/Reg [setting dma_address]",
            "dma/S_AXI_LITE/Reg 0xA0000000",
        ),
        "at 0xA0000000 is not in ps/Data, 0x40000000 to 0x80000000",
    ),
    "an address twice": (
        *("block_design.tcl", "[setting accelerator_address]", "[setting dma_address]"),
        "accelerator/s_axi/reg0 at 0x40400000 overlaps dma/S_AXI_LITE/Reg",
    ),
    "an address that is not aligned": (
        *("block_design.tcl", "[setting accelerator_address]", "0x43C00100"),
        "accelerator/s_axi/reg0 cannot have 65536 bytes at 0x43C00100",
    ),
    "no address": (
        *("block_design.tcl", "accelerator/s_axi/reg0 [setting accelerator_address] \\\n", "\\\n"),
        "ps/Data has no address for ['accelerator/s_axi/reg0']",
    ),
    "a channel that does not see the memory": (
        *(
            "block_design.tcl",
            "foreach name {dma/Data_MM2S dma/Data_S2MM}",
            "foreach name {dma/Data_MM2S}",
        ),
        "dma/Data_S2MM has no address for ['ps/S_AXI_HP0/HP0_DDR_LOWOCM']",
    ),
    "another stream width": (
        *("block_design.tcl", "tdata_width [expr {8 * [setting beat_bytes]}]", "tdata_width 32"),
        "dma/M_AXIS_MM2S has 32 bits, accelerator/s_axis 8",
    ),
    "a width that the DMA does not have": (
        *("block_design.tcl", "[expr {8 * [setting label_bytes]}]", "24"),
        "CONFIG.c_s_axis_s2mm_tdata_width cannot be '24'",
    ),
    "a length register that is too wide": (
        *("block_design.tcl", "c_sg_length_width 26", "c_sg_length_width 27"),
        "CONFIG.c_sg_length_width cannot be '27'",
    ),
    "scatter and gather": (
        *("block_design.tcl", "c_include_sg 0", "c_include_sg 1"),
        "dma/m_axi_sg_aclk is not connected",
    ),
    "a misspelt property": (
        *("block_design.tcl", "PCW_USE_S_AXI_HP0 1", "PCW_USE_S_AXI_HPO 1"),
        "/ps has no parameter CONFIG.PCW_USE_S_AXI_HPO",
    ),
    "no memory port": (
        *("block_design.tcl", "PCW_USE_S_AXI_HP0 1", "PCW_USE_S_AXI_HP0 0"),
        "pin ps/S_AXI_HP0_ACLK: there should be one, but there are 0",
    ),
    "no board's memory pins": (
        *("block_design.tcl", "make_external {FIXED_IO, DDR}", "make_external {FIXED_IO}"),
        "ps/DDR is not connected",
    ),
    "cells synthesized by themselves": (
        *("block_design.tcl", "synth_checkpoint_mode None", "synth_checkpoint_mode Hierarchical"),
        "black boxes",
    ),
    "a design that was not checked": (
        *("block_design.tcl", "    validate_bd_design\n", ""),
        "the block design is not valid",
    ),
    "a file that does not exist": (
        *("package_ip.tcl", "src/[setting top].v", "src/[setting top]_top.v"),
        "amcflow_top.v does not exist",
    ),
    "a file under a wrong name": (
        *(
            "package_ip.tcl",
            "[ipx::add_file src/$name $group]\n    }\n    foreach",
            "[ipx::add_file $name $group]\n    }\n    foreach",
        ),
        "does not exist",
    ),
    "SystemVerilog as Verilog": (
        *("package_ip.tcl", '? "systemVerilogSource"', '? "verilogSource"'),
        "is of the type verilogSource",
    ),
    "a table of no type": (
        *("package_ip.tcl", "set_property type mif", "set_property type unknown"),
        "is of the type unknown",
    ),
    "a clock of one interface less": (
        *("package_ip.tcl", "s_axi:s_axis:m_axis", "s_axi:s_axis"),
        "clock aclk is not that of ['m_axis', 's_axi', 's_axis']",
    ),
    "a clock without its reset": (
        *("package_ip.tcl", "    add_parameter $clock ASSOCIATED_RESET aresetn\n", ""),
        "clock aclk has no reset",
    ),
    "a reset without a polarity": (
        *("package_ip.tcl", "    add_parameter $reset POLARITY ACTIVE_LOW\n", ""),
        "reset aresetn has no polarity",
    ),
    "a stream of the other direction": (
        *("package_ip.tcl", "s_axis slave [setting", "s_axis master [setting"),
        "s_axis: s_axis_tdata is an input, as TDATA",
    ),
    "a stream without its last signal": (
        *("package_ip.tcl", "{tdata tvalid tready tlast}", "{tdata tvalid tready}"),
        "s_axis lacks ['TLAST']",
    ),
    "registers that are memory": (
        *("package_ip.tcl", "set_property usage register", "set_property usage memory"),
        "s_axi is not AXI4-Lite with registers",
    ),
    "full AXI4": (
        *("package_ip.tcl", "PROTOCOL AXI4LITE", "PROTOCOL AXI4"),
        "s_axi is not AXI4-Lite with registers",
    ),
    "an option that a command does not have": (
        *("synthesize.tcl", "synth_design -top", "synth_design -topp"),
        "synth_design has no option -topp",
    ),
    "another part": (
        *("synthesize.tcl", "-part [setting part]", "-part xc7z010clg400-1"),
        "another top or part than the project's",
    ),
    "synthesis in another folder than the tables": (
        *("synthesize.tcl", "    cd [in_root ip src]\n", ""),
        "Synthesis failed",
    ),
    "a step on the wrong checkpoint": (
        *(
            "implement.tcl",
            "[checkpoint placed]]\n    route",
            "[checkpoint synthesized]]\n    route",
        ),
        "Routing needs a design that is placed: synthesized",
    ),
    "a checkpoint that is not written": (
        *("implement.tcl", "    write_checkpoint -force [checkpoint placed]\n", ""),
        "placed.dcp is not there",
    ),
    "reports of a design that is not routed": (
        *("report.tcl", "[checkpoint routed]", "[checkpoint placed]"),
        "the design is placed, not routed",
    ),
    "a command of a newer Tcl": (
        *("report.tcl", "    file mkdir $folder\n", "    try {file mkdir $folder} finally {}\n"),
        "invalid command name",
    ),
    "a project that is left open": (
        *("synthesize.tcl", "    close_project\n", ""),
        "something is open already",
    ),
    "no handoff": (
        *("bitstream.tcl", "{system.gen system.srcs}", "{system.srcs}"),
        "Vivado wrote no system.hwh below",
    ),
}
