"""What a design takes by layer and against the board's budget, as a value and for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.boards.board import Board
from pipeline.core.progress import say
from pipeline.core.tables import print_table
from pipeline.synth.cells import Usage
from pipeline.synth.depth import Path

UNITS = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36"}
"""What boards have a budget of."""


@dataclass(frozen=True)
class Row:
    """A layer or the shell: cycles a frame that it needs, None if it has no such number."""

    name: str
    usage: Usage
    cycles: int | None
    path: Path | None


def summed(rows: Iterable[Row]) -> Usage:
    """Of all rows."""
    return sum((row.usage for row in rows), Usage())


def entry(row: Row) -> dict[str, Any]:
    """A row as JSON."""
    return {
        "name": row.name,
        **asdict(row.usage),
        "cycles": row.cycles,
        "depth": None if row.path is None else path_entry(row.path),
    }


def path_entry(path: Path) -> dict[str, Any]:
    """A path as JSON; registers with the layer they are in."""
    return {
        "levels": path.levels,
        "luts": path.luts,
        "chains": path.chains,
        "multipliers": path.multipliers,
        "carry": path.carry,
        "mux": path.mux,
        "from": ": ".join(path.start),
        "to": ": ".join(path.end),
    }


def against(used: Usage, board: Board) -> dict[str, Any]:
    """The board's budget, the shares of it in percent, and what exceeds it."""
    budget = {unit: getattr(board, unit) for unit in UNITS}
    spent = {unit: getattr(used, unit) for unit in UNITS}
    return {
        "budget": budget,
        "percent": {
            unit: round(100 * spent[unit] / most, 1) if most else None
            for unit, most in budget.items()
        },
        "exceeded": [unit for unit, most in budget.items() if spent[unit] > most],
    }


# --- for people ---------------------------------------------------------------------------------


def show(report: Mapping[str, Any]) -> None:
    """Prints the tables of a report, what they count, and what does not fit."""
    _show_usage(report)
    _show_paths(report)
    for text in notes(report):
        say(text)


def _show_usage(report: Mapping[str, Any]) -> None:
    columns = ("layer", "LUT", "of them RAM", "SRL", "FF", "DSP", "BRAM36", "cycles", "levels")
    rows = [_cells(x) for x in report["layers"]]
    rows += [_cells({**report[part], "name": part}) for part in ("core", "shell", "total")]
    budget, percent = report["budget"], report["percent"]
    rows.append(_sparse(f"budget of {report['board_name']}", budget))
    rows.append(_sparse("used, in percent", percent))
    if "whole" in report:
        rows.append(_cells({**report["whole"], "name": "in one piece"}))
    print_table(f"{report['tool']}, {report['part']}", columns, rows)


def _cells(x: Mapping[str, Any]) -> Sequence[object]:
    depth = x.get("depth")
    levels = depth["levels"] if depth else None
    memory = (x["lutram"], x["srl"], x["ff"], x["dsp"], x["bram36"])
    return (x["name"], x["lut"], *memory, x.get("cycles"), levels)


def _sparse(name: str, units: Mapping[str, Any]) -> Sequence[object]:
    """A row of the units alone that boards have budgets of."""
    return (name, units["lut"], None, None, units["ff"], units["dsp"], units["bram36"], None, None)


def _show_paths(report: Mapping[str, Any]) -> None:
    rows = [
        (x["name"], d["levels"], d["luts"], d["chains"], d["carry"], d["from"], d["to"])
        for x in [*report["layers"], {**report["shell"], "name": "shell"}]
        if (d := x["depth"])
    ]
    columns = ("layer", "levels", "LUTs", "carry chains", "their cells", "from", "to")
    print_table("the longest path of logic to a register", columns, rows)


def notes(report: Mapping[str, Any]) -> list[str]:
    """What is counted and what not; last of all what does not fit."""
    total, budget = report["total"], report["budget"]
    texts = [
        _what_is_counted(total),
        "before placement: levels are counted, and no clock follows from them",
    ]
    for unit in report["exceeded"]:
        texts.append(
            f"DOES NOT FIT {report['board_name']}: {total[unit]:,} of {budget[unit]:,} "
            f"{UNITS[unit]}" + (f" ({share:g} %)" if (share := report["percent"][unit]) else "")
        )
    return texts


def _what_is_counted(total: Mapping[str, Any]) -> str:
    if not total["shared"]:
        return "LUT: sites, one a LUT"
    alone = total["lut"] + total["shared"]
    return (
        "LUT: sites; two LUTs share one where one has no input of its own "
        f"(each in its own site: {alone:,}; an estimate, if all shared that could: "
        f"{total['packed']:,})"
    )
