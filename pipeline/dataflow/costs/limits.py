"""An estimate against the board's budget: what fits, what limits, and what that layer takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.dataflow.costs.cost import UNITS, Cost, summed
from pipeline.dataflow.costs.estimate import Row


def entry(rows: Sequence[Row], budget: Cost, board: str) -> dict[str, Any]:
    """As JSON: costs of all rows, shares of the budget in percent, and what limits."""
    total = summed(row.cost for row in rows)
    shares = total.shares(budget)
    unit, layer = limiting(rows, budget)
    return {
        "board": board,
        "layers": [
            {"name": row.name, "engine": row.engine, **_rounded(row.cost), **_share(row, budget)}
            for row in rows
        ],
        "total": _rounded(total),
        "budget": asdict(budget),
        "percent": {x: _percent(share) for x, share in shares.items()},
        "exceeded": [x for x, share in shares.items() if share > 1],
        "limits": {"unit": unit, "layer": layer.name, "used": _rounded(layer.cost)[unit]},
    }


def limiting(rows: Sequence[Row], budget: Cost) -> tuple[str, Row]:
    """The unit of which the largest part of the budget is taken, and the layer that takes most."""
    shares = summed(row.cost for row in rows).shares(budget)
    unit = max(UNITS, key=lambda x: shares[x])
    return unit, max(rows, key=lambda row: float(getattr(row.cost, unit)))


def of_nonzeros(layer: str, nonzeros: int, sums: int) -> str:
    """What the sums of a layer that skips zeros take for each weight."""
    return (
        f"{layer}: {sums:,} LUT for the sums of {nonzeros:,} weights other than 0, "
        f"{sums / max(1, nonzeros):.2f} for each, which a pruned one would save"
    )


def compared(total: Cost, budget: Cost) -> str:
    """A total against a budget, for people."""
    own, most = _rounded(total), asdict(budget)
    return ", ".join(f"{own[x]:,g} of {most[x]:,g} {label}" for x, label in UNITS.items())


def _rounded(cost: Cost) -> dict[str, float]:
    return {"lut": round(cost.lut), "dsp": round(cost.dsp), "bram36": round(2 * cost.bram36) / 2}


def _share(row: Row, budget: Cost) -> dict[str, float]:
    """Of the unit of which it takes the largest part."""
    return {"percent": _percent(max(row.cost.shares(budget).values()))}


def _percent(share: float) -> float:
    return round(100 * share, 1)
