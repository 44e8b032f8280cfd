"""The IP packager, as far as it is used: a core, its files, ports and interfaces, and its rules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.boards.catalog import GIB, Interface, Pin, Segment, Shape

TYPES_OF_FILES = {".sv": "systemVerilogSource", ".v": "verilogSource", ".mem": "mif", ".dat": "mif"}
LOGICAL = {
    "clock": {"CLK": "in"},
    "reset": {"RST": "in"},
    "axis": {"TDATA": "in", "TVALID": "in", "TREADY": "out", "TLAST": "in"},
    "aximm": {
        **{f"AW{x}": "in" for x in ("ADDR", "PROT", "VALID")},
        **{f"W{x}": "in" for x in ("DATA", "STRB", "VALID")},
        **{f"AR{x}": "in" for x in ("ADDR", "PROT", "VALID")},
        **{x: "in" for x in ("BREADY", "RREADY")},
        **{x: "out" for x in ("AWREADY", "WREADY", "BRESP", "BVALID")},
        **{x: "out" for x in ("ARREADY", "RDATA", "RRESP", "RVALID")},
    },
}
"""Signals of each bus with their direction at a slave."""


class VivadoError(Exception):
    """What a command says when it refuses; the message ends up in the script's error."""


@dataclass
class Bus:
    """An interface of the core, as it was described."""

    name: str
    properties: dict[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Of LOGICAL, from the type."""
        return self.properties.get("bus_type_vlnv", "::?").split(":")[2]


@dataclass
class Core:
    """A core of the packager; ports: direction and bits by name."""

    vlnv: str
    folder: str
    properties: dict[str, str] = field(default_factory=dict)
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    ports: dict[str, tuple[str, int]] = field(default_factory=dict)
    buses: dict[str, Bus] = field(default_factory=dict)
    blocks: dict[str, dict[str, str]] = field(default_factory=dict)

    def read_ports(self, file: Path, module: str) -> None:
        """Of a plain Verilog top in ANSI style."""
        text = file.read_text()
        found = re.search(rf"^module {module}\s*(#\(.*?\)\s*)?\((.*?)\);", text, re.M | re.S)
        if found is None:
            raise VivadoError(f"{file} has no module {module}")
        if file.suffix != ".v":
            raise VivadoError(f"{file} is not plain Verilog")
        pattern = r"(input|output)\s+wire\s+(?:\[(\d+):0\]\s+)?(\w+)"
        for direction, high, name in re.findall(pattern, found[2]):
            self.ports[name] = (direction.removesuffix("put"), int(high or 0) + 1)

    def save(self) -> None:
        """Write component.xml, once the core keeps the rules."""
        self._check_files()
        for bus in self.buses.values():
            self._check_bus(bus)
        used = [port for bus in self.buses.values() for port in bus.ports.values()]
        if sorted(used) != sorted(self.ports):
            odd = sorted(set(self.ports) ^ set(used)) or "one of them twice"
            raise VivadoError(f"ports and interfaces do not go together: {odd}")
        self._check_clock()
        (Path(self.folder) / "component.xml").write_text(json.dumps(asdict(self)))

    def _check_files(self) -> None:
        for group in ("xilinx_verilogsynthesis", "xilinx_verilogbehavioralsimulation"):
            files = self.groups.get(group)
            if not files:
                raise VivadoError(f"no files in {group}")
            for name, kind in files.items():
                path = Path(self.folder) / name
                if not path.is_file():
                    raise VivadoError(f"{path} does not exist")
                if kind != TYPES_OF_FILES[path.suffix]:
                    raise VivadoError(f"{name} is of the type {kind}")
            if not any(f"module {self.models.get(group)} " in _text(self, name) for name in files):
                raise VivadoError(f"the top of {group} is in none of its files")

    def _check_bus(self, bus: Bus) -> None:
        domain = "signal" if bus.kind in ("clock", "reset") else "interface"
        wanted = {
            "bus_type_vlnv": f"xilinx.com:{domain}:{bus.kind}:1.0",
            "abstraction_type_vlnv": f"xilinx.com:{domain}:{bus.kind}_rtl:1.0",
        }
        for name, value in wanted.items():
            if bus.properties.get(name) != value:
                raise VivadoError(f"{bus.name}: {name} is {bus.properties.get(name)}")
        logical = LOGICAL[bus.kind]
        if bus.ports.keys() != logical.keys():
            raise VivadoError(f"{bus.name} lacks {sorted(logical.keys() ^ bus.ports.keys())}")
        master = bus.properties["interface_mode"] == "master"
        for signal, port in bus.ports.items():
            direction = self.ports[port][0]
            if (direction == logical[signal]) == master:
                raise VivadoError(f"{bus.name}: {port} is an {direction}put, as {signal}")
        if bus.kind == "axis":
            bits = self.ports[bus.ports["TDATA"]][1]
            if bus.parameters.get("TDATA_NUM_BYTES") != str(bits // 8):
                raise VivadoError(f"{bus.name} has {bits} bits, not as it says")
        if bus.kind == "aximm":
            block = self.blocks.get(bus.properties.get("slave_memory_map_ref", ""), {})
            if bus.parameters.get("PROTOCOL") != "AXI4LITE" or block.get("usage") != "register":
                raise VivadoError(f"{bus.name} is not AXI4-Lite with registers")

    def _check_clock(self) -> None:
        """All interfaces have the clock, and the clock has the reset."""
        (clock,) = [bus for bus in self.buses.values() if bus.kind == "clock"]
        (reset,) = [bus for bus in self.buses.values() if bus.kind == "reset"]
        others = {b.name for b in self.buses.values() if b.kind in ("axis", "aximm")}
        if set(clock.parameters.get("ASSOCIATED_BUSIF", "").split(":")) != others:
            raise VivadoError(f"clock {clock.name} is not that of {sorted(others)}")
        if clock.parameters.get("ASSOCIATED_RESET") != reset.name:
            raise VivadoError(f"clock {clock.name} has no reset")
        if reset.parameters.get("POLARITY") != "ACTIVE_LOW":
            raise VivadoError(f"reset {reset.name} has no polarity")


def _text(core: Core, name: str) -> str:
    return (Path(core.folder) / name).read_text()


def load_core(folder: Path) -> Core:
    """Of a repository's component.xml."""
    values = json.loads((folder / "component.xml").read_text())
    values["ports"] = {name: tuple(port) for name, port in values["ports"].items()}
    values["buses"] = {name: Bus(**bus) for name, bus in values["buses"].items()}
    return Core(**values)


def shape_of(core: Core, _: Mapping[str, str]) -> Shape:
    """The core as a cell."""
    (clock,) = [bus.ports["CLK"] for bus in core.buses.values() if bus.kind == "clock"]
    (reset,) = [bus.ports["RST"] for bus in core.buses.values() if bus.kind == "reset"]
    pins = {clock: Pin("in", "clock", True), reset: Pin("in", "reset", True)}
    interfaces, segments = {}, {}
    for bus in core.buses.values():
        mode = bus.properties.get("interface_mode", "")
        if bus.kind == "axis":
            bits = 8 * int(bus.parameters["TDATA_NUM_BYTES"])
            interfaces[bus.name] = Interface(mode, "axis", clock, bits)
        if bus.kind == "aximm":
            interfaces[bus.name] = Interface(mode, "aximm", clock, 32)
            block = core.blocks[bus.properties["slave_memory_map_ref"]]
            size = int(block["range"])
            assert size <= GIB
            segments[f"{bus.name}/{block['name']}"] = Segment(bus.name, size)
    return Shape(pins, interfaces, segments, {})
