# Step bitstream: accelerator.bit, .hwh and .json, in `output`.
#
# PYNQ takes the .hwh beside the .bit; accelerator.json says what the bitstream is of, and holds its
# SHA-256.

proc amcflow::bitstream {} {
    set bitstream [in_root output accelerator.bit]
    file mkdir [in_root output]
    open_checkpoint [require_file [checkpoint routed]]
    write_bitstream -force $bitstream
    close_project
    require_file $bitstream
    file copy -force [hardware_handoff] [in_root output accelerator.hwh]
    write_identity [sha256 $bitstream]
}

# Where the block design left it: in .gen, and in .srcs of a project that is set up so.
proc amcflow::hardware_handoff {} {
    set place {sources_1 bd system hw_handoff system.hwh}
    set found {}
    foreach folder {system.gen system.srcs} {
        set path [in_root vivado $folder {*}$place]
        if {[file isfile $path]} { lappend found $path }
    }
    if {[llength $found] == 0} { error "Vivado wrote no system.hwh below [in_root vivado]" }
    return [lindex $found 0]
}

# What is known of the clock is what the processing system can make of the one that was asked for.
proc amcflow::write_identity {digest} {
    set clock [expr {[read_file [in_root vivado clock_hz]] / 1e6}]
    set lines {}
    foreach {name value} [list \
        model [setting model] hash [setting hash] board [setting board] part [setting part] \
        backend [setting backend] project [read_file [in_root digest]] bitstream_sha256 $digest \
        tool "Vivado [version -short]" \
    ] {
        lappend lines " \"$name\": \"[string map {\\ \\\\ \" \\\"} $value]\""
    }
    lappend lines " \"clock_mhz\": $clock"
    write_file [in_root output accelerator.json] "{\n[join $lines ",\n"]\n}"
}

# Tcl has none. Vivado's libraries, which it puts before the system's, are not for other programs.
proc amcflow::sha256 {path} {
    foreach command [list \
        [list env -u LD_LIBRARY_PATH sha256sum $path] \
        [list sha256sum $path] \
        [list shasum -a 256 $path] \
        [list certutil -hashfile $path SHA256] \
    ] {
        if {[catch {exec {*}$command} answer]} { continue }
        if {[regexp {\m[0-9a-fA-F]{64}\M} $answer digest]} { return [string tolower $digest] }
    }
    error "no program was found that computes a SHA-256: sha256sum, shasum or certutil"
}
