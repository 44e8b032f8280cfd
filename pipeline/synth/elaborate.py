"""From HDL to one flat netlist of operators a part, as text: what is mapped, and its key.

Yosys's slang front end reads a module with all below it as one flat module.  So the modules of a
split's instances are read first, one by one, and then the module that holds these instances; in it
the instances of a part become a module of their own, which is flattened.  The text of a part has
all that its cells depend on - parameters, tables, constants at its ports - and nothing else: two
parts of equal text are the same hardware.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.synth import yosys

MODULE = "part"
"""What every part's module is called in its own text."""
READ = "read_slang --ignore-assertions --allow-use-before-declare"
_LATCHES, _CHECKS = "latches.txt", "checks.txt"
_DEFINED = re.compile(r"^\s*module\s+(?:automatic\s+)?(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Hdl:
    """A top with its sources in compile order and the tables they read by relative name."""

    top: str
    sources: tuple[Path, ...]
    tables: tuple[Path, ...]


@dataclass(frozen=True)
class Split:
    """A module that is taken apart: of each part the instances, with their modules.

    No instance sets parameters.  What is in no part stays where it is.  shown: nets of the module
    that become outputs of it, for simulation.
    """

    module: str
    parts: Mapping[str, Mapping[str, str]]
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A piece to be mapped, named as in its split, or like the top for what is left there.

    text: RTLIL of the flat module `part`, and of black boxes for the parts inside it; boxes: names
    of these, by their modules.
    """

    name: str
    text: str
    boxes: Mapping[str, str]


def elaborate(hdl: Hdl, splits: Sequence[Split], work: Path) -> list[Part]:
    """The parts of a design, those of inner splits first, and last what is left of its top.

    splits: from the inner ones to that of the top; work: an empty folder.  Raises UserError for a
    file or module that is missing, for what the front end does not take, and for latches.
    """
    for file in (*hdl.sources, *hdl.tables):
        _link(file, work / file.name)
    plan = _Plan(hdl, tuple(splits))
    names = [*plan.ids.values(), hdl.top]
    commands = [*plan.reading(), *plan.flattening(), *plan.writing()]
    yosys.run(commands, work, [f"{name}.il" for name in names])
    _require_no_latches(work / _LATCHES, plan.ids)
    _require_no_faults(work / _CHECKS, plan.ids)
    parts = [(name, plan.ids[name]) for split in splits for name in split.parts]
    return [
        Part(name, _normal((work / f"{module}.il").read_text(), module), plan.boxes_of(name))
        for name, module in (*parts, (hdl.top, hdl.top))
    ]


def _link(file: Path, place: Path) -> None:
    if not file.is_file():
        raise UserError(
            f"{file.name}, which the design needs, is not there",
            str(file.parent),
            "run codegen again",
        )
    place.symlink_to(file.absolute())


@dataclass(frozen=True)
class _Plan:
    """The commands; a part's module is called by its id while the design is whole."""

    hdl: Hdl
    splits: tuple[Split, ...]

    @property
    def ids(self) -> dict[str, str]:
        """Modules of the parts, by their names."""
        names = [name for split in self.splits for name in split.parts]
        ids = {name: f"part_{re.sub(r'[^0-9A-Za-z_]', '_', name)}" for name in names}
        if len(set(ids.values())) < len(names):
            raise ValueError(f"parts of equal names: {', '.join(names)}")
        return ids

    def reading(self) -> Iterator[str]:
        """Every module once, those inside others first; then parts become modules."""
        done: set[str] = set()
        holding = {split.module for split in self.splits}
        for split in self.splits:
            wanted = {module for part in split.parts.values() for module in part.values()}
            inner = sorted(wanted - holding - done)
            if inner:
                yield self._read(inner, done)
            done |= set(inner)
            yield self._read([split.module], done)
            done.add(split.module)
            if split.shown:
                yield " ".join(["expose", *(f"{split.module}/w:{net}" for net in split.shown)])
            # submod leaves modules with memories as they are; cells are no memories to it
            yield f"memory_collect {split.module}"
            for name, instances in split.parts.items():
                cells = " ".join(f"{split.module}/c:{instance}" for instance in instances)
                yield f"submod -name {self.ids[name]} {cells}"
        if self.hdl.top not in done:
            yield self._read([self.hdl.top], done)

    def _read(self, tops: Sequence[str], done: set[str]) -> str:
        """What is done comes from the design, and must not be defined a second time."""
        texts = {file.name: file.read_text(errors="replace") for file in self.hdl.sources}
        sources = [name for name, text in texts.items() if not done & set(_DEFINED.findall(text))]
        return " ".join([READ, *(f"--top {top}" for top in tops), *sources])

    def flattening(self) -> Iterator[str]:
        """Parts are flat, and their objects have names that count from 0 in each."""
        parts = " ".join(self.ids.values())
        if parts:
            yield f"setattr -mod -set keep_hierarchy 1 {parts}"
        yield f"hierarchy -check -top {self.hdl.top}"
        yield "flatten -noscopeinfo"
        yield "opt_clean"
        latches = "t:$dlatch t:$adlatch t:$dlatchsr"
        yield f"tee -q -o {_LATCHES} select -list {latches} %u %u %co1:+[Q] w:* %i"
        yield f"tee -q -o {_CHECKS} check"
        # see hw/rtl/requantizer.sv
        yield "setattr -set keep 1 a:fabric_register"
        # a table in LUTs, as Vivado is asked for it; Yosys looks for memories of LUTs to put it in
        yield 'setattr -set rom_style "logic" a:rom_style=distributed'
        yield "setattr -unset src -unset hdlname"
        yield "setattr -mod -unset src -unset hdlname -unset top -unset keep_hierarchy"
        yield "rename -enumerate"

    def writing(self) -> Iterator[str]:
        """Inner parts first, which are black boxes in those around them."""
        for name, module in (*self.ids.items(), (self.hdl.top, self.hdl.top)):
            boxes = " ".join(
                f"={box}" for box in self.boxes_of(name)
            )  # a box is selected by `=` only
            yield f"select {module} {boxes}"
            yield f"write_rtlil -selected -sort {module}.il"
            yield "select -clear"
            yield f"blackbox {module}"

    def boxes_of(self, name: str) -> dict[str, str]:
        """The parts right inside one, or inside what is left of the top: names by modules."""
        inside = self._instances.get(name)
        if inside is None:
            nested = {module for modules in self._instances.values() for module in modules}
            inside = {split.module for split in self.splits} - nested
        found = [split for split in self.splits if split.module in inside]
        return {self.ids[part]: part for split in found for part in split.parts}

    @property
    def _instances(self) -> dict[str, set[str]]:
        """Modules of every part's instances."""
        return {
            name: set(modules.values())
            for split in self.splits
            for name, modules in split.parts.items()
        }


def _normal(text: str, module: str) -> str:
    """Without what says where a text comes from rather than what is in it.

    Nets that are one stand in an order that submod leaves to chance.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "autoidx"))]
    joined = re.compile(r"  connect ")
    ordered = (
        sorted(group) if is_joined else list(group)
        for is_joined, group in groupby(lines, lambda line: bool(joined.match(line)))
    )
    whole = "".join(f"{line}\n" for group in ordered for line in group)
    head = f"module \\{module}\n"
    if head not in whole:
        raise RuntimeError(f"Yosys made no module of the part {module}")
    return whole.replace(head, f"module \\{MODULE}\n", 1)


def _require_no_latches(found: Path, ids: Mapping[str, str]) -> None:
    """Registers that no clock moves are always a mistake here: an assignment that is not made."""
    wires = [line for line in found.read_text().splitlines() if "/" in line]
    if not wires:
        return
    named = [wire for wire in wires if "/$" not in wire] or wires
    module, _, wire = named[0].partition("/")
    raise UserError(
        f"{wire} is a latch" + (f", one of {len(named)}" if len(named) > 1 else ""),
        _where(module, ids),
        "assign it in every case, or in every cycle of a clock",
    )


def _require_no_faults(found: Path, ids: Mapping[str, str]) -> None:
    """Loops of logic, and nets with two drivers."""
    lines = re.findall(r"^Warning: (.*)$", found.read_text(), re.MULTILINE)
    if lines:
        module = re.search(r"(?:in module|Wire) (\w+)", lines[0])
        where = _where(module[1], ids) if module else "the design"
        raise UserError(f"Yosys's check: {lines[0]}", where, "mend the HDL there")


def _where(module: str, ids: Mapping[str, str]) -> str:
    return {own: name for name, own in ids.items()}.get(module, module)
