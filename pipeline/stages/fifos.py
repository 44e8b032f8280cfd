"""Fifos: how many words each FIFO between folded operators holds, fixed or found by simulation."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.codegen import rtl, zeros_operator  # noqa: F401  (FINN knows it then)
from pipeline.codegen.nodes import generate
from pipeline.core.atomic import write_json
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import busy, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import integer_model
from pipeline.dataflow.fifos import Fifo, between_folded, with_depths
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.stages import fold, freeze
from pipeline.verify.fifos import Sizes, find_sizes
from pipeline.verify.rtlsim import Simulation, Stalls, build_simulator, simulate
from pipeline.verify.rungs import RTL_CACHE, read_design
from pipeline.verify.stimulus import stimulus

KERNELS = PROJECT_ROOT / "hw" / "rtl"
STREAM_GRAPH = fold.STREAM_GRAPH
REPORT = "report.json"
SIMULATED = "simulated"
FRAMES = 12
"""A design of ten layers holds three; the interval is that of the second half."""


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    started = time.monotonic()
    graph = ModelWrapper(str(context.inputs["fold"] / fold.STREAM_GRAPH))
    folding = json.loads((context.inputs["fold"] / fold.REPORT).read_text())
    predicted = int(folding["predicted_interval"])
    fifos, sizes = between_folded(graph), None
    if fifos and context.config.hardware.fifos == SIMULATED:
        model = integer_model.load(context.inputs["freeze"] / freeze.MODEL)
        sizes = find_sizes(fifos, predicted, Bench(graph, model, context.scratch).simulate)
        graph = with_depths(graph, sizes.depths)
    graph.save(str(context.out / STREAM_GRAPH))
    head = {
        "stage": "fifos",
        "model": context.model_dir.name,
        "fifos": context.config.hardware.fifos,
        "predicted_interval": predicted,
    }
    seconds = round(time.monotonic() - started, 2)
    write_json(context.out / REPORT, head | _report(fifos, sizes) | {"seconds": seconds})
    show(context.out)


@dataclass(frozen=True)
class Bench:
    """Simulates the design of a stream graph, whatever the depths of its FIFOs."""

    graph: ModelWrapper
    model: IntegerModel
    scratch: Path

    def simulate(self, depths: Mapping[str, int], stalls: Stalls) -> Simulation:
        folder = self.scratch / f"rtl-{len(list(self.scratch.glob('rtl-*')))}"
        self._write(with_depths(self.graph, depths), folder)
        with busy("building a simulator, a minute or so for a new design"):
            simulator = build_simulator(read_design(folder), RTL_CACHE)
        codes = self.model.quantize(stimulus(self.model, FRAMES, seed=1))
        place = folder / "run"
        place.mkdir()
        with busy(f"simulating {FRAMES} frames, words in FIFOs: {sum(depths.values()):,}"):
            return simulate(
                simulator,
                codes.reshape(FRAMES, -1),
                stalls=stalls,
                seed=1,
                tables=folder,
                scratch=place,
            )

    def _write(self, graph: ModelWrapper, folder: Path) -> None:
        nodes = list(generate(graph, self.model.layers))
        entering = rtl.input_stream(nodes[0], self.model)
        folder.mkdir()
        for name, content in rtl.accelerator(nodes, entering, KERNELS, b"").items():
            (folder / name).write_bytes(content)


# --- report -------------------------------------------------------------------------------------


def _report(fifos: tuple[Fifo, ...], sizes: Sizes | None) -> dict[str, Any]:
    rows = [_entry(fifo, sizes) for fifo in fifos]
    before = sum(row["depth"] * row["bits"] for row in rows)
    after = sum(row["chosen"] * row["bits"] for row in rows)
    return {
        "frames": FRAMES if sizes else 0,
        "deep_interval": sizes and sizes.deep_interval,
        "interval": sizes and sizes.interval,
        "nodes": rows,
        "bits": {"before": before, "after": after, "saved": before - after},
    }


def _entry(fifo: Fifo, sizes: Sizes | None) -> dict[str, Any]:
    most = sizes.most[fifo.name] if sizes else None
    chosen = sizes.depths[fifo.name] if sizes else fifo.depth
    saved = (fifo.depth - chosen) * fifo.bits
    return {**asdict(fifo), "most": most, "chosen": chosen, "saved_bits": saved}


def show(folder: Path) -> None:
    """Prints the FIFOs of earlier outputs."""
    report = json.loads((folder / REPORT).read_text())
    if not report["nodes"]:
        say("no FIFO to size: none is between folded operators")
        return
    if report["fifos"] != SIMULATED:
        words = {row["depth"] for row in report["nodes"]}
        say(f"{len(report['nodes'])} FIFOs of {', '.join(map(str, sorted(words)))} words")
        return
    keys = ("name", "after", "bits", "depth", "most", "chosen", "saved_bits")
    columns = ("FIFO", "after", "bits", "words before", "most held", "words", "bits saved")
    rows = [tuple(row[key] for key in keys) for row in report["nodes"]]
    bits = report["bits"]
    rows.append(("total", "", "", "", "", "", bits["saved"]))
    print_table("FIFOs, by simulation", columns, rows)
    say(
        f"{bits['before']:,} bits before, {bits['after']:,} now; interval predicted "
        f"{report['predicted_interval']:,} cycles, measured {report['deep_interval']:,} with room "
        f"for a frame everywhere, {report['interval']:,} as chosen ({report['frames']} frames, "
        f"{report['seconds']:g} s)"
    )


def sources(config: Config) -> Mapping[str, Path]:
    """What is simulated, where anything is."""
    return {"kernels": KERNELS} if config.hardware.fifos == SIMULATED else {}


STAGE = Stage(
    name="fifos",
    summary="choose how many words each FIFO between folded operators holds",
    sections=("hardware",),
    needs=("freeze", "fold"),
    outputs=(STREAM_GRAPH, REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
