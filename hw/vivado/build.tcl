# Builds the bitstream of this folder; results are in `output`.
#
#     vivado -mode batch -notrace -source build.tcl
#
# Every step starts from files and ends with files, so that a build that was ended goes on with the
# step it was in. What a finished step leaves is a mark in `done`, which holds the digest of the
# sources: marks of other sources do not count. Delete `done` to build everything again.
# Plain Tcl 8.5, which is what the oldest supported Vivado runs.

set root [file dirname [file normalize [info script]]]
cd $root
source settings.tcl
foreach name {common package_ip block_design synthesize implement report bitstream} {
    source tcl/$name.tcl
}

if {[catch amcflow::require_vivado message]} {
    puts "ERROR: $message"
    exit 1
}
amcflow::run_steps {package_ip block_design synthesize place route report bitstream}
