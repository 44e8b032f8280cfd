"""A block design and its rules: what may be connected to what, and what may not be left open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.boards.catalog import CellType, Interface, Pin, Segment, Shape
from tests.boards.fake_core import VivadoError

SMALLEST_RANGE = 4096


@dataclass
class Cell:
    """A cell with its configuration."""

    name: str
    kind: CellType
    properties: dict[str, str]
    external: set[str] = field(default_factory=set)

    @property
    def shape(self) -> Shape:
        """With what is configured by now."""
        return self.kind.shape(self.properties)

    def configure(self, values: dict[str, str]) -> None:
        """Set properties; Vivado refuses unknown names and values."""
        for name, value in values.items():
            allowed = self.kind.allowed.get(name)
            if allowed is None:
                raise VivadoError(f"/{self.name} has no parameter CONFIG.{name}")
            if not (allowed(value) if callable(allowed) else value in allowed):
                raise VivadoError(f"/{self.name}: CONFIG.{name} cannot be '{value}'")
            self.properties[name] = value


@dataclass
class Design:
    """Cells, nets (a driver and its sinks), interface connections, and addresses.

    addresses: (space, segment) to its offset and bytes; excluded: the same without them.
    """

    cells: dict[str, Cell] = field(default_factory=dict)
    nets: dict[str, set[str]] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)
    addresses: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    excluded: set[tuple[str, str]] = field(default_factory=set)

    # --- what is there --------------------------------------------------------------------------

    def pins(self) -> dict[str, Pin]:
        """All pins by path."""
        return {f"{c.name}/{n}": p for c in self.cells.values() for n, p in c.shape.pins.items()}

    def interfaces(self) -> dict[str, Interface]:
        """All interfaces by path."""
        cells = self.cells.values()
        return {f"{c.name}/{n}": x for c in cells for n, x in c.shape.interfaces.items()}

    def segments(self) -> dict[str, Segment]:
        """All segments of slaves by path; their interfaces by path too."""
        return {
            f"{c.name}/{name}": Segment(f"{c.name}/{x.interface}", x.bytes, x.base)
            for c in self.cells.values()
            for name, x in c.shape.segments.items()
        }

    def spaces(self) -> dict[str, tuple[int, int]]:
        """Address spaces of masters by path, and where they reach."""
        cells = self.cells.values()
        return {f"{c.name}/{n}": window for c in cells for n, window in c.shape.windows.items()}

    # --- connections ----------------------------------------------------------------------------

    def connect(self, first: str, second: str) -> None:
        """Two pins: one drives, both are of the same kind, and the sink has no other driver."""
        pins = self.pins()
        ends = {pins[name].direction: name for name in (first, second)}
        if len(ends) != 2:
            raise VivadoError(f"{first} and {second} are both {pins[first].direction}puts")
        driver, sink = ends["out"], ends["in"]
        if pins[driver].kind != pins[sink].kind:
            raise VivadoError(f"{driver} is a {pins[driver].kind}, {sink} a {pins[sink].kind}")
        for other, sinks in self.nets.items():
            if sink in sinks:
                raise VivadoError(f"{sink} is driven by {other} already")
        self.nets.setdefault(driver, set()).add(sink)

    def link(self, first: str, second: str) -> None:
        """Two interfaces: master and slave of one bus, and both free."""
        found = self.interfaces()
        ends = {found[name].mode: name for name in (first, second)}
        if len(ends) != 2:
            raise VivadoError(f"{first} and {second} are both {found[first].mode}s")
        master, slave = ends["master"], ends["slave"]
        if found[master].bus != found[slave].bus:
            raise VivadoError(f"{master} is {found[master].bus}, {slave} is {found[slave].bus}")
        for link in self.links:
            if {master, slave} & set(link):
                raise VivadoError(f"{link} is connected already")
        self.links.append((master, slave))

    # --- addresses ------------------------------------------------------------------------------

    def assign(self, space: str, name: str, offset: int | None, size: int | None) -> None:
        """Place a segment in a master's space; fixed ones have their own place."""
        segment = self.segments()[name]
        offset = segment.base if offset is None else offset
        size = segment.bytes if size is None else size
        if offset is None:
            raise VivadoError(f"{name} needs an offset")
        low, high = self.spaces()[space]
        if not (low <= offset and offset + size <= high):
            raise VivadoError(f"{name} at 0x{offset:X} is not in {space}, 0x{low:X} to 0x{high:X}")
        if offset % size or size < SMALLEST_RANGE or size > max(segment.bytes, SMALLEST_RANGE):
            raise VivadoError(f"{name} cannot have {size} bytes at 0x{offset:X}")
        if segment.base is not None and (offset, size) != (segment.base, segment.bytes):
            raise VivadoError(f"{name} lies at 0x{segment.base:X}")
        if name not in self.reachable(space):
            raise VivadoError(f"{space} has no way to {name}")
        for (other, taken), (start, length) in self.addresses.items():
            if other == space and start < offset + size and offset < start + length:
                raise VivadoError(f"{name} at 0x{offset:X} overlaps {taken}")
        self.addresses[space, name] = (offset, size)

    def exclude(self, space: str, name: str) -> None:
        """Say that a master does not use a segment that it could reach."""
        if (space, name) in self.addresses or name not in self.reachable(space):
            raise VivadoError(f"{name} cannot be excluded from {space}")
        self.excluded.add((space, name))

    def reachable(self, space: str) -> set[str]:
        """Segments that a master's space gets to, through any interconnect."""
        cell, _, name = space.partition("/")
        shape = self.cells[cell].shape
        masters = [f"{cell}/{x}" for x, i in shape.interfaces.items() if i.space == name]
        slaves = {slave for master in masters for slave in self._slaves_of(master)}
        return {path for path, segment in self.segments().items() if segment.interface in slaves}

    def _slaves_of(self, master: str) -> Iterator[str]:
        for start, slave in self.links:
            if start != master:
                continue
            cell = self.cells[slave.partition("/")[0]]
            if "smartconnect" not in cell.kind.vlnv:
                yield slave
                continue
            for name, interface in cell.shape.interfaces.items():
                if interface.mode == "master":
                    yield from self._slaves_of(f"{cell.name}/{name}")

    # --- the whole ------------------------------------------------------------------------------

    def validate(self) -> None:
        """Everything at once, as Vivado does before it generates."""
        self._check_open_ends()
        for master, slave in self.links:
            self._check_clocks(master, slave)
            self._check_widths(master, slave)
        self._check_resets()
        for space in self.spaces():
            mapped = {name for owner, name in self.addresses if owner == space}
            mapped |= {name for owner, name in self.excluded if owner == space}
            lacking = self.reachable(space) - mapped
            if lacking:
                raise VivadoError(f"{space} has no address for {sorted(lacking)}")
            if not mapped:
                raise VivadoError(f"{space} is empty")

    def _check_open_ends(self) -> None:
        driven = {sink for sinks in self.nets.values() for sink in sinks}
        for name, pin in self.pins().items():
            if pin.required and name not in driven:
                raise VivadoError(f"{name} is not connected")
        linked = {end for link in self.links for end in link}
        for name, interface in self.interfaces().items():
            cell, _, own = name.partition("/")
            if interface.required and name not in linked | {
                f"{cell}/{x}" for x in self.cells[cell].external & {own}
            }:
                raise VivadoError(f"{name} is not connected")

    def _clock(self, interface: str) -> str:
        cell = interface.partition("/")[0]
        pin = f"{cell}/{self.interfaces()[interface].clock}"
        return next((driver for driver, sinks in self.nets.items() if pin in sinks), "nothing")

    def _check_clocks(self, master: str, slave: str) -> None:
        first, second = self._clock(master), self._clock(slave)
        if first != second:
            raise VivadoError(f"{master} is clocked by {first}, {slave} by {second}")

    def _check_widths(self, master: str, slave: str) -> None:
        """An interconnect adapts; whatever else is connected directly has equal widths."""
        found = self.interfaces()
        bits = found[master].bits, found[slave].bits
        if 0 not in bits and bits[0] != bits[1]:
            raise VivadoError(f"{master} has {bits[0]} bits, {slave} {bits[1]}")

    def _check_resets(self) -> None:
        """Resets of the fabric come synchronous to its clock: from the cell that makes them so."""
        for driver, sinks in self.nets.items():
            if self.pins()[driver].kind != "reset":
                continue
            for sink in sorted(sinks):
                of_reset = "proc_sys_reset" in self.cells[sink.partition("/")[0]].kind.vlnv
                from_reset = "proc_sys_reset" in self.cells[driver.partition("/")[0]].kind.vlnv
                if of_reset == from_reset:
                    raise VivadoError(f"{sink} is reset by {driver}")
