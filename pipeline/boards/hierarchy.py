"""Which cells of the accelerator belong to which layer: Vivado's reports know cells only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.codegen.rtl import DesignLayer

CORE = "system_i/accelerator/inst/shell/core"
"""The core's place in the system, from below the top: block design, cell, IP, shell."""
SHELL = "system_i/accelerator"


@dataclass(frozen=True)
class LayerCells:
    """A layer: its predicted cycles a frame, None if unknown; its cells within the core."""

    name: str
    cycles: int | None
    cells: tuple[str, ...]


def layer_cells(layers: Sequence[DesignLayer], cycles: Mapping[str, int]) -> tuple[LayerCells, ...]:
    """The layers in the order of the data, without those that hold others' cells.

    cycles: of the layers that are known to `fold`.
    """
    return tuple(
        LayerCells(layer.name, cycles.get(layer.name), tuple(layer.cells))
        for layer in layers
        if not any(_holds(layer, other) for other in layers)
    )


def _holds(layer: DesignLayer, other: DesignLayer) -> bool:
    return any(x.startswith(f"{cell}/") for cell in layer.cells for x in other.cells)
