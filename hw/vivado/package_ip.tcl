# Step package_ip: shell and core become one IP, amcflow:amcflow:accelerator:1.0, in `ip`.
#
# Nothing is left to inference: files, their order and types, ports, and interfaces are all given, and
# what is not as given here is an error. The top is plain Verilog, since the packager reads its ports.

proc amcflow::package_ip {} {
    global root
    if {[setting hls_verilog] ne ""} { take_hls_verilog }
    cd [in_root ip]  ;# files of a core are named from where it is
    foreach name [concat [sources_of_ip] [tables_of_ip]] { require_file src/$name }
    set core [ipx::create_core amcflow amcflow accelerator 1.0]
    set_property display_name {amcflow accelerator} $core
    set_property description "[setting model], hash [setting hash]" $core
    set_property taxonomy {/UserIP} $core
    set_property supported_families \
        [list [get_property FAMILY [get_parts [setting part]]] Production] $core

    foreach group {xilinx_verilogsynthesis xilinx_verilogbehavioralsimulation} {
        add_ip_files [ipx::add_file_group $group $core]
    }
    ipx::add_ports_from_hdl -top_level_hdl_file src/[setting top].v \
        -top_module_name [setting top] $core

    add_clock_and_reset $core
    add_stream $core s_axis slave [setting beat_bytes]
    add_stream $core m_axis master [setting label_bytes]
    add_registers $core

    ipx::create_xgui_files $core
    ipx::update_checksums $core
    ipx::check_integrity $core
    ipx::save_core $core
    cd $root
    require_file [in_root ip component.xml]
}

# --- files ----------------------------------------------------------------------------------------

# What Vitis HLS wrote, beside the shell and the adapter between them.
proc amcflow::take_hls_verilog {} {
    set folder [in_root {*}[setting hls_verilog]]
    set found [glob -nocomplain -directory $folder *.v *.dat]
    if {[llength $found] == 0} { error "no Verilog of Vitis HLS in $folder: run build.sh" }
    foreach file $found { file copy -force $file [in_root ip src] }
}

proc amcflow::hls_files {pattern} {
    if {[setting hls_verilog] eq ""} { return {} }
    set folder [in_root {*}[setting hls_verilog]]
    return [lsort [glob -nocomplain -tails -directory $folder $pattern]]
}

# In compile order: packages stand before what imports them, and the top is last.
proc amcflow::sources_of_ip {} {
    return [concat [hls_files *.v] [setting sources]]
}

# Read by $readmemh, from the folder that synthesis runs in or beside the source that reads them.
proc amcflow::tables_of_ip {} {
    return [concat [hls_files *.dat] [setting tables]]
}

proc amcflow::add_ip_files {group} {
    foreach name [sources_of_ip] {
        set type [expr {[file extension $name] eq ".sv" ? "systemVerilogSource" : "verilogSource"}]
        set_property type $type [ipx::add_file src/$name $group]
    }
    foreach name [tables_of_ip] {
        set_property type mif [ipx::add_file src/$name $group]
    }
    set_property model_name [setting top] $group
}

# --- interfaces -----------------------------------------------------------------------------------

proc amcflow::add_interface {core name kind mode ports} {
    set bus [ipx::add_bus_interface $name $core]
    set_property abstraction_type_vlnv xilinx.com:${kind}_rtl:1.0 $bus
    set_property bus_type_vlnv xilinx.com:$kind:1.0 $bus
    set_property interface_mode $mode $bus
    foreach {logical physical} $ports {
        the_one "port $physical of [setting top]" [ipx::get_ports -quiet $physical -of_objects $core]
        set_property physical_name $physical [ipx::add_port_map $logical $bus]
    }
    return $bus
}

proc amcflow::add_parameter {bus name value} {
    set_property value $value [ipx::add_bus_parameter $name $bus]
}

# One clock for all interfaces; without a frequency, which comes from the block design.
proc amcflow::add_clock_and_reset {core} {
    set reset [add_interface $core aresetn signal:reset slave {RST aresetn}]
    add_parameter $reset POLARITY ACTIVE_LOW
    set clock [add_interface $core aclk signal:clock slave {CLK aclk}]
    add_parameter $clock ASSOCIATED_BUSIF s_axi:s_axis:m_axis
    add_parameter $clock ASSOCIATED_RESET aresetn
}

proc amcflow::add_stream {core name mode bytes} {
    set ports {}
    foreach signal {tdata tvalid tready tlast} {
        lappend ports [string toupper $signal] ${name}_$signal
    }
    set bus [add_interface $core $name interface:axis $mode $ports]
    add_parameter $bus TDATA_NUM_BYTES $bytes
}

# PYNQ finds registers in a memory map of the usage `register`.
proc amcflow::add_registers {core} {
    set ports {}
    foreach signal {
        awaddr awprot awvalid awready wdata wstrb wvalid wready bresp bvalid bready
        araddr arprot arvalid arready rdata rresp rvalid rready
    } {
        lappend ports [string toupper $signal] s_axi_$signal
    }
    set bus [add_interface $core s_axi interface:aximm slave $ports]
    add_parameter $bus PROTOCOL AXI4LITE
    set block [ipx::add_address_block reg0 [ipx::add_memory_map s_axi $core]]
    set_property range [setting address_range] $block
    set_property width 32 $block
    set_property usage register $block
    set_property slave_memory_map_ref s_axi $bus
}
