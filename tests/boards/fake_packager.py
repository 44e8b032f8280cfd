"""Commands of the IP packager (ipx), on one core."""

from __future__ import annotations

import tkinter
from pathlib import Path

from tests.boards.fake_core import Bus, Core, VivadoError

Options = dict[str, str]


class PackagerCommands:
    """Objects are texts: what they are, then whose, between bars."""

    tcl: tkinter.Tk
    core: Core | None = None

    def _open_core(self) -> Core:
        if self.core is None:
            raise VivadoError("no core is open")
        return self.core

    def _ipx_create_core(self, _: Options, *vlnv: str) -> str:
        self.core = Core(":".join(vlnv), str(Path(self.tcl.eval("pwd"))))
        return "ipx:core"

    def _ipx_add_file_group(self, _: Options, name: str, core: str) -> str:
        assert core == "ipx:core"
        self._open_core().groups[name] = {}
        return f"ipx:group|{name}"

    def _ipx_add_file(self, _: Options, name: str, group: str) -> str:
        files = self._open_core().groups[group.split("|")[1]]
        if name in files:
            raise VivadoError(f"{name} is there twice")
        files[name] = "unknown"
        return f"ipx:file|{group.split('|')[1]}|{name}"

    def _ipx_add_ports_from_hdl(self, options: Options, core: str) -> None:
        assert core == "ipx:core"
        file = Path(self._open_core().folder) / options["-top_level_hdl_file"]
        if not file.is_file():
            raise VivadoError(f"{file} does not exist")
        self._open_core().read_ports(file, options["-top_module_name"])

    def _ipx_get_ports(self, options: Options, name: str) -> list[str]:
        assert options["-of_objects"] == "ipx:core"
        return [name] if name in self._open_core().ports else []

    def _ipx_add_bus_interface(self, _: Options, name: str, core: str) -> str:
        assert core == "ipx:core"
        self._open_core().buses[name] = Bus(name)
        return f"ipx:bus|{name}"

    def _ipx_add_port_map(self, _: Options, logical: str, bus: str) -> str:
        return f"ipx:port|{bus.split('|')[1]}|{logical}"

    def _ipx_add_bus_parameter(self, _: Options, name: str, bus: str) -> str:
        return f"ipx:parameter|{bus.split('|')[1]}|{name}"

    def _ipx_add_memory_map(self, _: Options, name: str, core: str) -> str:
        assert core == "ipx:core"
        return f"ipx:map|{name}"

    def _ipx_add_address_block(self, _: Options, name: str, memory_map: str) -> str:
        self._open_core().blocks[memory_map.split("|")[1]] = {"name": name}
        return f"ipx:block|{memory_map.split('|')[1]}"

    def _ipx_create_xgui_files(self, _: Options, core: str) -> None:
        assert core == "ipx:core"

    _ipx_update_checksums = _ipx_check_integrity = _ipx_create_xgui_files

    def _ipx_save_core(self, _: Options, core: str) -> None:
        assert core == "ipx:core"
        self._open_core().save()

    def set_ipx(self, path: list[str], name: str, value: str) -> None:
        core = self._open_core()
        kind = path[0].removeprefix("ipx:")
        if kind == "core":
            core.properties[name] = value
        elif kind == "group":
            core.models[path[1]] = value
        elif kind == "file":
            core.groups[path[1]][path[2]] = value
        elif kind == "bus":
            core.buses[path[1]].properties[name] = value
        elif kind == "port":
            if value not in core.ports:
                raise VivadoError(f"the core has no port {value}")
            core.buses[path[1]].ports[path[2]] = value
        elif kind == "parameter":
            core.buses[path[1]].parameters[path[2]] = value
        else:
            core.blocks[path[1]][name] = value
