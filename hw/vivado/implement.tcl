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

# Of setup (max) or hold (min), in ns. A design without any path has no clock.
proc amcflow::worst_slack {delay} {
    set paths [get_timing_paths -delay_type $delay -max_paths 1 -nworst 1]
    if {[llength $paths] == 0} { error "no timing path was found: the clock is not constrained" }
    set slack [get_property SLACK [lindex $paths 0]]
    if {![string is double -strict $slack]} { error "the worst path has the slack '$slack'" }
    return $slack
}
