"""Chooses a dense engine for a run of layers: the smallest of those that are in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.core.errors import UserError
from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.zeros.dense import DenseLayer, Integers, Schedule, Shape, dense_layers
from pipeline.dataflow.zeros.dense_check import DenseReport, check
from pipeline.dataflow.zeros.dense_problem import Problem, least_words, lut_sites, shape_of
from pipeline.dataflow.zeros.dense_program import Program, Word, dealt, written
from pipeline.dataflow.zeros.dense_timing import Times
from pipeline.dataflow.zeros.network import PlanError

MOST_UNITS = 128
LARGEST_GROUPS = 32
LUTS_OF_A_DSP = 50
"""What is given for one: boards have some hundred for each, but convolutions want both."""


def plan(
    layers: Sequence[Layer],
    entering: Codes,
    spacing: int,
    *,
    latency: int | None = None,
    most_units: int = MOST_UNITS,
) -> tuple[Schedule, DenseReport]:
    """The cheapest engine for dense layers whose positions come at least `spacing` cycles apart.

    entering: type of the first layer's codes; latency: most cycles from a frame's last position to
    its last value.  The schedule is checked.  Raises UserError where no engine of at most
    `most_units` units is in time.
    """
    _, positions, channels = layers[0].weights.shape
    problem = Problem(dense_layers(layers, entering), positions, channels, spacing)
    best: tuple[float, Schedule] | None = None
    for least in sorted(_least(problem, most_units, latency), key=_cost):
        if best is None or _cost(least) < best[0]:
            found = _smallest(problem, least, most_units, latency)
            if found and (best is None or _cost(found.shape) < best[0]):
                best = _cost(found.shape), found
    if best is not None:
        return best[1], check(best[1], problem.layers)
    raise UserError(
        f"{problem.nonzeros} nonzero weights do not go through {most_units} units in "
        f"{positions * spacing} cycles" + (f" with a latency of {latency}" if latency else ""),
        f"{layers[0].name} .. {layers[-1].name}",
        "allow more units, cycles or latency, or prune more",
    )


def _cost(shape: Shape) -> float:
    """Of an engine, in LUTs: a group has a DSP."""
    return lut_sites(shape) + LUTS_OF_A_DSP * shape.groups


def _least(problem: Problem, most_units: int, latency: int | None) -> Iterator[Shape]:
    """For every number of groups the engine that would be in time if no unit ever waited."""
    outputs = max(len(layer.weights) for layer in problem.layers)
    for groups in (1 << i for i in range(LARGEST_GROUPS.bit_length())):
        shapes = (shape_of(problem, groups, n) for n in range(1, most_units // groups + 1))
        fast = (shape for shape in shapes if _could_be_in_time(problem, shape, latency))
        if groups < 2 * outputs and (found := next(fast, None)):
            yield found


def _could_be_in_time(problem: Problem, shape: Shape, latency: int | None) -> bool:
    words, after_last = least_words(problem, shape)
    fast = words <= problem.positions * problem.spacing
    return fast and (latency is None or after_last <= latency)


def _smallest(
    problem: Problem, least: Shape, most_units: int, latency: int | None
) -> Schedule | None:
    """The program with the fewest units in these groups that is in time.

    Units are added in larger and larger steps, and taken away again by halves: more of them are as
    good as never slower.
    """
    groups, failed, step = least.groups, least.units - 1, 1
    most = most_units // groups
    found = None
    while found is None and failed < most:
        units = min(failed + step, most)
        found = _in_time(problem, groups, units, latency)
        if found is None:
            failed, step = units, 2 * step
    while found is not None and found.shape.units - failed > 1:
        units = (found.shape.units + failed) // 2
        fewer = _in_time(problem, groups, units, latency)
        found, failed = (fewer, failed) if fewer else (found, units)
    return found


def _in_time(problem: Problem, groups: int, units: int, latency: int | None) -> Schedule | None:
    found = schedule(problem, groups, units)
    if found and (latency is None or Times(found).after_last() <= latency):
        return found
    return None


def schedule(problem: Problem, groups: int, units: int) -> Schedule | None:
    """The program for an engine of this size; None where it is not in time.

    Of the numbers of positions in memory the smallest is taken.
    """
    shape = shape_of(problem, groups, units)
    program = written(problem, shape, dealt(problem, groups))
    rings = [ring for ring in range(1, problem.positions + 1) if problem.positions % ring == 0]
    for ring in rings:
        found = _finished(problem, replace(shape, ring=ring, slots=len(program.slots)), program)
        try:
            Times(found).require_memory()
        except PlanError:
            continue
        return found
    return None


# --- as numbers ---------------------------------------------------------------------------------


def _finished(problem: Problem, shape: Shape, program: Program) -> Schedule:
    slots = program.slots
    words = _padded(program)
    places = _places(problem, shape, program)
    table = np.array(
        [
            [(w.weight, places.get((w.layer - 1, w.source), 0), w.accumulator) for w in row]
            for row in words
        ]
    )
    factors, terms = _multiplications(problem, shape, program)
    last = problem.layers[-1]
    return Schedule(
        shape=shape,
        positions=problem.positions,
        spacing=problem.spacing,
        weights=table[:, :, 0],
        addresses=table[:, :, 1],
        accumulators=table[:, :, 2],
        wait=np.array([slot.wait for slot in slots]),
        last=np.array([slot.last for slot in slots]),
        clear=np.array([slot.clear for slot in slots]),
        emit=np.array([slot.emit for slot in slots]),
        value=np.array([slot.value for slot in slots]),
        rows=tuple(program.rows),
        factors=factors,
        terms=terms,
        thresholds=_thresholds(problem, shape, program),
        constants=last.bias + last.missing,
    )


def _padded(program: Program) -> list[list[Word]]:
    """Padding changes nothing, and must not undo what the word before has changed either."""
    rows: list[list[Word]] = []
    before = [Word(0)] * program.shape.all_units
    changed = [False] * len(before)
    for slot in program.slots:
        row = []
        for unit, word in enumerate(slot.words):
            number = (before[unit].accumulator + changed[unit]) % program.shape.accumulators
            row.append(word or Word(number))
        changed = [word is not None for word in slot.words]
        rows.append(row)
        before = row
    return rows


def _places(problem: Problem, shape: Shape, program: Program) -> dict[tuple[int, int], int]:
    """Address of each code: (layer, output), layer -1 being the input."""
    result = {}
    for position in range(problem.positions):
        first = position % shape.ring * shape.position_words * shape.groups
        for c in range(problem.channels):
            result[-1, position * problem.channels + c] = first + c
    for number, row in enumerate(program.rows):
        first = (shape.ring * shape.position_words + number) * shape.groups
        result |= {(row.layer, o): first + g for g, o in enumerate(row.outputs) if o is not None}
    return result


def _quantized_places(
    problem: Problem, shape: Shape, program: Program
) -> Iterator[tuple[int, int, DenseLayer, int]]:
    """Row, group, layer and output of everything that is quantized."""
    for number, row in enumerate(program.rows):
        for group, output in enumerate(row.outputs):
            if output is not None:
                yield number, group, problem.layers[row.layer], output
    if shape.value_codes:
        values = [slot.value for slot in program.slots if slot.value >= 0]
        for output, group in enumerate(values):
            yield shape.hidden + output, group, problem.layers[-1], output


def _multiplications(problem: Problem, shape: Shape, program: Program) -> tuple[Integers, Integers]:
    factors = np.zeros((shape.rows, shape.groups), np.int64)
    terms = np.zeros_like(factors)
    if problem.lines is not None:
        for row, group, layer, output in _quantized_places(problem, shape, program):
            found = problem.lines[layer.name, output]
            factors[row, group], terms[row, group] = found.factor, found.term
    return factors, terms


def _thresholds(problem: Problem, shape: Shape, program: Program) -> Integers:
    """(rows, groups, levels) for a search: levels that a layer does not have are never reached."""
    never = (1 << (shape.acc_bits - 1)) - 1
    levels = 0 if shape.scaled else 2**shape.hidden_bits - 1
    table = np.full((shape.rows, shape.groups, levels), never, np.int64)
    if not shape.scaled:
        for row, group, layer, output in _quantized_places(problem, shape, program):
            own = layer.raw_thresholds[output]
            table[row, group, : len(own)] = own
    return table
