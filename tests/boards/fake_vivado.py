"""Vivado's commands, as far as the scripts of `hw/vivado` use them, in a Tcl interpreter.

The scripts run as they are. Every command checks its options, the state it is called in, and the
objects it is given; what it leaves on disk stands for what Vivado leaves, so that the next step, or
the next process, needs it. As a program it takes Vivado's command line:

    python -m tests.boards.fake_vivado behaviour.json -mode batch -source build.tcl
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import sys
import time
import tkinter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.boards.behaviour import Behaviour
from tests.boards.fake_core import Core, VivadoError
from tests.boards.fake_design import Design
from tests.boards.fake_flow import FlowCommands
from tests.boards.fake_options import OPTIONS, parsed
from tests.boards.fake_packager import PackagerCommands
from tests.boards.fake_system import SystemCommands

FAMILIES = {"xc7z": "zynq", "xczu28dr": "zynquplusRFSOC", "xczu": "zynquplus", "xck26": "zynquplus"}
NEWER_TCL = ("try", "throw", "lmap", "tailcall", "coroutine", "yield", "zlib")
"""Not in Tcl 8.5, which older versions have."""


class FakeVivado(PackagerCommands, SystemCommands, FlowCommands):
    """One process of Vivado."""

    def __init__(self, behaviour: Behaviour, echo: Callable[[str], None] = print) -> None:
        self.behaviour = behaviour
        self.calls: list[str] = []
        self.design = Design()
        self.echo = echo
        self._exit: int | None = None
        self.core: Core | None = None
        self.project: dict[str, Any] = {}
        self.loaded: dict[str, Any] = {}  # the design in memory: a checkpoint, or what becomes one
        self.severity: dict[str, str] = {}
        self.tcl = tkinter.Tcl()
        self._prepare()

    def source(self, script: Path) -> int:
        """Run a script as batch mode does; the exit code."""
        before = Path.cwd()
        os.chdir(script.parent)
        try:
            self.tcl.eval(f"source {{{script}}}")
        except tkinter.TclError as error:
            if self._exit is None:
                self.echo(str(error))  # and its stack
                return 1
        finally:
            os.chdir(before)
        return self._exit or 0

    # --- the interpreter ------------------------------------------------------------------------

    def _prepare(self) -> None:
        for name in NEWER_TCL:
            self.tcl.eval(f"catch {{rename {name} {{}}}}")
        self.tcl.eval("namespace eval ipx {}")
        self.tcl.createcommand("python", self._dispatch)
        self.tcl.createcommand("echo", self.echo)
        self.tcl.eval("rename puts write")  # files are written by Tcl itself
        self.tcl.eval(
            "proc puts {args} { [expr {[llength $args] == 1 ? {echo} : {write}}] {*}$args }"
        )
        for name in [*OPTIONS, "exit"]:
            self.tcl.eval(
                f"proc {name} {{args}} {{\n"
                f"  set answer [python {name} {{*}}$args]\n"
                "  if {[lindex $answer 0]} { return -code error [lindex $answer 1] }\n"
                "  return [lindex $answer 1]\n}"
            )

    def _dispatch(self, name: str, *words: str) -> str:
        """(failed, result) as a Tcl list."""
        try:
            result = self._run(name, words)
        except VivadoError as error:
            return tcl_list(["1", str(error)])
        return tcl_list(["0", result])

    def _run(self, name: str, words: Sequence[str]) -> str:
        if name == "exit":
            self._exit = int(words[0]) if words else 0
            raise VivadoError("exit")
        self.calls.append(" ".join([name, *(_quoted(word) for word in words)]))
        if self.behaviour.hang == name:
            time.sleep(3600)
        options, rest = parsed(name, words)
        if name in self.behaviour.fail:
            self.echo(f"ERROR: {self.behaviour.fail[name]}")
            raise VivadoError(f"[Common 17-69] Command failed: {self.behaviour.fail[name]}")
        method = getattr(self, f"_{name.replace('ipx::', 'ipx_')}")
        answer = method(options, *rest)
        if answer is None:
            return ""
        return answer if isinstance(answer, str) else tcl_list(answer)

    # --- properties -----------------------------------------------------------------------------

    def _set_property(self, options: dict[str, str], *words: str) -> None:
        if "-dict" in options:
            pairs = self.tcl.splitlist(options["-dict"])
            values, target = dict(zip(pairs[::2], pairs[1::2], strict=True)), words[0]
        else:
            name, value, target = words
            values = {name: value}
        for name, value in values.items():
            self._set(target, name, value)

    def _set(self, target: str, name: str, value: str) -> None:
        if target.startswith("ipx:"):
            self.set_ipx(target.split("|"), name, value)
        elif target == "project":
            self.project[name] = value
        elif target == "fileset":
            self.project[f"fileset {name}"] = value
        elif target.endswith(".bd"):
            self.project[f"bd {name}"] = value
        else:
            self._cell(target).configure({name.removeprefix("CONFIG."): value})

    def _get_property(self, _: dict[str, str], name: str, target: str) -> str:
        plain = target.lstrip("/")
        if name == "FAMILY":
            return next(f for start, f in FAMILIES.items() if target.startswith(start))
        if name == "CONFIG.FREQ_HZ":
            return str(self._frequency(plain))
        if name == "CONFIG.TDATA_NUM_BYTES":
            return str(self.design.interfaces()[plain].bits // 8)
        if name == "SLACK":
            return target.partition(" ")[2]
        raise VivadoError(f"{target} has no property {name}")

    def _frequency(self, pin: str) -> int:
        """What the processing system makes of the clock that was asked for."""
        properties = self.design.cells["ps"].properties
        if pin.endswith("FCLK_CLK0"):
            wanted = float(properties["PCW_FPGA0_PERIPHERAL_FREQMHZ"])
            return round(1e9 / round(1000 / wanted))
        wanted = float(properties["PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"])
        return round(1_499_985_000 / round(1500 / wanted))

    # --- Vivado itself --------------------------------------------------------------------------

    def _version(self, _: dict[str, str]) -> str:
        return self.behaviour.version

    def _get_parts(self, _: dict[str, str], part: str) -> list[str]:
        return [part] if any(fnmatch.fnmatch(part, p) for p in self.behaviour.parts) else []

    def _get_board_parts(self, _: dict[str, str], pattern: str) -> list[str]:
        return fnmatch.filter(self.behaviour.boards, pattern)

    def _set_msg_config(self, options: dict[str, str]) -> None:
        if "-new_severity" in options:
            self.severity[options["-id"]] = options["-new_severity"]


def tcl_list(words: Sequence[str]) -> str:
    """Words as a Tcl list, whatever is in them."""
    return " ".join(re.sub(r"([^\w./:-])", r"\\\1", word) or "{}" for word in words)


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[^\s{}]+", word) else "{" + word + "}"


def main(arguments: Sequence[str]) -> int:
    """The program: behaviour.json, then Vivado's own command line."""
    values = json.loads(Path(arguments[0]).read_text())
    behaviour = Behaviour(**values)
    words = list(arguments[1:])
    if words == ["-version"]:
        print(behaviour.banner.format(version=behaviour.version))
        print("SW Build 3671981 on Fri Oct 14 04:59:54 MDT 2022")
        return 0
    if behaviour.silent_exit:
        return 0
    assert words[words.index("-mode") + 1] == "batch"
    vivado = FakeVivado(behaviour, lambda text: print(text, flush=True))
    code = vivado.source(Path(words[words.index("-source") + 1]).absolute())
    if behaviour.trace:
        with Path(behaviour.trace).open("a") as file:
            file.write("".join(f"{call}\n" for call in vivado.calls))
    print("INFO: [Common 17-206] Exiting Vivado at Tue Nov 24 12:00:00 2026...")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
