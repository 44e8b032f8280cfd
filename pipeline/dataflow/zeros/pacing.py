"""How fast each layer of a run has to be, so that a frame's label is there in time.

At the rate of its input every layer takes all the time there is, which is the cheapest.  What comes
behind a frame's last sample is then longest in the last layers, which are also the cheapest ones to
speed up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.errors import UserError
from pipeline.dataflow.zeros.convolution import Convolution
from pipeline.dataflow.zeros.dense import Schedule
from pipeline.dataflow.zeros.dense_planning import LUTS_OF_A_DSP
from pipeline.dataflow.zeros.dense_planning import lut_sites as engine_sites
from pipeline.dataflow.zeros.dense_timing import Times
from pipeline.dataflow.zeros.network import AdderNetwork, Leaf, PlanError
from pipeline.dataflow.zeros.planning import lut_sites
from pipeline.dataflow.zeros.run import Pace, Planner, Run, paced

ANY = sys.maxsize
"""A latency that every run has."""
AROUND_SUMS = 8
"""Cycles of a convolution besides those of its sums: pacer, window, codes and pool."""
WORTH_IT = 4
"""A layer is made faster if it takes at least this part of the slowest one's cycles: a faster one
would save less, and cost more."""
FASTER = 0.8
"""The next dense engine that is tried has so much of the latency of the one before."""


def latency(run: Run) -> int:
    """Cycles from a frame's first beat to its last value, as simulation finds it within 1 %."""
    beats = run.positions // run.pace.group * run.pace.spacing
    tails = sum(_tail(layer) for layer in run.convolutions)
    return beats + tails + (Times(run.schedule).after_last() if run.schedule else 0)


def _tail(layer: Convolution) -> int:
    sums = layer.sums
    evaluation = sums.digits * sums.phases + sums.levels + (sums.phases > 1)
    return layer.flush * layer.cycles + evaluation + AROUND_SUMS


def cost(run: Run) -> float:
    """In LUTs, a DSP being worth some: to compare runs of the same layers."""
    found = 0.0
    for layer in run.convolutions:
        multiplied = layer.quantizer.requantizer
        lanes = 0 if multiplied is None else len(multiplied.lanes)
        found += lut_sites(layer.sums) + LUTS_OF_A_DSP * lanes
    if run.schedule is not None:
        shape = run.schedule.shape
        found += engine_sites(shape) + LUTS_OF_A_DSP * shape.groups
    return found


@dataclass(frozen=True)
class Row:
    """What is planned for a layer, or for the dense layers that share an engine.

    cycles: of a position; digit_bits: of a code in a cycle; phases: outputs that a sum serves by
    turns; lut: of the sums, and for dense layers of the engine; multipliers: for codes; lines,
    compared: channels whose codes are multiplied, and those whose sums are compared with
    thresholds; padded: places of the schedule in which nothing is computed; frame_cycles: of a
    frame.  None: it has no such thing.
    """

    layer: str
    weights: int
    nonzeros: int
    cycles: int
    digit_bits: int | None
    phases: int | None
    lut: int
    multipliers: int
    lines: int
    compared: int
    padded: int
    frame_cycles: int


def rows(run: Run) -> Iterator[Row]:
    """In data order."""
    for layer, own in zip(run.convolutions, run.layers, strict=False):
        multiplied = layer.quantizer.requantizer
        yield Row(
            layer=layer.name,
            weights=int(own.weights.size),
            nonzeros=layer.nonzeros,
            cycles=layer.cycles,
            digit_bits=layer.sums.digit_bits,
            phases=layer.sums.phases,
            lut=lut_sites(layer.sums),
            multipliers=0 if multiplied is None else len(multiplied.lanes),
            lines=layer.quantizer.lines,
            compared=layer.quantizer.compared,
            padded=_padded(layer.sums),
            frame_cycles=run.interval,
        )
    if run.schedule is not None:
        yield _dense_row(run, run.schedule)


def _padded(sums: AdderNetwork) -> int:
    """Places in truth tables that have no weight while another output has one."""
    tables = (node for node in sums.nodes if isinstance(node, Leaf))
    return sum(row.count(0) for table in tables for row in table.weights)


def _dense_row(run: Run, schedule: Schedule) -> Row:
    shape = schedule.shape
    quantized = sum(len(layer.weights) for layer in run.dense if layer.thresholds is not None)
    nonzeros = sum(int(np.count_nonzero(layer.weights)) for layer in run.dense)
    return Row(
        layer=", ".join(layer.name for layer in run.dense),
        weights=sum(int(layer.weights.size) for layer in run.dense),
        nonzeros=nonzeros,
        cycles=schedule.spacing,
        digit_bits=None,
        phases=None,
        lut=round(engine_sites(shape)),
        multipliers=shape.groups if shape.scaled else 0,
        lines=quantized if shape.scaled else 0,
        compared=0 if shape.scaled else quantized,
        padded=len(schedule.frame) * shape.all_units - nonzeros,
        frame_cycles=run.interval,
    )


def in_time(planner: Planner, wanted: int) -> Run:
    """The run at its input's rate, with layers made faster until its latency is `wanted` or none
    can be.  Always the one that saves most cycles for its cost is next.

    Raises PlanError where groups do not fit, UserError where no dense engine keeps up.
    """
    run = planner.run(paced(planner.layers, planner.arrival))
    while latency(run) > wanted:
        faster = list(_faster(planner, run))
        if not faster:
            break
        run = max(faster, key=lambda x: (latency(run) - latency(x)) / max(cost(x) - cost(run), 1.0))
    return run


def _faster(planner: Planner, run: Run) -> Iterator[Run]:
    """Runs in which one layer more is faster, if they have less latency."""
    for pace in _paces(planner, run):
        try:
            found = planner.run(pace)
        except (PlanError, UserError):  # this is as fast as it gets
            continue
        if latency(found) < latency(run):
            yield found


def _paces(planner: Planner, run: Run) -> Iterator[Pace]:
    most = max(run.pace.cycles, default=0)
    for index, cycles in enumerate(run.pace.cycles[1:], 1):  # the first one paces the input
        if cycles > 1 and WORTH_IT * cycles >= most:
            wanted = list(run.pace.cycles)
            wanted[index] = cycles // 2
            yield replace(run.pace, cycles=_possible(planner, wanted))
    if run.schedule is not None:
        yield replace(run.pace, latency=int(FASTER * Times(run.schedule).after_last()))


def _possible(planner: Planner, wanted: Sequence[int]) -> tuple[int, ...]:
    """Cycles with which every convolution keeps up with the one before."""
    found, arrive = [], planner.arrival
    for layer, cycles in zip(planner.layers, wanted, strict=False):
        found.append(min(cycles, arrive.spacing))
        arrive = arrive.after(layer, found[-1])
    return tuple(found)
