# What the steps share: settings, marks, and errors that name what was looked for.
#
# Lines that begin with AMCFLOW are read by whoever started this. Procedures have a namespace of their
# own, where Vivado's commands are found behind them.

namespace eval amcflow {}

# The array that settings.tcl fills.
proc amcflow::setting {name} {
    global settings
    if {![info exists settings($name)]} { error "settings.tcl has no $name" }
    return $settings($name)
}

proc amcflow::in_root {args} {
    global root
    return [file join $root {*}$args]
}

proc amcflow::say {text} {
    puts "AMCFLOW $text"
    flush stdout
}

# --- steps ----------------------------------------------------------------------------------------

# Runs those that have no mark, in this order. An error ends everything with exit code 1.
proc amcflow::run_steps {steps} {
    set number 0
    foreach step $steps {
        incr number
        set place "step $number/[llength $steps] $step"
        if {[is_done $step]} {
            say "$place was done before"
            continue
        }
        say "$place begins"
        if {[catch {$step} message options]} {
            puts [dict get $options -errorinfo]
            say "$place failed: [lindex [split $message \n] 0]"
            exit 1
        }
        mark_done $step
        say "$place done"
    }
}

proc amcflow::is_done {step} {
    set mark [in_root done $step]
    return [expr {[file exists $mark] && [read_file $mark] eq [read_file [in_root digest]]}]
}

# Renamed into place, so that no kill leaves half a mark.
proc amcflow::mark_done {step} {
    file mkdir [in_root done]
    set new [in_root done .$step]
    write_file $new [read_file [in_root digest]]
    file rename -force $new [in_root done $step]
}

# --- files and objects ----------------------------------------------------------------------------

proc amcflow::read_file {path} {
    set channel [open $path r]
    set text [string trim [read $channel]]
    close $channel
    return $text
}

proc amcflow::write_file {path text} {
    set channel [open $path w]
    puts $channel $text
    close $channel
}

proc amcflow::require_file {path} {
    if {![file isfile $path]} { error "$path is not there" }
    return $path
}

# Vivado answers a search in vain with an empty list and a warning, and goes on.
proc amcflow::the_one {what found} {
    if {[llength $found] != 1} { error "$what: there should be one, but there are [llength $found]" }
    return [lindex $found 0]
}

proc amcflow::checkpoint {name} {
    return [in_root vivado $name.dcp]
}

# --- Vivado itself --------------------------------------------------------------------------------

proc amcflow::require_vivado {} {
    if {[info commands version] eq ""} { error "this is Tcl, but not Vivado's" }
    set found [version -short]
    if {[package vcompare [release $found] [setting vivado_oldest]] < 0} {
        error "Vivado $found is older than [setting vivado_oldest]"
    }
    if {[llength [get_parts -quiet [setting part]]] == 0} {
        error "this Vivado does not have the part [setting part]: add its family to the installation"
    }
}

# "2023.1.1_AR12345" -> 2023.1
proc amcflow::release {version} {
    if {![regexp {^[0-9]+\.[0-9]+} $version number]} { error "Vivado's version is $version" }
    return $number
}
