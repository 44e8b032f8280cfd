"""Netlists of mapped parts as values, and their connection to a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.synth.elaborate import MODULE, Part

Net = int
"""A bit; constants are CONSTANT."""
CONSTANT: Net = 0


@dataclass(frozen=True)
class Cell:
    """kind: its type; parameters: as Yosys writes them, numbers in binary; pins: nets by port;
    name: from the HDL, "" where it has none."""

    kind: str
    parameters: Mapping[str, str]
    pins: Mapping[str, tuple[Net, ...]]
    name: str = ""

    def number(self, parameter: str, default: int = 0) -> int:
        """A parameter's value; a string of other characters than bits counts as `default`."""
        text = self.parameters.get(parameter, "")
        return int(text, 2) if text and set(text) <= {"0", "1"} else default


@dataclass(frozen=True)
class Netlist:
    """A module: its ports by name, its cells, and names of nets from the HDL."""

    inputs: Mapping[str, tuple[Net, ...]]
    outputs: Mapping[str, tuple[Net, ...]]
    cells: tuple[Cell, ...]
    names: Mapping[Net, str]


def read_netlist(file: Path) -> Netlist:
    """What `write_json` wrote of the module `part`."""
    module = json.loads(file.read_bytes())["modules"][MODULE]
    ports = {name: (p["direction"], _nets(p["bits"])) for name, p in module["ports"].items()}
    return Netlist(
        {name: nets for name, (direction, nets) in ports.items() if direction == "input"},
        {name: nets for name, (direction, nets) in ports.items() if direction == "output"},
        tuple(_cell(name, cell) for name, cell in module["cells"].items()),
        _names(module["netnames"]),
    )


def _nets(bits: list[int | str]) -> tuple[Net, ...]:
    return tuple(bit if isinstance(bit, int) else CONSTANT for bit in bits)


def _cell(name: str, cell: Mapping[str, Any]) -> Cell:
    pins = {port: _nets(bits) for port, bits in cell["connections"].items()}
    public = not cell["hide_name"] and not _is_counted(name)
    return Cell(cell["type"], cell["parameters"], pins, name if public else "")


def _names(netnames: Mapping[str, Any]) -> dict[Net, str]:
    """Of every net the shortest public name below an instance, else any; none that was counted."""
    names: dict[Net, str] = {}
    public = [n for n, net in netnames.items() if not net["hide_name"] and not _is_counted(n)]
    for name in sorted(public, key=lambda n: ("." not in n, len(n), n)):
        bits = netnames[name]["bits"]
        first = netnames[name].get("offset", 0)
        for index, bit in enumerate(bits):
            if isinstance(bit, int):
                names.setdefault(bit, f"{name}[{first + index}]" if len(bits) > 1 else name)
    return names


def _is_counted(name: str) -> bool:
    return name.startswith("_") and name.strip("_").isdecimal()


# --- the whole ----------------------------------------------------------------------------------


@dataclass
class Whole:
    """All parts as one graph: cells with their part's name, nets counted through.

    same: (from, to), nets of a part's port that are one with nets outside of it.
    """

    cells: list[tuple[str, Cell]] = field(default_factory=list)
    names: dict[Net, str] = field(default_factory=dict)
    same: list[tuple[Net, Net]] = field(default_factory=list)
    inputs: dict[Net, str] = field(default_factory=dict)
    outputs: dict[Net, str] = field(default_factory=dict)
    _nets: int = CONSTANT

    def add(self, part: Part, netlists: Mapping[str, Netlist], parts: Mapping[str, Part]) -> None:
        """The top with all that is inside it."""
        netlist = netlists[part.name]
        numbers = self._place(part, netlists, parts)
        for ports, ends in ((netlist.inputs, self.inputs), (netlist.outputs, self.outputs)):
            for name, nets in ports.items():
                ends |= {numbers(net): _bit(name, i, nets) for i, net in enumerate(nets) if net}

    def _place(
        self, part: Part, netlists: Mapping[str, Netlist], parts: Mapping[str, Part]
    ) -> Callable[[Net], Net]:
        """Adds a part and those in it; gives the function from its nets to those of the whole."""
        netlist, known = netlists[part.name], dict[Net, Net]()

        def number(net: Net) -> Net:
            if net == CONSTANT:
                return CONSTANT
            if net not in known:
                self._nets += 1
                known[net] = self._nets
            return known[net]

        for cell in netlist.cells:
            pins = {port: tuple(map(number, nets)) for port, nets in cell.pins.items()}
            if cell.kind not in part.boxes:
                self.cells.append((part.name, replace(cell, pins=pins)))
                continue
            inner = parts[part.boxes[cell.kind]]
            inside = self._place(inner, netlists, parts)
            self.same += _joined(pins, netlists[inner.name], inside)
        self.names |= {number(net): name for net, name in netlist.names.items()}
        return number


def _joined(
    pins: Mapping[str, tuple[Net, ...]], inner: Netlist, inside: Callable[[Net], Net]
) -> Iterator[tuple[Net, Net]]:
    """Nets at the ports of a part, in the direction of the data."""
    for name, nets in inner.inputs.items():
        yield from ((out, inside(net)) for out, net in zip(pins[name], nets, strict=True))
    for name, nets in inner.outputs.items():
        yield from ((inside(net), out) for out, net in zip(pins[name], nets, strict=True))


def _bit(name: str, index: int, nets: tuple[Net, ...]) -> str:
    return f"{name}[{index}]" if len(nets) > 1 else name
