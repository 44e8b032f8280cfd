# Step synthesize: the whole system at once, in this process, to `vivado/synthesized.dcp`.
#
# Vivado reads a table of $readmemh from the folder it runs in, or beside the source, and only warns
# where it finds none: the memory is then empty. So it runs where the tables are, and the warning is
# an error here.

proc amcflow::synthesize {} {
    global root
    open_project [in_root vivado system.xpr]
    foreach id {{Synth 8-4445} {Synth 8-6859}} {  ;# no table; a net with two drivers
        set_msg_config -id $id -new_severity ERROR
    }
    set_msg_config -id {Synth 8-3876} -limit 10000  ;# a table was read
    cd [in_root ip src]
    synth_design -top system_wrapper -part [setting part]
    cd $root
    write_checkpoint -force [checkpoint synthesized]
    close_project
}
