"""Fold: every layer's engine and parallelism for the rate, the graph of streams that runs at it,
and what that takes of the board."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.boards.board import BOARDS, Board, load_board
from pipeline.codegen import zeros_operator  # noqa: F401  (FINN knows it then)
from pipeline.core.cli import run_alone
from pipeline.core.config import Config, Hardware
from pipeline.core.errors import UserError
from pipeline.core.progress import busy, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.core.tools import prepare_finn
from pipeline.dataflow import choice, folding, integer_model
from pipeline.dataflow.accelerator import Accelerator, folded_accelerator, mixed_accelerator
from pipeline.dataflow.costs import limits
from pipeline.dataflow.costs.cost import UNITS, Cost, summed
from pipeline.dataflow.costs.estimate import Row, estimate
from pipeline.dataflow.costs.options import options
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.zeros import pacing
from pipeline.dataflow.zeros.network import PlanError
from pipeline.dataflow.zeros.run import Arrival, Planner, Run, paced
from pipeline.stages import freeze, lower

STREAM_GRAPH = "streams.onnx"
REPORT = "report.json"
DENSE, AUTO = "dense", "auto"
SLOWEST = 0.25
"""Samples a clock."""
REMEDY = 'another rate, or hardware.engine = "dense"'


@dataclass(frozen=True)
class Subject:
    """What is folded: the abstract graph is a file, since folding changes it."""

    model: IntegerModel
    graph: Path
    hardware: Hardware
    budget: Cost

    def loaded(self) -> ModelWrapper:
        return ModelWrapper(str(self.graph))

    @property
    def cycles(self) -> int:
        """Of a frame, for the folded engine."""
        return folding.target_cycles(self.hardware.clock_mhz, self.hardware.target_fps)


def run(context: StageContext) -> None:
    prepare_finn(context.scratch / "finn")
    hardware = context.config.hardware
    board = load_board(hardware.board)
    subject = Subject(
        integer_model.load(context.inputs["freeze"] / freeze.MODEL),
        context.inputs["lower"] / lower.HARDWARE_GRAPH,
        hardware,
        Cost(board.lut, board.dsp, board.bram36),
    )
    found = accelerator(subject)
    found.graph.save(str(context.out / STREAM_GRAPH))
    report = report_of(subject, board, found) | {"model": context.model_dir.name}
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)


# --- engines ------------------------------------------------------------------------------------


def accelerator(subject: Subject) -> Accelerator:
    """Every layer with its engine, at the rate that is asked for.  Raises UserError."""
    hardware = subject.hardware
    if hardware.engine == DENSE:
        return folded_accelerator(subject.loaded(), subject.model, subject.cycles)
    planner = _planner(subject)
    with busy("planning the zero-skipping engine"):
        if hardware.engine == AUTO:
            runs = _chosen(subject, planner)
        else:
            runs = {0: _in_time(subject, planner)}
    return mixed_accelerator(subject.loaded(), subject.model, runs, _interval(planner.arrival))


def _planner(subject: Subject) -> Planner:
    """Raises UserError where the rate does not fit the layers."""
    model, rate = subject.model, Fraction(subject.hardware.samples_per_clock)
    arrival = Arrival(model.positions, max(1, rate.numerator), rate.denominator)
    try:
        paced(model.layers, arrival)
    except PlanError as error:
        raise UserError(str(error), "hardware.samples_per_clock", REMEDY) from error
    return Planner(model.layers, model.input, arrival)


def _interval(arrival: Arrival) -> int:
    return arrival.positions // arrival.group * arrival.spacing


def _in_time(subject: Subject, planner: Planner) -> Run:
    """All layers in one run."""
    wanted = subject.hardware.latency
    after = _label_cycles(subject.model)
    return pacing.in_time(planner, wanted - after if wanted else pacing.ANY)


def _label_cycles(model: IntegerModel) -> int:
    """From the last logit to the label: they go through a FIFO before and one after it."""
    return len(model.layers[-1].weights) + 3


def _chosen(subject: Subject, planner: Planner) -> dict[int, Run]:
    """For every layer the engine that takes less of the board."""
    pieces = list(choice.pieces(planner))
    found = options(subject.loaded(), subject.model, pieces, _interval(planner.arrival))
    engines = choice.choose(found, subject.budget)
    if set(engines) == {choice.SKIPPING}:
        return {0: _in_time(subject, planner)}
    return choice.runs(planner, pieces, engines)


# --- report -------------------------------------------------------------------------------------


def report_of(subject: Subject, board: Board, found: Accelerator) -> dict[str, Any]:
    """What `show` prints, and later stages read."""
    model, hardware = subject.model, subject.hardware
    names = [layer.name for layer in model.layers]
    nodes = folding.report(folding.fold(subject.loaded(), subject.cycles, model.channels), names)
    rows = list(estimate(found.graph, model.layers, found.runs))
    report: dict[str, Any] = {
        "stage": "fold",
        "board": board.key,
        "part": board.part,
        "clock_mhz": hardware.clock_mhz,
        "target_fps": hardware.target_fps,
        "target_cycles": subject.cycles,
        "engine": hardware.engine,
        "predicted_interval": found.interval,
        "limiting_layer": max(nodes, key=lambda n: n.cycles).layer,
        "nodes": [asdict(n) for n in nodes],
        "folded": [asdict(n) for n in found.folded],
        "run": [asdict(row) for own in found.runs.values() for row in pacing.rows(own)],
        "estimate": limits.entry(rows, subject.budget, board.name),
    }
    report["estimate"]["relief"] = list(_relief(subject, found, rows))
    whole = found.runs.get(0)
    if whole is not None and whole.layers == model.layers:
        report["predicted_latency"] = pacing.latency(whole) + _label_cycles(model)
    return report


# --- what would relieve it ----------------------------------------------------------------------


def _relief(subject: Subject, found: Accelerator, rows: Sequence[Row]) -> Iterator[str]:
    """What the layer that limits takes a weight; and the total at half the rate, if it does not
    fit as it is."""
    unit, layer = limits.limiting(rows, subject.budget)
    skipping = {row.layer: row for own in found.runs.values() for row in pacing.rows(own)}
    if layer.name in skipping and unit == "lut":
        own = skipping[layer.name]
        yield limits.of_nonzeros(own.layer, own.nonzeros, own.lut)
    if max(summed(row.cost for row in rows).shares(subject.budget).values()) > 1:
        yield _at_half_the_rate(subject)


def _at_half_the_rate(subject: Subject) -> str:
    hardware = subject.hardware
    if hardware.engine == DENSE:
        key, half = "target_fps", float(max(1, hardware.target_fps // 2))
        slower = hardware.model_copy(update={key: int(half)})
    elif hardware.samples_per_clock <= SLOWEST:
        return f"{SLOWEST:g} samples a clock is the slowest rate that there is"
    else:
        key, half = "samples_per_clock", hardware.samples_per_clock / 2
        slower = hardware.model_copy(update={key: half})
    try:
        found = accelerator(replace(subject, hardware=slower))
    except UserError as error:
        return f"at hardware.{key} = {half:g}: {error}"
    rows = estimate(found.graph, subject.model.layers, found.runs)
    total = summed(row.cost for row in rows)
    return f"at hardware.{key} = {half:g}: {limits.compared(total, subject.budget)}"


# --- earlier outputs ----------------------------------------------------------------------------


def cycles(folder: Path) -> dict[str, int]:
    """Of every layer for a frame, as the folding in `folder` predicts them."""
    report = json.loads((folder / REPORT).read_text())
    found: dict[str, int] = {}
    for node in report["folded"]:
        found[node["layer"]] = max(node["cycles"], found.get(node["layer"], 0))
    return found | {row["layer"]: row["frame_cycles"] for row in report["run"]}


def show(folder: Path) -> None:
    """Prints the folding of earlier outputs."""
    report = json.loads((folder / REPORT).read_text())
    if report["run"]:
        _show_runs(report["run"])
    if report["folded"]:
        _show_folded(report["folded"])
    _show_estimate(report["estimate"])
    interval, clock = report["predicted_interval"], report["clock_mhz"]
    latency = report.get("predicted_latency")
    say(
        f"predicted interval {interval} cycles"
        + (
            f", latency {latency} cycles from a frame's first sample to its label"
            if latency
            else ""
        )
        + f": {clock * 1e6 / interval:,.0f} frames/s if the clock is {clock:g} MHz"
    )


def _show_folded(nodes: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            n["layer"],
            n["operator"],
            n["parallelism"].get("PE", ""),
            n["parallelism"].get("SIMD", ""),
            n["cycles"],
        )
        for n in nodes
    ]
    print_table("folding", ("layer", "operator", "PE", "SIMD", "cycles / frame"), rows)


def _show_runs(own: Sequence[Mapping[str, Any]]) -> None:
    columns = {
        "layer": "layer",
        "weights": "weights",
        "nonzeros": "not zero",
        "cycles": "cycles / position",
        "digit_bits": "bits a cycle",
        "phases": "outputs a sum",
        "multipliers": "multipliers",
        "lines": "by a line",
        "compared": "compared",
        "padded": "idle slots",
    }
    rows = [tuple("" if row[k] is None else row[k] for k in columns) for row in own]
    print_table("zero-skipping engine", tuple(columns.values()), rows)


def _show_estimate(found: Mapping[str, Any]) -> None:
    """By layer and in total against the board, what limits, and what would relieve it."""
    columns = ("layer", "engine", "LUT", "DSP", "BRAM36", "% of the board")
    rows = [
        (x["name"], x["engine"], x["lut"], x["dsp"], x["bram36"], x["percent"])
        for x in found["layers"]
    ]
    total, percent, most = found["total"], found["percent"], found["limits"]
    rows.append(("total", "", total["lut"], total["dsp"], total["bram36"], max(percent.values())))
    print_table(f"estimated for {found['board']}", columns, rows)
    unit = most["unit"]
    say(
        f"{UNITS[unit]} is what limits: {percent[unit]:g} % of {found['budget'][unit]:,g}, "
        f"most of it in {most['layer']} ({most['used']:,g})"
    )
    for text in found["relief"]:
        say(text)
    for unit in found["exceeded"]:
        say(
            f"DOES NOT FIT {found['board']}: an estimate of {total[unit]:,g} {UNITS[unit]}, "
            f"{found['budget'][unit]:,g} there"
        )


def sources(_: Config) -> Mapping[str, Path]:
    return {"boards": BOARDS}


STAGE = Stage(
    name="fold",
    summary="choose each layer's engine and parallelism for the rate that is asked for",
    sections=("hardware",),
    needs=("freeze", "lower"),
    outputs=(STREAM_GRAPH, REPORT),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
