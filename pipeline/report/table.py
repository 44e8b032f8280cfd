"""The challenge's table: widths by methods of pruning, recorded runs beside published rows."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.core.paths import shown
from pipeline.report.published import PUBLISHED
from pipeline.report.results import Result, Run

BITS = (8, 7, 6, 5, 4)
METHODS = ("none", "imp", "fmp")
GRID = tuple((bits, method) for bits in BITS for method in METHODS)

COLUMNS = (
    "bits",
    "pruning",
    "run",
    "frames",
    "eta",
    "true ratio",
    "nonzeros",
    "bit operations",
    "weight bits",
    "cost",
    "validation",
    "test",
)

Cell = tuple[int, str]
Row = tuple[object, ...]


def table_rows(runs: Sequence[Run]) -> list[Row]:
    """The rows under COLUMNS: for each cell of the grid the runs, or that there are none, then what
    was published; at the end runs of other widths."""
    rows: list[Row] = []
    for cell in GRID:
        ours = [_row(run.name, run.result) for run in runs if _cell(run.result) == cell]
        rows += ours or [(*cell, "not yet run", *[None] * (len(COLUMNS) - 3))]
        rows += [_row("published", result) for result in PUBLISHED if _cell(result) == cell]
    return rows + [_row(run.name, run.result) for run in runs if _cell(run.result) not in GRID]


def missing_cells(runs: Iterable[Run]) -> list[Cell]:
    """The cells of the grid that no run is recorded for."""
    there = {_cell(run.result) for run in runs}
    return [cell for cell in GRID if cell not in there]


def command_for(cell: Cell, models: Path, missing: Sequence[Cell]) -> str:
    """The shell command that runs a missing row; where need be, the network to prune first.

    ``models`` is the folder of the models; ``missing`` are all cells that no run is recorded for.
    """
    bits, method = cell
    if method == "none":
        return _make("data train ship", models / model_name(cell))
    prune = _make("data prune ship", models / model_name(cell))
    unpruned = (bits, "none")
    first = [command_for(unpruned, models, missing)] if unpruned in missing else []
    return " && ".join([*first, prune])


def model_name(cell: Cell) -> str:
    """The name of the model's folder of a cell: vgg10_w4a4, vgg10_w4a4_fmp."""
    bits, method = cell
    return f"vgg10_w{bits}a{bits}" + ("" if method == "none" else f"_{method}")


def _make(targets: str, model: Path) -> str:
    return f"make {targets} {shlex.quote(f'MODEL={shown(model)}')}"


def _cell(result: Result) -> Cell:
    return result.bits, result.method


def _row(name: str, result: Result) -> Row:
    return (
        result.bits,
        result.method,
        name,
        result.frames,
        result.eta,
        result.true_ratio,
        result.nonzeros,
        result.bit_operations,
        result.weight_bits,
        result.cost,
        None if result.validation is None else f"{100 * result.validation:.2f} %",
        f">= {100 * result.test:g} %" if result.at_least else f"{100 * result.test:.2f} %",
    )
