# Step report: utilization, timing, power and rule checks, in `output/reports`.
#
# A design that does not meet its timing ends here: it may compute anything.

proc amcflow::report {} {
    set folder [in_root output reports]
    file mkdir $folder
    open_checkpoint [require_file [checkpoint routed]]
    report_utilization -hierarchical -file [file join $folder utilization.rpt]
    report_timing_summary -max_paths 10 -file [file join $folder timing.rpt]
    report_timing -delay_type max -max_paths 1 -nworst 1 -file [file join $folder worst_path.rpt]
    report_timing -delay_type min -max_paths 1 -nworst 1 -file [file join $folder worst_hold.rpt]
    report_power -file [file join $folder power.rpt]
    report_drc -file [file join $folder drc.rpt]
    set setup [worst_slack max]
    set hold [worst_slack min]
    close_project
    if {$setup < 0} { error "timing is not met: the worst setup slack is $setup ns" }
    if {$hold < 0} { error "timing is not met: the worst hold slack is $hold ns" }
}
