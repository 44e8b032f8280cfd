# Steps place and route: to `vivado/placed.dcp` and `vivado/routed.dcp`.

proc amcflow::place {} {
    open_checkpoint [require_file [checkpoint synthesized]]
    opt_design
    place_design
    phys_opt_design
    write_checkpoint -force [checkpoint placed]
    close_project
}

proc amcflow::route {} {
    open_checkpoint [require_file [checkpoint placed]]
    route_design
    if {[worst_slack max] < 0} { phys_opt_design }
    write_checkpoint -force [checkpoint routed]
    close_project
}

# Of setup (max) or hold (min), in ns. A design whose clock nobody knows has no path, or an endless
# slack.
proc amcflow::worst_slack {delay} {
    set paths [get_timing_paths -delay_type $delay -max_paths 1 -nworst 1]
    set slack none
    if {[llength $paths] > 0} { set slack [get_property SLACK [lindex $paths 0]] }
    if {![regexp {^-?[0-9]+(\.[0-9]+)?$} $slack]} {
        error "the clock is not constrained: the worst slack is $slack"
    }
    return $slack
}
