"""The rungs of the ladder: each computes the same frames in its way and is compared (DESIGN 4)."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from threadpoolctl import threadpool_limits
from torch import nn

from pipeline.codegen import rtl
from pipeline.core.config import Verify
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import busy, progress, say
from pipeline.core.tools import available_cores
from pipeline.dataflow.integer_model import ACCUMULATOR, IntegerModel, Integers, labels
from pipeline.dataflow.reference import run_graph
from pipeline.network.chain import Chain
from pipeline.verify import foreign, pytorch, qonnx
from pipeline.verify.compare import LayerResult
from pipeline.verify.cppsim import build_cpp_simulator, simulate_cpp
from pipeline.verify.ladder import (
    OUTPUT,
    Run,
    Rung,
    chunks,
    compare_streams,
    summed,
    with_output,
)
from pipeline.verify.rtlsim import (
    Design,
    Simulation,
    Simulator,
    Stalls,
    Stream,
    build_simulator,
    hesitant,
    simulate,
)
from pipeline.verify.subject import Subject

CPP_CACHE = PROJECT_ROOT / "build" / ".cppsim"
RTL_CACHE = PROJECT_ROOT / "build" / ".verilator"
INSIDE = "inside"
"""Stalls at every node rather than at the ends of a design."""
SHORT = ("bursts", "stop", "reset")
"""Stalls that get FEW_FRAMES only.  The others get all: a design with deep FIFOs takes dozens of
frames until it is full."""
FEW_FRAMES = 8
"""One of each kind is among the first of a mixed stimulus."""


@dataclass(frozen=True)
class _Part:
    """What a rung found on some of the frames: (frames,) classes, and the comparison."""

    layers: tuple[LayerResult, ...]
    predicted: Integers


def pytorch_rung(subject: Subject, network: nn.Sequential, chain: Chain) -> Rung:
    """Brevitas in float32, end to end: for certified networks."""

    def part(at: slice) -> _Part:
        frames, codes = subject.frames[at], subject.codes[at]
        found = pytorch.float32_boundaries(network, chain, frames)
        entering = pytorch.input_codes(network, chain, frames)
        return _boundaries(subject.model, at.start, codes, found, entering)

    return _in_turn("pytorch", subject, part)


def float64_rung(subject: Subject, network: nn.Sequential, chain: Chain) -> Rung:
    """PyTorch in float64, every layer fed with the integer model's codes: for all others."""

    def part(at: slice) -> _Part:
        frames, codes = subject.frames[at], subject.codes[at]
        found = pytorch.float64_boundaries(network, chain, subject.model, codes)
        entering = pytorch.input_codes(network, chain, frames)
        return _boundaries(subject.model, at.start, codes, found, entering)

    return _in_turn("pytorch, float64 layer by layer", subject, part)


def foreign_pytorch_rung(subject: Subject, network: nn.Sequential, chain: Chain) -> Rung:
    """Brevitas in float32, every layer fed with the integer model's codes: what differs is within
    float32's error of a rounding boundary, or a mismatch."""

    def forced(at: slice) -> Mapping[str, Integers]:
        return pytorch.forced_codes(network, chain, subject.model, subject.frames[at])

    return _foreign("pytorch, float32 layer by layer", subject, chain, forced)


def foreign_qonnx_rung(subject: Subject, graph: ModelWrapper, chain: Chain) -> Rung:
    """The same for the exported graph, of which `chain` was read."""

    def forced(at: slice) -> Mapping[str, Integers]:
        return qonnx.forced_codes(graph, subject.model, subject.frames[at])

    return _foreign("qonnx, float32 layer by layer", subject, chain, forced)


def _foreign(
    name: str, subject: Subject, chain: Chain, forced: Callable[[slice], Mapping[str, Integers]]
) -> Rung:
    judged = []

    def part(at: slice) -> _Part:
        found = forced(at)
        layers = foreign.explain(chain, subject.model, subject.frames[at], found, at.start)
        judged.append(layers)
        logits = found[subject.model.layers[-1].name]
        return _Part(tuple(x.result() for x in layers), _classes(logits))

    rung = _in_turn(name, subject, part)
    layers = foreign.merged(judged)
    return replace(rung, notes=foreign_notes(layers))


def foreign_notes(layers: Sequence[foreign.ForeignLayer]) -> tuple[str, ...]:
    """What differs from the integer model within float32's error: each one, up to a limit."""
    explained = sum(x.explained for x in layers)
    if not explained:
        return ("no code differs from the integer model's",)
    listed = [str(difference) for x in layers for difference in x.listed]
    values = sum(x.values for x in layers)
    return (f"{explained} of {values:,} codes differ, within float32's error:", *listed)


def qonnx_rung(subject: Subject, graph: ModelWrapper) -> Rung:
    """The exported graph in float32, end to end: for certified networks."""

    def part(at: slice) -> _Part:
        frames, codes = subject.frames[at], subject.codes[at]
        found = qonnx.boundaries(graph, subject.model, frames)
        return _boundaries(subject.model, at.start, codes, found, qonnx.input_codes(graph, frames))

    return _in_turn("qonnx", subject, part)


def finn_rung(subject: Subject, graph: ModelWrapper) -> Rung:
    """FINN's hardware graph, executed by its operators in Python."""
    names = subject.model.streams

    def part(at: slice) -> _Part:
        codes = subject.codes[at]
        found = run_graph(graph, subject.model, codes)
        wanted = subject.model.trace(codes)
        layers = compare_streams(names, wanted, found, at.start)
        return _Part(layers, found["label"].reshape(-1))

    return _in_turn("finn", subject, part)


def cppsim_rung(subject: Subject, folder: Path, scratch: Path) -> Rung:
    """The C++ in `folder`, compiled, on all cores."""
    with busy("building cppsim, some seconds for a new design"):
        simulator = build_cpp_simulator(folder, CPP_CACHE)
    say(f"cppsim {f'built in {simulator.seconds:.0f} s' if simulator.built else 'up to date'}")
    names = (*subject.model.hardware_streams, OUTPUT)

    def part(at: slice) -> _Part:
        place = scratch / f"cppsim-{at.start}"
        place.mkdir()
        codes = subject.codes[at]
        found = simulate_cpp(simulator, codes, tables=folder, scratch=place)
        shutil.rmtree(place)
        layers = compare_streams(names, with_output(subject.model.trace(codes)), found, at.start)
        return _Part(layers, found[OUTPUT].reshape(-1))

    # the programs run beside each other, and numpy, which lets go of Python's lock, on a core each
    with ThreadPoolExecutor(available_cores()) as pool, threadpool_limits(1):
        return _gathered("cppsim", subject, pool.map(part, chunks(len(subject.codes))))


# --- cycle by cycle -----------------------------------------------------------------------------


def rtlsim_rung(subject: Subject, folder: Path, verify: Verify, scratch: Path) -> Rung:
    """The RTL in `folder`, simulated once for each of `verify.stalls`."""
    design = read_design(folder)
    designs = {x: hesitant(design) if x.kind == INSIDE else design for x in _stalls(verify)}
    return _clocked("rtlsim", subject, designs, verify.seed, folder, scratch)


def netlist_rung(subject: Subject, design: Design, verify: Verify, scratch: Path) -> Rung:
    """A netlist, simulated in the same way; its nodes cannot be held back from inside."""
    designs = {x: design for x in _stalls(verify) if x.kind != INSIDE} or {Stalls(): design}
    return _clocked("netlist", subject, designs, verify.seed, scratch, scratch)


def _stalls(verify: Verify) -> list[Stalls]:
    return [Stalls.parse(text) for text in verify.stalls.split(",")]


def _clocked(
    name: str,
    subject: Subject,
    designs: Mapping[Stalls, Design],
    seed: int,
    folder: Path,
    scratch: Path,
) -> Rung:
    """A simulation for each kind of stalls; folder: of the designs' tables."""
    simulators = _built({x.sources: x for x in designs.values()})
    started = time.monotonic()
    runs = [
        _simulated(simulators[design.sources], subject, stalls, seed, folder, scratch)
        for stalls, design in designs.items()
    ]
    simulations = [simulation for simulation, _ in runs]
    free = next((x for x in simulations if x.stalls == Stalls()), None)
    return Rung(
        name,
        frames=len(subject.codes),
        seconds=time.monotonic() - started,
        layers=summed([layers for _, layers in runs]),
        predicted=simulations[0].values[OUTPUT].reshape(-1),
        runs=tuple(_run(simulation, layers) for simulation, layers in runs),
        cycles=None if free is None else {"latency": free.latency, "interval": free.interval},
    )


def _built(designs: Mapping[tuple[Path, ...], Design]) -> dict[tuple[Path, ...], Simulator]:
    """Simulators of designs, by the sources that these are named by."""
    simulators = {}
    for sources, design in designs.items():
        with busy("building a simulator, a minute or so for a new design"):
            simulator = build_simulator(design, RTL_CACHE)
        how = f"built in {simulator.seconds:.0f} s" if simulator.built else "up to date"
        say(f"simulator {how}: {len(sources)} sources")
        simulators[sources] = simulator
    return simulators


def _simulated(
    simulator: Simulator, subject: Subject, stalls: Stalls, seed: int, folder: Path, scratch: Path
) -> tuple[Simulation, tuple[LayerResult, ...]]:
    """One simulation, compared; those that take several times as long get a few frames."""
    codes = subject.codes[:FEW_FRAMES] if stalls.kind in SHORT else subject.codes
    place = scratch / f"rtlsim-{stalls.kind}-{stalls.percent}"
    place.mkdir()
    with busy(f"simulating {len(codes)} frames, stalls {stalls}, seed {seed}"):
        simulation = simulate(
            simulator,
            codes.reshape(len(codes), math.prod(codes.shape[1:])),
            stalls=stalls,
            seed=seed,
            tables=folder,
            scratch=place,
        )
    names = (*streams_of(subject.model, simulator.design), OUTPUT)
    wanted = with_output(subject.model.trace(codes))
    return simulation, compare_streams(names, wanted, simulation.values)


def streams_of(model: IntegerModel, design: Design) -> Iterator[str]:
    """All layer boundaries, and the accumulators that a design has: a run has none of its own.

    A boundary that the design does not show is among them: its absence is not to go unnoticed.
    """
    shown = {stream.values for stream in design.inner}
    for name in model.hardware_streams:
        if name in shown or not name.endswith(ACCUMULATOR):
            yield name


def _run(simulation: Simulation, layers: Sequence[LayerResult]) -> Run:
    return Run(
        str(simulation.stalls),
        len(simulation.values[OUTPUT]),
        simulation.cycles,
        sum(x.mismatches for x in layers),
        round(simulation.seconds, 2),
    )


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
        parts=stream.parts,
    )


# --- parts --------------------------------------------------------------------------------------


def _boundaries(
    model: IntegerModel,
    start: int,
    codes: Integers,
    found: Mapping[str, Integers],
    entering: Integers,
) -> _Part:
    """A rung that has no accumulators, and that does its own quantizing of the input."""
    names = ("input", *model.boundaries)
    wanted = {"input": codes, **model.trace(codes)}
    layers = compare_streams(names, wanted, {"input": entering, **found}, start)
    return _Part(layers, _classes(found[model.boundaries[-1]]))


def _classes(logits: Integers) -> Integers:
    """(frames,), as the hardware chooses: of equal logits the lowest index."""
    return labels(logits).reshape(-1)


def _in_turn(name: str, subject: Subject, part: Callable[[slice], _Part]) -> Rung:
    """All frames, chunk by chunk."""
    return _gathered(name, subject, map(part, chunks(len(subject.codes))))


def _gathered(name: str, subject: Subject, found: Iterable[_Part]) -> Rung:
    """What the chunks came to, with a progress bar while they do."""
    started, parts = time.monotonic(), []
    with progress(name, len(subject.codes), "frames") as bar:
        for part in found:
            parts.append(part)
            bar.advance(len(part.predicted))
    return Rung(
        name,
        frames=len(subject.codes),
        seconds=time.monotonic() - started,
        layers=summed([x.layers for x in parts]),
        predicted=np.concatenate([x.predicted for x in parts]),
    )
