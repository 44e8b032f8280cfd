"""What layers of the zero-skipping engine take, from their plans.

The planner counts the LUTs of sums itself; here is what stands around them.
"""

from __future__ import annotations

import math

from pipeline.dataflow.costs.cost import Cost, summed
from pipeline.dataflow.costs.memory import blocks, ram_luts, rom_luts, threshold_cost
from pipeline.dataflow.zeros.convolution import Convolution, width
from pipeline.dataflow.zeros.dense import Schedule, Shape
from pipeline.dataflow.zeros.dense_problem import lut_sites as engine_sites
from pipeline.dataflow.zeros.network import AdderNetwork
from pipeline.dataflow.zeros.planning import TABLE_INPUTS, lut_sites
from pipeline.dataflow.zeros.quantizer import Comparators, Requantizer
from pipeline.dataflow.zeros.run import Run

CODES_IN_LUTS = 64
"""Words of a unit's memory, at most (`hw/rtl/sparse_unit.sv`)."""
LUTS_OF_HALF_A_BLOCK = 129
"""As Yosys' script values one (`memory`)."""
CREDITS = 4
"""Frames in a run (`codegen.zeros_run`)."""
DSP_INPUTS = (24, 17)
"""Bits of unsigned numbers that a DSP multiplies."""
SHORTEST_SHIFT = 3
"""Registers in a row that Yosys makes one LUT of."""
MANY_SLOTS = 16
"""Rows of a table of which hardly two columns are equal."""
CONTROL = 70
"""Pacer, window's and serializer's counters, strobes of a convolution."""


def convolution_cost(layer: Convolution) -> Cost:
    """Of a layer: sums, and the way from codes to codes."""
    slots, row_bits = len(layer.quantizer.order), layer.sums.accumulator_bits
    return summed(
        (
            Cost(lut_sites(layer.sums) + _selections(layer.sums) + CONTROL),
            Cost(_window(layer) + _serializer(layer)),
            _maximum(layer),
            _multiplied(layer.quantizer.requantizer, slots, row_bits),
            _compared(layer.quantizer.comparators, slots, row_bits),
            Cost(_pool(layer)),
        )
    )


def _selections(sums: AdderNetwork) -> float:
    """What lanes take more than is planned, a LUT for four inputs: the phase is not the number of
    an input, so that only what has six inputs with it is one LUT.  Else it is a tree, measured in
    conv5 and conv6 of the published 4-bit network: 4 LUT for 8 phases, 8 for 16."""
    tree = sums.phases // 2
    found = 0
    for lane in sums.lanes:
        ways = len({source for source in lane.sources if source is not None})
        if ways + sums.phase_bits > TABLE_INPUTS:
            found += max(0, tree - -(-ways // 4))
    return float(found)


def _window(layer: Convolution) -> float:
    """A digit of several is selected by a LUT for every bit of a tap, or held in a shift register
    that is one."""
    digits = layer.sums.digits
    if digits == 1:
        return 0.0
    return float(layer.kernel * layer.channels * layer.sums.digit_bits)


def _serializer(layer: Convolution) -> float:
    """A lane selects one of `digits` rows: four ways in a LUT."""
    digits, lanes = layer.sums.digits, len(layer.quantizer.order[0])
    if digits == 1:
        return 0.0
    return float(lanes * layer.sums.accumulator_bits * -(-digits // 4))


def _maximum(layer: Convolution) -> Cost:
    """Of several evaluations: a comparison and a choice of two for each."""
    if layer.merged == 1:
        return Cost()
    rows = len(layer.sums.rows) // layer.merged
    return Cost(1.5 * (layer.merged - 1) * rows * layer.sums.accumulator_bits)


def _multiplied(own: Requantizer | None, slots: int, sum_bits: int) -> Cost:
    """DSPs; the table of factors and terms, and the code's limits."""
    if own is None:
        return Cost()
    lanes = len(own.lanes)
    wide, narrow = sorted((sum_bits, own.factor_bits), reverse=True)
    dsp = -(-wide // DSP_INPUTS[0]) * -(-narrow // DSP_INPUTS[1])
    table = rom_luts(slots, round(_distinct(slots, lanes * (own.factor_bits + own.term_bits))))
    return Cost(table + lanes * (2 + width_of(own.levels)), lanes * dsp)


def _distinct(slots: int, columns: int) -> float:
    """How many columns of a table differ: there are no more than `2 ** slots`, and equal ones are
    made once."""
    if slots > MANY_SLOTS:
        return columns
    every = 1 << slots
    return every * -math.expm1(-columns / every)


def width_of(levels: int) -> int:
    """Bits of a code."""
    return max(1, levels.bit_length())


def _compared(own: Comparators | None, slots: int, sum_bits: int) -> Cost:
    """Of every bit of a code a table, and a comparison of a LUT a bit."""
    if own is None:
        return Cost()
    wide = max(sum_bits, own.threshold_bits) + 1
    tables = summed(threshold_cost(slots << bit, wide) for bit in range(own.code_bits))
    return (Cost(own.code_bits * wide) + tables).times(len(own.lanes))


def _pool(layer: Convolution) -> float:
    """Of every lane a comparison and a choice of two; maxima wait in shift registers, and codes
    pass places that have none in one."""
    order = layer.quantizer.order
    slots, lanes, bits = len(order), len(order[0]), width(layer.output)
    idle = slots * lanes - layer.outputs
    passed = bits * min(layer.outputs, idle // SHORTEST_SHIFT)
    if layer.pool == 1:
        return float(passed)
    waiting = lanes * bits * -(-slots // 32) if slots > 2 else 0
    return 1.75 * lanes * bits + waiting + passed


# --- dense layers -------------------------------------------------------------------------------


def engine_cost(shape: Shape) -> Cost:
    """Of the engine of dense layers: a unit has a memory of codes, all have one program."""
    unit_bits = (
        (shape.groups - 1).bit_length()
        + max(1, (shape.words - 1).bit_length())
        + (shape.accumulators - 1).bit_length()
        + shape.magnitude_bits
        + 1
    )
    program = blocks(shape.slots, 6 + shape.all_units * unit_bits)
    constants, dsp, searches = 0.0, 0, Cost()
    if shape.rows and shape.scaled:
        constants = blocks(shape.rows, shape.groups * (shape.factor_bits + shape.term_bits))
        dsp = shape.groups
    elif shape.rows:
        tables = (threshold_cost(shape.rows << i, shape.acc_bits) for i in range(shape.hidden_bits))
        searches = summed(tables) + Cost(shape.hidden_bits * shape.acc_bits)
    logic = Cost(engine_sites(shape), dsp, program + constants)
    return logic + _codes(shape).times(shape.all_units) + searches.times(shape.groups)


def _codes(shape: Shape) -> Cost:
    """Memory of a unit, from which one code of a word is chosen."""
    if shape.words > CODES_IN_LUTS:
        return Cost(bram36=blocks(shape.words * shape.groups, shape.code_bits))
    chosen = shape.code_bits * -(-shape.groups // 4)
    return Cost(ram_luts(shape.words, shape.groups * shape.code_bits) + chosen)


# --- ends ---------------------------------------------------------------------------------------


def entrance_cost(positions: int) -> Cost:
    """Frames are counted in."""
    return Cost(20 + 2 * positions.bit_length())


def exit_cost(last: Convolution | Schedule) -> Cost:
    """Room for all that comes of the frames inside."""
    if isinstance(last, Convolution):
        bits, beats = last.outputs * width(last.output), last.output_positions
    else:
        bits, beats = last.shape.value_bits, last.shape.values
    return _queue(max(2, CREDITS * beats), -(-bits // 8) * 8)


def _queue(words: int, bits: int) -> Cost:
    """`hw/rtl/frame_queue.sv`: its memory is in blocks where LUTs would be dearer to Yosys."""
    luts, own = ram_luts(words, bits), blocks(words, bits)
    counters = Cost(6 * words.bit_length())
    if luts > LUTS_OF_HALF_A_BLOCK * 2 * own:
        return counters + Cost(bram36=own)
    return counters + Cost(luts)


def ends_cost(run: Run) -> Cost:
    """Of a run, besides its layers."""
    last = run.schedule or run.convolutions[-1]
    return entrance_cost(run.positions) + exit_cost(last)
