"""How Vivado's commands are written: their options, and how many other words they take."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.boards.fake_core import VivadoError

OPTIONS = {
    "version": "-short",
    "get_parts": "-quiet 1",
    "get_property": "2",
    "set_property": "-dict= 1-3",
    "current_project": "0",
    "current_fileset": "0",
    "ipx::create_core": "4",
    "ipx::add_file_group": "2",
    "ipx::add_file": "2",
    "ipx::add_ports_from_hdl": "-top_level_hdl_file= -top_module_name= 1",
    "ipx::get_ports": "-quiet -of_objects= 1",
    "ipx::add_bus_interface": "2",
    "ipx::add_port_map": "2",
    "ipx::add_bus_parameter": "2",
    "ipx::add_memory_map": "2",
    "ipx::add_address_block": "2",
    "ipx::create_xgui_files": "1",
    "ipx::update_checksums": "1",
    "ipx::check_integrity": "1",
    "ipx::save_core": "1",
    "create_project": "-force -part= 2",
    "open_project": "1",
    "close_project": "0",
    "get_board_parts": "-quiet 1",
    "update_ip_catalog": "-rebuild 0",
    "get_ipdefs": "-quiet 1",
    "create_bd_design": "1",
    "create_bd_cell": "-type= -vlnv= 1",
    "get_bd_cells": "-quiet 1",
    "get_bd_pins": "-quiet 1",
    "get_bd_intf_pins": "-quiet 1",
    "get_bd_addr_spaces": "-quiet 1",
    "get_bd_addr_segs": "-quiet 1",
    "apply_bd_automation": "-rule= -config= 1",
    "connect_bd_net": "2",
    "connect_bd_intf_net": "2",
    "assign_bd_address": "-target_address_space= -offset= -range= 1",
    "exclude_bd_addr_seg": "-target_address_space= 1",
    "validate_bd_design": "0",
    "save_bd_design": "0",
    "get_files": "-quiet 1",
    "generate_target": "2",
    "make_wrapper": "-files= -import -fileset= -top 0",
    "update_compile_order": "-fileset= 0",
    "set_msg_config": "-id= -new_severity= -limit= 0",
    "synth_design": "-top= -part= 0",
    "opt_design": "0",
    "place_design": "0",
    "phys_opt_design": "0",
    "route_design": "0",
    "write_checkpoint": "-force 1",
    "open_checkpoint": "1",
    "get_timing_paths": "-delay_type= -max_paths= -nworst= 0",
    "report_utilization": "-hierarchical -file= 0",
    "report_timing_summary": "-max_paths= -file= 0",
    "report_timing": "-delay_type= -max_paths= -nworst= -file= 0",
    "report_power": "-file= 0",
    "report_drc": "-file= 0",
    "write_bitstream": "-force 1",
}
"""Of every command: its flags, its options with a value (=), and how many other words it takes."""


def parsed(name: str, words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Options and other words of a command; VivadoError for what it does not know."""
    spec = OPTIONS[name].split()
    counts = [int(n) for n in spec.pop().split("-")] if spec[-1][0].isdigit() else [0]
    options, rest, waiting = {}, [], list(words)
    while waiting:
        word = waiting.pop(0)
        if f"{word}=" in spec:
            options[word] = waiting.pop(0)
        elif word in spec:
            options[word] = ""
        elif re.match(r"-[a-z]", word):
            raise VivadoError(f"{name} has no option {word}")
        else:
            rest.append(word)
    if not counts[0] <= len(rest) <= counts[-1]:
        raise VivadoError(f"{name} takes {OPTIONS[name]}, but got {' '.join(words)!r}")
    return options, rest
