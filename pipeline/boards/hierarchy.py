"""Which cells of the accelerator belong to which layer: Vivado's reports know cells only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CORE = "system_i/accelerator/inst/shell/core"
"""The core's place in the system, from below the top: block design, cell, IP, shell."""
SHELL = "system_i/accelerator"
BUFFERS = ("StreamFIFO", "WidthConverter")
"""Operators that are inserted between those of the layers."""


@dataclass(frozen=True)
class LayerCells:
    """A layer: its predicted cycles a frame, None if unknown; its cells within the core."""

    name: str
    cycles: int | None
    cells: tuple[str, ...]


def layer_cells(
    modules: Sequence[str], nodes: Sequence[Mapping[str, Any]]
) -> tuple[LayerCells, ...]:
    """The layers in the order of the data.

    modules: of the core's nodes, whose cells are `node0` and so on; nodes: of `fold`'s report, the
    same without buffers and without the label's.  What stands between two layers belongs to the
    one behind it, and what comes last to the last layer.
    """
    names, place, waiting = [str(node["layer"]) for node in nodes], 0, list[str]()
    cells: dict[str, list[str]] = {name: [] for name in names}
    for index, module in enumerate(modules):
        waiting.append(f"node{index}")
        if not module.startswith(BUFFERS) and place < len(names):
            cells[names[place]] += waiting
            place, waiting = place + 1, []
    if place < len(names):
        raise ValueError(f"{len(names)} folded nodes, but {place} in the core")
    cells[names[-1]] += waiting
    slowest = {name: max(n["cycles"] for n in nodes if n["layer"] == name) for name in cells}
    return tuple(LayerCells(name, slowest[name], tuple(found)) for name, found in cells.items())
