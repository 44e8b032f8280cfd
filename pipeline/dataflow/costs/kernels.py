"""What the operators of the folded engine take, from their modules' parameters.

Constants are fitted to single nodes as Yosys maps them (`pipeline.bench.costs` measures again and
has the errors); what they multiply is what the module has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import gcd

from pipeline.dataflow.costs.cost import Cost
from pipeline.dataflow.costs.memory import ram_luts, rom_cost, rom_luts, threshold_cost

Parameters = Mapping[str, int | str]

SMALLEST_DSP_PRODUCT = 10
"""Bits: of `pipeline.synth.families`, by which a smaller product is made of LUTs."""


def kernel_cost(module: str, parameters: Parameters) -> Cost:
    """Of an instance of a module of `hw/rtl`."""
    numbers = {name: int(x) for name, x in parameters.items() if isinstance(x, int)}
    return _KERNELS[module](numbers)


Numbers = Mapping[str, int]


def _bits(count: int) -> int:
    """Of a counter below `count`."""
    return max(1, (count - 1).bit_length())


LIVE_LANES, NONZEROS = "LiveLanes", "Nonzeros"
"""Of a unit, beside its parameters: products that have a weight other than 0 in any word, and all
such weights.  Where weights are logic, Yosys leaves the other products away."""
ALONE = 0.3
"""Of a multiplier, for each weight that a live product has in all words: few are nearly constant
factors (vgg10_w4a4_fmp, conv1: 593 weights in 329 products of 24 words)."""


def _unit(p: Numbers) -> Cost:
    """Products, their sums (a bit of an adder is a LUT), kept vector, weights, counters."""
    lanes, folds = p["Pe"] * p["Simd"], p["MatrixWidth"] // p["Simd"]
    words = folds * (p["MatrixHeight"] // p["Pe"])
    weights = rom_cost(words, lanes * p["WeightBits"])
    live = lanes if weights.bram36 else p.get(LIVE_LANES, lanes)
    constant = min(1.0, ALONE * p.get(NONZEROS, words * lanes) / max(1, live))
    product = p["WeightBits"] + p["InBits"] + 1
    by_dsp = product >= SMALLEST_DSP_PRODUCT
    # n by m bits: n * m ANDs, and adders between them
    multiplier = 0.0 if by_dsp else 1.25 * p["WeightBits"] * p["InBits"] * constant
    arithmetic = live * (multiplier + product) + p["Pe"] * 1.8 * p["AccBits"]
    kept = ram_luts(folds, p["Simd"] * p["InBits"]) + p["Simd"] * p["InBits"]
    control = 12 + 2 * (_bits(words) + _bits(folds))
    table = replace(weights, lut=weights.lut * live / lanes)
    return Cost(arithmetic + kept + control, live if by_dsp else 0) + table


def _window(p: Numbers) -> Cost:
    depth = ((p["Kernel"] - 1) * p["Dilation"] + 1) * p["Folds"]
    return Cost(17 + 8 * _bits(depth) + ram_luts(depth, p["Bits"]))


def _padding(_: Numbers) -> Cost:
    return Cost(19)


def _thresholds(p: Numbers) -> Cost:
    """A comparison and a table in every stage, whose words double."""
    folds = p["Channels"] // p["Pe"]
    compared = p["Stages"] * (1 + max(p["InBits"], p["ThresholdBits"]))
    lane = Cost(0.8 * compared)
    for stage in range(p["Stages"]):
        lane += threshold_cost(folds << stage, p["ThresholdBits"])
    return lane.times(p["Pe"]) + Cost(8)


def _pool(p: Numbers) -> Cost:
    """A comparison and a choice of two; the maxima so far."""
    held = ram_luts(p["Channels"] // p["Pe"], p["Pe"] * p["Bits"])
    return Cost(18 + 2.5 * p["Pe"] * p["Bits"] + held)


def _bias(p: Numbers) -> Cost:
    return Cost(
        9 + p["Pe"] * p["OutBits"] + rom_luts(p["Channels"] // p["Pe"], p["Pe"] * p["OutBits"])
    )


def _label(p: Numbers) -> Cost:
    return Cost(8 + p["Pe"] * p["Bits"])


def _converter(p: Numbers) -> Cost:
    """What is divided moves down in a register, which takes a LUT a bit."""
    wide = p["InBits"] // gcd(p["InBits"], p["OutBits"]) * p["OutBits"]
    divides, collects = wide > p["OutBits"], wide > p["InBits"]
    return Cost((wide - p["OutBits"] + 4) * divides + 4.0 * collects)


def fifo_luts(bits: int, depth: int) -> float:
    """A word passes by the memory where that is empty; two pointers and a counter."""
    stored = depth - 1
    control = 10 + 6 * _bits(stored) if stored > 1 else 5
    return bits + control + (ram_luts(stored, bits) if stored > 1 else 0.0)


def _fifo(p: Numbers) -> Cost:
    return Cost(fifo_luts(p["Bits"], p["Depth"]))


_KERNELS: Mapping[str, Callable[[Numbers], Cost]] = {
    "matrix_vector_unit": _unit,
    "sliding_window": _window,
    "frame_padding": _padding,
    "thresholds": _thresholds,
    "max_pool": _pool,
    "bias_add": _bias,
    "label_select": _label,
    "width_converter": _converter,
    "stream_fifo": _fifo,
}
