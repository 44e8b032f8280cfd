"""What a zero saves: LUTs of one layer over its share of zeros, at several rates.

    python -m pipeline.bench.zeros

da4ml (`pip install -e .[bench]`) stands beside it: the best known compiler for constant matrices.
Writes build/bench/zeros.json and zeros.png.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.core.atomic import write_json
from pipeline.core.cli import guarded
from pipeline.core.paths import PROJECT_ROOT, shown
from pipeline.core.progress import progress, say
from pipeline.core.tables import print_table
from pipeline.dataflow.zeros.planning import lut_sites, plan

OUTPUTS, INPUTS, BITS = 64, 192, 4
"""Of a convolution of VGG10: 64 channels, a kernel of 3 over 64 channels."""
SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.995)
CYCLES = (1, 2, 4, 8, 16, 32)
"""Between positions; the engine of a layer serves several outputs by turns where it has time."""
DA4ML = "da4ml"
SEED = 1


def weights_with(share: float) -> NDArray[np.int64]:
    """(outputs, inputs) random weights, of which this share is 0."""
    rng = np.random.default_rng(SEED)
    most = 2 ** (BITS - 1) - 1
    found = rng.integers(1, most + 1, (OUTPUTS, INPUTS)) * rng.choice([-1, 1], (OUTPUTS, INPUTS))
    zeros = rng.permutation(found.size)[: round(share * found.size)]
    found.reshape(-1)[zeros] = 0
    return found


def measure(shares: Sequence[float] = SHARES, cycles: Sequence[int] = CYCLES) -> dict[str, Any]:
    """LUT sites of the sums as they are planned, by share and cycles; da4ml's estimate for one
    cycle beside them, where it is installed."""
    rows = []
    with progress("planning layers", len(shares), "shares of zeros") as bar:
        for share in shares:
            weights = weights_with(share)
            rows.append(
                {
                    "share": share,
                    "nonzeros": int(np.count_nonzero(weights)),
                    "lut": {str(n): lut_sites(plan(weights, BITS, n)) for n in cycles},
                    DA4ML: of_da4ml(weights),
                }
            )
            bar.advance()
    return {"outputs": OUTPUTS, "inputs": INPUTS, "bits": BITS, "rows": rows}


def of_da4ml(weights: NDArray[np.int64]) -> int | None:
    """LUTs that da4ml (C. Sun et al., 2025) estimates for the same products in one cycle."""
    if importlib.util.find_spec(DA4ML) is None:
        return None
    from da4ml.trace import FixedVariableArray, comb_trace  # noqa: PLC0415  (an extra)

    inputs = weights.shape[1]
    unsigned, none = np.zeros(inputs, np.bool_), np.zeros(inputs, np.int64)
    entering = FixedVariableArray.from_kif(unsigned, none + BITS, none)
    return round(comb_trace(entering, entering @ weights.T.astype(np.float64)).cost)


def columns(result: Mapping[str, Any]) -> tuple[str, ...]:
    cycles = result["rows"][0]["lut"]
    return ("zeros", "weights left", *(f"{n} cycles" for n in cycles), "da4ml, 1 cycle")


def rows(result: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """A row a share of zeros."""
    for row in result["rows"]:
        other = "not installed" if row[DA4ML] is None else row[DA4ML]
        yield f"{row['share']:.1%}", row["nonzeros"], *row["lut"].values(), other


def figure(result: Mapping[str, Any]) -> Figure:
    """LUTs over the share of zeros, a line for each number of cycles."""
    found = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = found.subplots()
    left = [100 * (1 - row["share"]) for row in result["rows"]]
    for cycles in result["rows"][0]["lut"]:
        sites = [row["lut"][cycles] for row in result["rows"]]
        axes.plot(left, sites, marker="o", markersize=4, label=f"{cycles} cycles a position")
    if result["rows"][0][DA4ML] is not None:
        sites = [row[DA4ML] for row in result["rows"]]
        axes.plot(left, sites, "k--", marker="x", label="da4ml, 1 cycle a position")
    axes.set(
        xlabel="weights that are not 0 (%)",
        ylabel=f"LUT sites of {OUTPUTS} sums of {INPUTS} products",
        xscale="log",
        yscale="log",
    )
    axes.legend()
    return found


def bench(out: Path) -> None:
    """Measure, print, note and draw."""
    result = measure()
    title = f"LUT sites of {OUTPUTS} sums of {INPUTS} products, {BITS} bits, as planned"
    print_table(title, columns(result), list(rows(result)))
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "zeros.json", result)
    figure(result).savefig(out / "zeros.png", dpi=150)
    say(f"wrote {shown(out / 'zeros.json')} and zeros.png")


if __name__ == "__main__":
    sys.exit(guarded(lambda: bench(PROJECT_ROOT / "build" / "bench"), debug=False))
