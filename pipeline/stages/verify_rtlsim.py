"""Verify-rtlsim: the accelerator in Verilator against the integer model, at every layer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.codegen import rtl
from pipeline.core.cli import run_alone
from pipeline.core.errors import VerificationFailed
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import busy, say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.dataflow import integer_model
from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.source import GRAPH, WEIGHTS, load_own_network
from pipeline.stages import codegen, freeze
from pipeline.verify import pytorch
from pipeline.verify.compare import LayerResult, compare, require_equal
from pipeline.verify.rtlsim import (
    Design,
    Simulation,
    Simulator,
    Stalls,
    Stream,
    build_simulator,
    simulate,
)
from pipeline.verify.stimulus import stimulus

REPORT = "report.json"
CACHE = PROJECT_ROOT / "build" / ".verilator"
SHORT = ("bursts", "stop", "reset")
"""Stalls that get FEW_FRAMES only.  The others get all: a design with deep FIFOs takes dozens of
frames until it is full."""
FEW_FRAMES = 8
"""One of each kind is among the first of a mixed stimulus."""


@dataclass(frozen=True)
class Rung:
    """One comparison with the integer model."""

    rung: str
    seconds: float
    layers: tuple[LayerResult, ...]
    simulation: Simulation | None = None


def run(context: StageContext) -> None:
    verify, frozen = context.config.verify, context.inputs["freeze"]
    model = integer_model.load(frozen / freeze.MODEL)
    frames = stimulus(model, verify.frames, verify.seed, kind=verify.stimulus, first=verify.first)
    codes = model.quantize(frames)
    wanted = model.trace(codes)
    rungs = [*_pytorch_rung(context, model, frames, codes, wanted)]
    simulator = _simulator(context.inputs["codegen"] / codegen.RTL)
    for text in verify.stalls.split(","):
        rungs.append(_rtlsim_rung(context, simulator, codes, wanted, Stalls.parse(text)))
    report = _report(context, ("input", *wanted, "output"), rungs, simulator)
    (context.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    show(context.out)
    require_equal([layer for rung in rungs for layer in rung.layers])


# --- rung 1 -------------------------------------------------------------------------------------


def _pytorch_rung(
    context: StageContext,
    model: IntegerModel,
    frames: NDArray[np.float32],
    codes: Integers,
    wanted: Mapping[str, Integers],
) -> list[Rung]:
    """PyTorch itself, unless we were given only a graph."""
    folder = context.inputs["freeze"]
    if (folder / "source" / GRAPH).is_file():
        return []
    started = time.monotonic()
    network = load_own_network(context.config, folder / "source" / WEIGHTS)
    chain = read_brevitas(network, model.positions)
    certified = json.loads((folder / freeze.CERTIFICATE).read_text())["certified"]
    entering = pytorch.input_codes(network, chain, frames)
    if certified:
        name, found = "pytorch", pytorch.float32_boundaries(network, chain, frames)
    else:
        name = "pytorch, float64 layer by layer"
        found = pytorch.float64_boundaries(network, chain, model, codes)
    layers = [compare("input", codes, entering)]
    layers += [compare(boundary, wanted[boundary], values) for boundary, values in found.items()]
    return [Rung(name, time.monotonic() - started, tuple(layers))]


# --- rung 6 -------------------------------------------------------------------------------------


def _simulator(folder: Path) -> Simulator:
    with busy("building the simulator, a minute or so for a new design"):
        simulator = build_simulator(read_design(folder), CACHE)
    how = f"built in {simulator.seconds:.0f} s" if simulator.built else "up to date"
    say(f"simulator {how}: {len(simulator.design.sources)} sources")
    return simulator


def read_design(folder: Path) -> Design:
    """The generated folder as something to simulate."""
    design = rtl.load_design(folder)
    *inner, last = design.streams
    return Design(
        top=design.top,
        sources=tuple(folder / name for name in design.sources),
        tables=design.tables,
        input=_stream(design.input),
        output=_stream(last, signal="m_axis"),
        inner=tuple(_stream(s) for s in inner),
    )


def _stream(stream: rtl.TopStream, signal: str = "") -> Stream:
    return Stream(
        name=stream.name,
        signal=signal or stream.signal,
        bits=stream.bits,
        signed=stream.signed,
        elements=stream.elements,
        words=stream.words,
        values=stream.stream,
    )


def _rtlsim_rung(
    context: StageContext,
    simulator: Simulator,
    codes: Integers,
    wanted: Mapping[str, Integers],
    stalls: Stalls,
) -> Rung:
    if stalls.kind in SHORT:
        codes = codes[:FEW_FRAMES]
    scratch = context.scratch / f"rtlsim-{stalls.kind}-{stalls.percent}"
    scratch.mkdir()
    seed = context.config.verify.seed
    with busy(f"simulating {len(codes)} frames, stalls {stalls}, seed {seed}"):
        simulation = simulate(
            simulator,
            codes.reshape(len(codes), -1),
            stalls=stalls,
            seed=seed,
            tables=context.inputs["codegen"] / codegen.RTL,
            scratch=scratch,
        )
    expected = {name: wanted[name][: len(codes)] for name in _recorded(simulation, wanted)}
    expected["output"] = wanted["label"][: len(codes)]
    layers = tuple(
        compare(name, values, simulation.values[name].reshape(values.shape))
        for name, values in expected.items()
    )
    return Rung("rtlsim", simulation.seconds, layers, simulation)


def _recorded(simulation: Simulation, wanted: Mapping[str, Integers]) -> list[str]:
    """The streams to compare: all, but logits without a bias are their own accumulators.

    Raises VerificationFailed where another one was not recorded: it would go uncompared.
    """
    *_, accumulator, logits, _ = wanted
    same = {accumulator} if wanted[accumulator] is wanted[logits] else set()
    for name in wanted:
        if name not in simulation.values and name not in same:
            raise VerificationFailed(f"layer {name} was not recorded")
    return [name for name in wanted if name in simulation.values]


# --- report -------------------------------------------------------------------------------------


def _report(
    context: StageContext, streams: Sequence[str], rungs: Sequence[Rung], simulator: Simulator
) -> dict[str, object]:
    """Cycles of the simulation without stalls (null where there was none), layers over all
    simulations, and every rung.

    `streams`: names in the order of the data.
    """
    verify = context.config.verify
    simulated = [r for r in rungs if r.simulation is not None]
    simulations = [r.simulation for r in simulated if r.simulation is not None]
    free = next((s for s in simulations if s.stalls == Stalls()), None)
    kcycles = sum(s.cycles for s in simulations) / 1e3
    return {
        "stage": "verify-rtlsim",
        "model": context.model_dir.name,
        "source": json.loads((context.inputs["freeze"] / freeze.REPORT).read_text())["source"],
        "frames": verify.frames,
        "first": verify.first,
        "stimulus": verify.stimulus,
        "mismatches": sum(layer.mismatches for rung in rungs for layer in rung.layers),
        "streams": streams,
        "layers": _summed(simulated),
        "rung": "rtlsim",
        "against": "integer model",
        "seed": verify.seed,
        "stalls": [str(s.stalls) for s in simulations],
        "cycles": {"latency": free.latency, "interval": free.interval} if free else None,
        "kcycles_per_second": round(kcycles / sum(s.seconds for s in simulations), 1),
        "build_seconds": round(simulator.seconds, 1) if simulator.built else 0.0,
        "seconds": round(sum(r.seconds for r in rungs), 1),
        "rungs": [_rung_fields(rung) for rung in rungs],
    }


def _summed(rungs: Sequence[Rung]) -> list[dict[str, object]]:
    """Values and mismatches of each layer over all simulations."""
    return [
        {
            "name": same[0].name,
            "values": sum(x.values for x in same),
            "mismatches": sum(x.mismatches for x in same),
        }
        for same in zip(*(rung.layers for rung in rungs), strict=True)
    ]


def _rung_fields(rung: Rung) -> dict[str, object]:
    fields: dict[str, object] = {
        "rung": rung.rung,
        "stalls": str(rung.simulation.stalls) if rung.simulation else None,
        "frames": len(rung.simulation.values["output"]) if rung.simulation else None,
        "cycles": rung.simulation.cycles if rung.simulation else None,
        "seconds": round(rung.seconds, 2),
        "layers": [
            {"name": x.name, "values": x.values, "mismatches": x.mismatches} for x in rung.layers
        ],
        "mismatches": sum(x.mismatches for x in rung.layers),
    }
    first = next((x.first for x in rung.layers if x.first), None)
    return fields | {"first_difference": None if first is None else str(first)}


def show(folder: Path) -> None:
    """Prints a row a layer, then a row a simulation: mismatches, and of how many values."""
    report = json.loads((folder / REPORT).read_text())
    rungs = report["rungs"]
    above = [rung for rung in rungs if rung["rung"] != "rtlsim"]
    columns = {rung["rung"]: rung["layers"] for rung in above} | {"rtlsim": report["layers"]}
    cells = [
        {x["name"]: f"{x['mismatches']:,} / {x['values']:,}" for x in layers}
        for layers in columns.values()
    ]
    rows = [(name, *(c.get(name, "") for c in cells)) for name in report["streams"]]
    print_table("mismatches / values against the integer model", ("layer", *columns), rows)
    if not above:
        say("PyTorch is not in this comparison: the network came as a QONNX graph")
    print_table(
        "simulations",
        ("stalls", "frames", "cycles", "mismatches", "seconds"),
        [
            (r["stalls"], r["frames"], r["cycles"], r["mismatches"], r["seconds"])
            for r in rungs
            if r["rung"] == "rtlsim"
        ],
    )
    cycles = report["cycles"]
    if cycles is not None:
        say(f"latency {cycles['latency']} cycles, interval {cycles['interval']} cycles a frame")
    say(f"simulated at {report['kcycles_per_second']} kcycles/s")
    say(
        f"{report['mismatches']} mismatches over all layers, {report['frames']} frames "
        f"({report['stimulus']}, from number {report['first']} on), seed {report['seed']}"
    )


STAGE = Stage(
    name="verify-rtlsim",
    summary="simulate the RTL and compare every layer's stream with the integer model",
    sections=("network", "verify"),
    needs=("freeze", "codegen"),
    outputs=(REPORT,),
    run=run,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
