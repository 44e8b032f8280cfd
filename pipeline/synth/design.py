"""Synthesises a whole accelerator, layer by layer, with the shell around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.synth.cells import usage
from pipeline.synth.depth import longest_paths
from pipeline.synth.elaborate import Hdl, Part, Split, elaborate
from pipeline.synth.families import Family
from pipeline.synth.mapping import map_parts
from pipeline.synth.netlist import Netlist, Whole, read_netlist
from pipeline.synth.report import Row


@dataclass(frozen=True)
class Synthesis:
    """rows: one a part, in data order, what is left of the top last; fresh: parts that were mapped
    now; netlists: files of all."""

    rows: tuple[Row, ...]
    fresh: tuple[str, ...]
    netlists: Mapping[str, Path]


def synthesise(
    hdl: Hdl, splits: Sequence[Split], family: Family, cache: Path, scratch: Path
) -> Synthesis:
    """Maps a design part by part; an empty list of splits maps it in one piece.

    cache: folder of netlists; scratch: an empty folder.  Raises UserError.
    """
    work = scratch / "elaborate"
    work.mkdir()
    parts = elaborate(hdl, splits, work)
    mapped = map_parts(parts, family, cache, scratch)
    netlists = {name: read_netlist(file) for name, file in mapped.netlists.items()}
    rows = _rows(parts, netlists)
    return Synthesis(tuple(rows), mapped.fresh, mapped.netlists)


def _rows(parts: Sequence[Part], netlists: Mapping[str, Netlist]) -> list[Row]:
    whole = Whole()
    whole.add(parts[-1], netlists, {part.name: part for part in parts})
    paths = longest_paths(whole)
    used = {part.name: usage(netlists[part.name].cells, part.boxes) for part in parts}
    return [Row(part.name, used[part.name], None, paths.get(part.name)) for part in parts]
