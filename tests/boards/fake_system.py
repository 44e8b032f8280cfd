"""Commands for projects and block designs."""

from __future__ import annotations

import fnmatch
import json
import tkinter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.boards.catalog import TYPES, CellType
from tests.boards.fake_core import VivadoError, load_core, shape_of
from tests.boards.fake_design import Cell, Design

Options = dict[str, str]


class SystemCommands:
    """project: the open one, as its file keeps it; loaded: the design in memory, a checkpoint or
    what becomes one."""

    tcl: tkinter.Tk
    design: Design
    project: dict[str, Any]
    loaded: dict[str, Any]

    def _create_project(self, options: Options, name: str, folder: str) -> None:
        if self.project:
            raise VivadoError("a project is open already")
        path = Path(folder) / f"{name}.xpr"
        if path.exists() and "-force" not in options:
            raise VivadoError(f"{path} is there already")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.project = {"path": str(path), "part": options["-part"]}

    def _open_project(self, _: Options, path: str) -> None:
        self.project = json.loads(Path(path).read_text())
        self.loaded = {}

    def _close_project(self, _: Options) -> None:
        if not (self.project or self.loaded):
            raise VivadoError("no project is open")
        if "path" in self.project:
            Path(self.project["path"]).write_text(json.dumps(self.project))
        self.project, self.loaded = {}, {}

    def _open(self) -> dict[str, Any]:
        if "path" not in self.project:
            raise VivadoError("[Coretcl 2-88] No open project.")
        return self.project

    def _current_project(self, _: Options) -> str:
        self._open()
        return "project"

    def _current_fileset(self, _: Options) -> str:
        self._open()
        return "fileset"

    def _update_ip_catalog(self, _: Options) -> None:
        self._open()["catalog"] = {}
        for folder in self.tcl.splitlist(self.project.get("ip_repo_paths", "")):
            core = load_core(Path(folder))
            self.project["catalog"][core.vlnv] = folder

    def _get_ipdefs(self, _: Options, pattern: str) -> list[str]:
        known = [kind.vlnv for kind in TYPES.values()]
        return fnmatch.filter([*known, *self._open().get("catalog", {})], pattern)

    def _get_files(self, _: Options, name: str) -> list[str]:
        return [self.project["bd"]] if name == "system.bd" and "bd" in self._open() else []

    def _create_bd_design(self, _: Options, name: str) -> None:
        folder = Path(self._open()["path"]).with_suffix(".srcs") / "sources_1" / "bd" / name
        self.project["bd"] = str(folder / f"{name}.bd")
        self.design = Design()

    def _cell(self, name: str) -> Cell:
        if name.lstrip("/") not in self.design.cells:
            raise VivadoError(f"there is no cell {name}")
        return self.design.cells[name.lstrip("/")]

    def _create_bd_cell(self, options: Options, name: str) -> str:
        assert options["-type"] == "ip"
        vlnv = options["-vlnv"]
        kind = next((kind for kind in TYPES.values() if kind.vlnv == vlnv), None)
        if kind is None:
            if vlnv not in self._open().get("catalog", {}):
                raise VivadoError(f"the catalog has no {vlnv}")
            core = load_core(Path(self.project["catalog"][vlnv]))
            kind = CellType(vlnv, {}, {}, lambda p: shape_of(core, p))
        if name in self.design.cells:
            raise VivadoError(f"there is a cell {name} already")
        self.design.cells[name] = Cell(name, kind, dict(kind.defaults))
        return f"/{name}"

    def _apply_bd_automation(self, options: Options, name: str) -> None:
        words = self.tcl.splitlist(options["-config"])
        config = dict(zip(words[::2], words[1::2], strict=True))
        cell = self._cell(name)
        if config.get("apply_board_preset") == "1" and "board_part" not in self.project:
            raise VivadoError("there is no board whose preset could be applied")
        if options["-rule"] != f"xilinx.com:bd_rule:{cell.kind.vlnv.split(':')[2]}":
            raise VivadoError(f"{options['-rule']} does not go with /{cell.name}")
        cell.external |= {x.strip() for x in config.get("make_external", "").split(",") if x}
        if config.get("apply_board_preset") == "1":
            cell.properties["preset"] = self.project["board_part"]

    def _found(self, names: Sequence[str], pattern: str) -> list[str]:
        return [f"/{name}" for name in fnmatch.filter(names, pattern.lstrip("/"))]

    def _get_bd_cells(self, _: Options, pattern: str) -> list[str]:
        return self._found(list(self.design.cells), pattern)

    def _get_bd_pins(self, _: Options, pattern: str) -> list[str]:
        return self._found(list(self.design.pins()), pattern)

    def _get_bd_intf_pins(self, _: Options, pattern: str) -> list[str]:
        return self._found(list(self.design.interfaces()), pattern)

    def _get_bd_addr_spaces(self, _: Options, pattern: str) -> list[str]:
        return self._found(list(self.design.spaces()), pattern)

    def _get_bd_addr_segs(self, _: Options, pattern: str) -> list[str]:
        return self._found(list(self.design.segments()), pattern)

    def _connect_bd_net(self, _: Options, first: str, second: str) -> None:
        self.design.connect(first.lstrip("/"), second.lstrip("/"))

    def _connect_bd_intf_net(self, _: Options, first: str, second: str) -> None:
        self.design.link(first.lstrip("/"), second.lstrip("/"))

    def _assign_bd_address(self, options: Options, segment: str) -> None:
        numbers = [int(options[x], 0) if x in options else None for x in ("-offset", "-range")]
        space = options["-target_address_space"].lstrip("/")
        self.design.assign(space, segment.lstrip("/"), *numbers)

    def _exclude_bd_addr_seg(self, options: Options, segment: str) -> None:
        space = options["-target_address_space"].lstrip("/")
        self.design.exclude(space, segment.lstrip("/"))

    def _validate_bd_design(self, _: Options) -> None:
        self.design.validate()
        self._open()["valid"] = True

    def _save_bd_design(self, _: Options) -> None:
        path = Path(self._open()["bd"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a block design")

    def _generate_target(self, _: Options, target: str, design: str) -> None:
        if not self._open().get("valid") or not Path(design).is_file():
            raise VivadoError("the block design is not valid, or was not saved")
        assert target == "all"
        handoff = Path(self.project["path"]).with_suffix(".gen")
        handoff = handoff / "sources_1" / "bd" / "system" / "hw_handoff" / "system.hwh"
        handoff.parent.mkdir(parents=True, exist_ok=True)
        handoff.write_text("<EDKSYSTEM/>")
        self.project["generated"] = True

    def _make_wrapper(self, options: Options) -> None:
        if not {"-top", "-import"} <= options.keys() or not Path(options["-files"]).is_file():
            raise VivadoError("no wrapper is made of that")
        self._open()["wrapper"] = "system_wrapper"

    def _update_compile_order(self, options: Options) -> None:
        if self._open().get("fileset top") != self.project.get("wrapper"):
            raise VivadoError(f"{options['-fileset']} has no top")
        self.project["ordered"] = True
