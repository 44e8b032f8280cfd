"""Commands of synthesis and implementation."""

from __future__ import annotations

import json
import re
import tkinter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.boards import fake_reports
from tests.boards.fake_core import Core, VivadoError, load_core

Options = dict[str, str]


class Slacks(Protocol):
    """Of a routed design, in ns; paths: whether it has any."""

    setup: float
    hold: float
    pulse: float
    paths: bool


class FlowCommands:
    """On the design in memory, whose state says which step it has had."""

    tcl: tkinter.Tk
    behaviour: Slacks
    echo: Callable[[str], None]
    project: dict[str, Any]
    loaded: dict[str, Any]
    severity: dict[str, str]

    def _synth_design(self, options: Options) -> None:
        project = self.project
        for needed in ("generated", "wrapper", "ordered"):
            if not project.get(needed):
                raise VivadoError(f"the project is not {needed}")
        if (options["-top"], options["-part"]) != (project["wrapper"], project["part"]):
            raise VivadoError("another top or part than the project's")
        if project.get("bd synth_checkpoint_mode") != "None":
            raise VivadoError("black boxes: the cells would have to be synthesized by themselves")
        (folder,) = project["catalog"].values()
        core = load_core(Path(folder))
        self._read_tables(core)
        nodes = re.findall(r"^  \w+ (node\d+) \(", _source(core, "accelerator"), re.M)
        self.loaded = {"state": "synthesized", "part": project["part"], "nodes": nodes}

    def _read_tables(self, core: Core) -> None:
        """From the folder that it runs in: none that is elsewhere is found."""
        files = core.groups["xilinx_verilogsynthesis"]
        here = Path(self.tcl.eval("pwd"))
        for name in (Path(x).name for x, kind in files.items() if kind == "mif"):
            if (here / name).is_file():
                self.echo(f"INFO: [Synth 8-3876] $readmem data file '{name}' is read successfully")
                continue
            severity = self.severity.get("Synth 8-4445", "CRITICAL WARNING")
            self.echo(f"{severity}: [Synth 8-4445] could not open $readmem data file '{name}'")
            if severity == "ERROR":
                raise VivadoError("[Common 17-69] Command failed: Synthesis failed")

    def _step(self, before: str, after: str, title: str) -> None:
        if self.loaded.get("state") != before:
            raise VivadoError(
                f"{title} needs a design that is {before}: {self.loaded.get('state')}"
            )
        self.echo(f"Starting {title} Task")
        self.loaded["state"] = after

    def _opt_design(self, _: Options) -> None:
        self._step("synthesized", "optimized", "Logic Optimization")

    def _place_design(self, _: Options) -> None:
        self._step("optimized", "placed", "Placer")
        self.echo("Phase 1 Placer Initialization")

    def _phys_opt_design(self, _: Options) -> None:
        state = str(self.loaded.get("state"))
        if state not in ("placed", "routed"):
            raise VivadoError(f"physical optimization of a design that is {state}")
        self._step(state, state, "Physical Synthesis")

    def _route_design(self, _: Options) -> None:
        self._step("placed", "routed", "Routing")

    def _write_checkpoint(self, _: Options, path: str) -> None:
        if not self.loaded:
            raise VivadoError("no design is open")
        Path(path).write_text(json.dumps(self.loaded))

    def _open_checkpoint(self, _: Options, path: str) -> None:
        if self.project or self.loaded:
            raise VivadoError("something is open already")
        self.loaded = json.loads(Path(path).read_text())

    def _routed(self) -> str:
        if self.loaded.get("state") != "routed":
            raise VivadoError(f"the design is {self.loaded.get('state')}, not routed")
        return str(self.loaded["part"])

    def _get_timing_paths(self, options: Options) -> list[str]:
        self._routed()
        slack = {"max": self.behaviour.setup, "min": self.behaviour.hold}[options["-delay_type"]]
        return [f"path {slack}"] if self.behaviour.paths else []

    def _report_utilization(self, options: Options) -> None:
        part = self._routed()
        text = fake_reports.utilization(self.loaded["nodes"], part, not part.startswith("xc7"))
        Path(options["-file"]).write_text(text)

    def _report_timing_summary(self, options: Options) -> None:
        part, b = self._routed(), self.behaviour
        Path(options["-file"]).write_text(fake_reports.timing(part, b.setup, b.hold, b.pulse))

    def _report_timing(self, options: Options) -> None:
        self._routed()
        kind = options["-delay_type"]
        slack = self.behaviour.setup if kind == "max" else self.behaviour.hold
        Path(options["-file"]).write_text(fake_reports.path(slack, kind))

    def _report_power(self, options: Options) -> None:
        Path(options["-file"]).write_text(fake_reports.power(self._routed()))

    def _report_drc(self, options: Options) -> None:
        Path(options["-file"]).write_text(f"Report DRC\n{self._routed()}\n")

    def _write_bitstream(self, _: Options, path: str) -> None:
        Path(path).write_bytes(b"a bitstream for " + self._routed().encode())


def _source(core: Core, module: str) -> str:
    """The text of the source that has a module."""
    for name in core.groups["xilinx_verilogsynthesis"]:
        path = Path(core.folder) / name
        if path.suffix in (".v", ".sv") and f"module {module} (" in path.read_text():
            return path.read_text()
    raise VivadoError(f"[Synth 8-439] module '{module}' not found")
