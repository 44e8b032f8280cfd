"""A design's netlist, as Yosys maps it for a device, as something to simulate (rung 7).

The same parts as in `synth`, joined.  What is inside a part is not what it was; the streams between
parts, and those that a node shows of itself, become outputs of the netlist.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.paths import PROJECT_ROOT, shown
from pipeline.dataflow.integer_model import ACCUMULATOR
from pipeline.synth.elaborate import Hdl, Split
from pipeline.synth.families import Family
from pipeline.synth.joined import Joined, joined
from pipeline.verify.rtlsim import Design, Stream

CELLS = PROJECT_ROOT / "hw" / "cells"
_FAMILIES = {"xc7": ("xilinx.v", "xc7.v"), "xcup": ("xilinx.v",)}
"""Files of `CELLS` that have what the cells of a family do."""
_FLAGS = ("-CFLAGS", "-O0")
"""For g++: a netlist is much code, and few frames go through it."""
_MODULE = re.compile(r"^module (\w+)", re.MULTILINE)


def netlist_design(
    design: Design, splits: Sequence[Split], family: Family, cache: Path, scratch: Path
) -> Design:
    """The design with its netlist in place of its sources, written to `scratch`, an empty folder.

    splits: as in `synth`, that of the top last; cache: of netlists.  Streams that are not recorded,
    and accumulators, which lie inside parts, are not there any more.  Raises UserError.
    """
    models = cell_models(family)
    inner = tuple(x for x in design.inner if _survives(x))
    *others, core = splits
    nets = tuple(f"{x.signal}_{part}" for x in inner for part in ("tdata", "tvalid", "tready"))
    hdl = Hdl(
        design.top, design.sources, tuple(design.sources[0].parent / x for x in design.tables)
    )
    name = f"{design.top}_netlist"
    found = joined(hdl, [*others, replace(core, shown=nets)], family, name, cache, scratch)
    require_models(found, models)
    written = {"netlist.v": found.verilog, "top.v": _top(design.top, name, found, nets)}
    for file, text in written.items():
        (scratch / file).write_text(text)
    sources = (*models, *(scratch / file for file in written))
    return replace(design, sources=sources, tables={}, inner=inner, flags=_FLAGS)


def _survives(stream: Stream) -> bool:
    return stream.recorded and not stream.values.endswith(ACCUMULATOR)


def cell_models(family: Family) -> tuple[Path, ...]:
    """The files that say what the cells of a family do.  Raises UserError where there are none."""
    if family.name not in _FAMILIES:
        raise UserError(
            f"there are no models of the cells of {family.label}, so its netlist cannot be run",
            shown(CELLS),
            f"choose a board with one of {', '.join(sorted(_FAMILIES))}, or write them",
        )
    return tuple(CELLS / name for name in _FAMILIES[family.name])


def require_models(found: Joined, models: Sequence[Path]) -> None:
    """Verilator would name one cell; this names all.  Raises UserError."""
    known = {module for file in models for module in _MODULE.findall(file.read_text())}
    missing = sorted(found.kinds - known)
    if missing:
        raise UserError(
            f"nothing says what these cells do: {', '.join(missing)}",
            ", ".join(shown(file) for file in models),
            "write their modules there, and test them in tests/hw/test_cells.py",
        )


def _top(top: str, netlist: str, found: Joined, nets: Sequence[str]) -> str:
    """The netlist under the names of the design: what it shows are nets again."""
    inside = {net: bits for net, bits in found.outputs.items() if net in nets}
    missing = [net for net in nets if net not in inside]
    if missing:
        raise RuntimeError(f"the netlist does not show {', '.join(missing)}")
    ports = [_declared("input", *port) for port in found.inputs.items()]
    ports += [_declared("output", *port) for port in found.outputs.items() if port[0] not in nets]
    wires = "".join(f"  {_declared('', *net)};\n" for net in inside.items())
    joins = ", ".join(f".{name}({name})" for name in (*found.inputs, *found.outputs))
    head = ",\n  ".join(ports)
    return f"module {top} (\n  {head}\n);\n{wires}  {netlist} core ({joins});\nendmodule\n"


def _declared(direction: str, name: str, bits: int) -> str:
    return f"{direction} wire [{bits - 1}:0] {name}".strip()
