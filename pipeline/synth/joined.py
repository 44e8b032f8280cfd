"""A design's mapped parts as one Verilog text, for simulation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.synth import yosys
from pipeline.synth.elaborate import MODULE, Hdl, Part, Split, elaborate
from pipeline.synth.families import Family
from pipeline.synth.mapping import map_parts
from pipeline.synth.netlist import Netlist, read_netlist

VERILOG = "netlist.v"


@dataclass(frozen=True)
class Joined:
    """verilog: a module a part, the top last; kinds: the cells that occur in it; inputs, outputs:
    bits of the top's ports by name."""

    verilog: str
    kinds: frozenset[str]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


def joined(
    hdl: Hdl, splits: Sequence[Split], family: Family, top: str, cache: Path, scratch: Path
) -> Joined:
    """Maps a design part by part, as `synthesise` does, and calls its top's module `top`.

    cache: folder of netlists; scratch: an empty folder.  Raises UserError.
    """
    works = [scratch / name for name in ("elaborate", "join")]
    for work in works:
        work.mkdir()
    parts = elaborate(hdl, splits, works[0])
    files = map_parts(parts, family, cache, scratch).netlists
    yosys.run(list(_joining(parts, files, top)), works[1], [VERILOG])
    netlists = {name: read_netlist(file) for name, file in files.items()}
    own = netlists[parts[-1].name]
    return Joined(
        (works[1] / VERILOG).read_text(),
        frozenset(_kinds(parts, netlists)),
        {name: len(nets) for name, nets in own.inputs.items()},
        {name: len(nets) for name, nets in own.outputs.items()},
    )


def _joining(parts: Sequence[Part], files: Mapping[str, Path], top: str) -> Iterator[str]:
    """Commands: every part under the name that it has in the part around it."""
    modules = {name: module for part in parts for module, name in part.boxes.items()}
    modules[parts[-1].name] = top
    for part in parts:
        yield f"read_json {files[part.name].absolute()}"
        yield f"rename {MODULE} {modules[part.name]}"
    yield f"write_verilog -noattr {VERILOG}"


def _kinds(parts: Sequence[Part], netlists: Mapping[str, Netlist]) -> Iterator[str]:
    for part in parts:
        yield from (x.kind for x in netlists[part.name].cells if x.kind not in part.boxes)
