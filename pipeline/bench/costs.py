"""How far the estimates of `fold` are from what Yosys finds, layer by layer.

    python -m pipeline.bench.costs
    python -m pipeline.bench.costs --case models/vgg10_tiny hardware.engine=dense

Of a case every layer is synthesised for the board of its model; netlists are kept by their hash, so
that only what has changed is made again.  Writes build/bench/costs.json.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.boards.board import load_board
from pipeline.codegen import rtl
from pipeline.codegen.nodes import generate
from pipeline.core.atomic import write_json
from pipeline.core.cli import guarded
from pipeline.core.config import load_config
from pipeline.core.paths import PROJECT_ROOT, shown
from pipeline.core.progress import say
from pipeline.core.quiet import quiet_libraries
from pipeline.core.runner import Build, run_stage
from pipeline.core.tables import print_table
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import integer_model
from pipeline.dataflow.accelerator import Accelerator
from pipeline.dataflow.costs.cost import Cost
from pipeline.dataflow.costs.estimate import estimate
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.stages import find_stage, fold, freeze, lower
from pipeline.stages.codegen import KERNELS, input_stream
from pipeline.stages.synth import splits
from pipeline.synth.design import synthesise
from pipeline.synth.elaborate import Hdl
from pipeline.synth.families import family_of
from pipeline.synth.mapping import CACHE

ZEROS = "hardware.engine=zero_skipping"
CASES: tuple[tuple[str, ...], ...] = (
    ("models/vgg10_tiny", "hardware.engine=dense"),
    ("models/vgg10_tiny", ZEROS),
    ("models/vgg10_tiny", ZEROS, "hardware.samples_per_clock=0.25"),
    ("models/vgg10_w4a4_fmp", "hardware.engine=dense"),
    ("models/vgg10_w4a4_fmp", ZEROS, "hardware.latency=0"),
    ("models/vgg10_w4a4_fmp", ZEROS, "hardware.latency=0", "hardware.samples_per_clock=0.25"),
)
"""A model's folder, and what is set of its configuration."""


@dataclass(frozen=True)
class Row:
    """A layer: what is estimated and what is measured."""

    case: str
    layer: str
    estimated: Cost
    measured: Cost

    @property
    def error(self) -> float:
        """Of its LUTs, in percent of what is measured."""
        return 100 * (self.estimated.lut - self.measured.lut) / self.measured.lut


def compare(case: Sequence[str], scratch: Path) -> Iterator[Row]:
    """All layers of a case that both have."""
    model_dir, *settings = case
    config = load_config(PROJECT_ROOT / model_dir, settings)
    build = Build(config, PROJECT_ROOT / model_dir, find_stage)
    graph = run_stage("lower", build) / lower.HARDWARE_GRAPH
    model = integer_model.load(run_stage("freeze", build) / freeze.MODEL)
    board = load_board(config.hardware.board)
    prepare_finn(scratch / "finn")
    budget = Cost(board.lut, board.dsp, board.bram36)
    built = fold.accelerator(fold.Subject(model, graph, config.hardware, budget))
    rows = {row.name: row.cost for row in estimate(built.graph, model.layers, built.runs)}
    found = _measured(built, model, board.part, scratch)
    for name, cost in rows.items():
        if name in found:
            yield Row(" ".join(case), name, cost, found[name])


def _measured(own: Accelerator, model: IntegerModel, part: str, scratch: Path) -> dict[str, Cost]:
    """By layer.  What stands between runs is in no layer, so the last one's row is not used where
    it shares its engine."""
    nodes = list(generate(own.graph, model.layers))
    files = rtl.accelerator(nodes, input_stream(nodes, model), KERNELS, b"")
    folder, work = scratch / "rtl", scratch / "synth"
    folder.mkdir()
    work.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    design = rtl.load_design(folder)
    sources = tuple(folder / name for name in design.sources)
    hdl = Hdl(design.top, sources, tuple(folder / name for name in design.tables))
    found = synthesise(hdl, splits(design), family_of(part, part), CACHE, work)
    return {
        row.name: Cost(row.usage.lut, row.usage.dsp, row.usage.bram36)
        for row in found.rows
        if row.usage.lut
    }


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """The error of the model: of LUTs in percent, of the others in units."""
    errors = [abs(row.error) for row in rows]
    return {
        "layers": len(rows),
        "largest_lut_percent": round(max(errors), 1),
        "median_lut_percent": round(median(errors), 1),
        "total_lut_percent": round(
            100 * (sum(r.estimated.lut for r in rows) / sum(r.measured.lut for r in rows) - 1), 1
        ),
        "largest_dsp": max(abs(r.estimated.dsp - r.measured.dsp) for r in rows),
        "largest_bram36": max(abs(r.estimated.bram36 - r.measured.bram36) for r in rows),
    }


def show(rows: Sequence[Row], found: Mapping[str, float]) -> None:
    columns = ("layer", "LUT", "estimated", "error, %", "DSP", "estimated", "BRAM36", "estimated")
    for case in dict.fromkeys(row.case for row in rows):
        own = [row for row in rows if row.case == case]
        print_table(case, columns, [_cells(row) for row in own])
    say(
        f"LUT of {found['layers']} layers: error {found['median_lut_percent']:g} % in the median, "
        f"{found['largest_lut_percent']:g} % at most, {found['total_lut_percent']:+g} % in total; "
        f"at most {found['largest_dsp']:g} DSP and {found['largest_bram36']:g} BRAM36 off"
    )


def _cells(row: Row) -> tuple[object, ...]:
    found, wanted = row.measured, row.estimated
    return (
        row.layer,
        int(found.lut),
        round(wanted.lut),
        f"{row.error:+.1f}",
        int(found.dsp),
        int(wanted.dsp),
        found.bram36,
        wanted.bram36,
    )


def bench(cases: Sequence[Sequence[str]], out: Path) -> None:
    """Measure, print and note."""
    rows: list[Row] = []
    for case in cases:
        with tempfile.TemporaryDirectory() as scratch:
            rows += compare(case, Path(scratch))
    found = summary(rows)
    show(rows, found)
    result: dict[str, Any] = {"summary": found, "layers": [asdict(row) for row in rows]}
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "costs.json", result)
    say(f"wrote {shown(out / 'costs.json')}")


def main(words: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.bench.costs",
        description="How far the estimates of fold are from what Yosys finds.",
    )
    parser.add_argument(
        "--case",
        nargs="+",
        action="append",
        metavar="WORD",
        help="a model's folder, then keys that are set; may be given several times",
    )
    options = parser.parse_args(words)
    quiet_libraries()
    cases = options.case or CASES
    return guarded(lambda: bench(cases, PROJECT_ROOT / "build" / "bench"), debug=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
