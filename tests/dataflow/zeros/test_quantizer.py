"""Codes of a layer: lines and comparators give those of its thresholds, in few lanes."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.dataflow.integer_model import Codes, Layer, reachable
from pipeline.dataflow.zeros.convolution import Convolution, convolution, width
from pipeline.dataflow.zeros.network import PlanError
from pipeline.dataflow.zeros.quantizer import Comparators, Requantizer, Steps, quantizer
from pipeline.dataflow.zeros.requantization import Affine

SEED = 3
CHANNELS, OUTPUTS, POSITIONS = 5, 13, 9


def random_layer(codes: Codes, bits: int, weight_bits: int, bent: float) -> Layer:
    """A share of the channels has thresholds that lie anywhere, some out of reach."""
    rng = np.random.default_rng(SEED)
    low = -(2 ** (weight_bits - 1))
    weights = rng.integers(low, -low, (OUTPUTS, 3, CHANNELS))
    weights[rng.random(weights.shape) < 0.5] = 0
    levels = 2**bits - 1
    lows, highs = reachable(weights, codes)
    spread = np.maximum(1, highs - lows)
    slopes, starts = 1.6 * levels / spread, lows + spread * 0.2
    steps = np.ceil(starts[:, None] + np.arange(levels) / slopes[:, None]).astype(np.int64)
    for channel in np.flatnonzero(rng.random(OUTPUTS) < bent):
        reach = rng.integers(lows[channel] - 9, highs[channel] + 9, levels)
        steps[channel] = np.sort(reach)
    output = Codes(0, levels)
    return Layer("layer", "boundary", weights, weight_bits, 1, steps, None, 2, output)


def executed(plan: Convolution, layer: Layer, codes: np.ndarray) -> np.ndarray:
    """Codes before the pool, by the plan's own networks, factors and thresholds."""
    kernel = plan.kernel
    padded = np.pad(codes, ((0, 0), (plan.padding, plan.padding), (0, 0))) - plan.codes.low
    windows = np.stack([padded[:, t : t + kernel] for t in range(plan.evaluations)], axis=1)
    windows = windows.reshape(-1, kernel * plan.channels)
    offsets = [plan.sums.offsets[o] for o in range(plan.outputs)]
    sums = plan.sums.run(windows) + np.array(offsets)
    found = np.full_like(sums, -1)
    for slot, row in enumerate(plan.quantizer.order):
        for lane, output in enumerate(row):
            if output is not None:
                found[:, output] = code(plan, slot, lane, sums[:, output])
    return found.reshape(len(codes), plan.evaluations, plan.outputs)


def code(plan: Convolution, slot: int, lane: int, sums: np.ndarray) -> np.ndarray:
    for kind in (plan.quantizer.requantizer, plan.quantizer.comparators):
        if kind is not None and lane in kind.lanes:
            return (
                by_lines(kind, slot, lane, sums)
                if isinstance(kind, Requantizer)
                else (by_search(kind, slot, lane, sums))
            )
    raise AssertionError("a lane that gives no codes")


def by_lines(kind: Requantizer, slot: int, lane: int, sums: np.ndarray) -> np.ndarray:
    place = kind.lanes.index(lane)
    level = (kind.factors[slot][place] * sums + kind.terms[slot][place]) >> kind.shift
    return np.clip(level, 0, kind.levels)


def by_search(kind: Comparators, slot: int, lane: int, sums: np.ndarray) -> np.ndarray:
    """As the hardware searches: the highest bit first, its memory by slot and the bits above."""
    place, found = kind.lanes.index(lane), np.zeros_like(sums)
    for stage in range(kind.code_bits):
        memory = np.array(kind.decisive(place, kind.code_bits - 1 - stage))
        found = found << 1 | (sums >= memory[(slot << stage) + found])
    return found


@pytest.mark.parametrize(
    ("codes", "bits", "weight_bits"),
    [
        (Codes(-8, 7), 4, 4),
        (Codes(0, 15), 4, 2),
        (Codes(0, 3), 2, 8),
        (Codes(-128, 127), 8, 8),
        (Codes(-2, 1), 8, 2),
        (Codes(0, 255), 1, 5),
    ],
)
@pytest.mark.parametrize("cycles", [1, 4, 16])
@pytest.mark.parametrize("bent", [0.0, 0.3, 1.0])
def test_a_plan_has_the_codes_of_its_layer(
    codes: Codes, bits: int, weight_bits: int, cycles: int, bent: float
) -> None:
    layer = random_layer(codes, bits, weight_bits, bent)
    plan = convolution(layer, codes, POSITIONS, cycles)
    entering = np.random.default_rng(SEED).integers(codes.low, codes.high + 1, (6, POSITIONS, 5))
    entering[0], entering[1] = codes.low, codes.high
    wanted = layer.quantized(layer.accumulators(entering))
    assert np.array_equal(executed(plan, layer, entering), wanted)
    assert plan.quantizer.lines + plan.quantizer.compared == OUTPUTS


@pytest.mark.parametrize("cycles", [1, 2, 4, 8, 16])
def test_as_few_lanes_as_possible_compare(cycles: int) -> None:
    layer = random_layer(Codes(0, 15), 4, 4, 0.5)
    plan = convolution(layer, Codes(0, 15), POSITIONS, cycles)
    whole = convolution(random_layer(Codes(0, 15), 4, 4, 0.0), Codes(0, 15), POSITIONS, cycles)
    assert whole.quantizer.comparators is None
    assert layer.thresholds is not None
    straight = whole_lines(layer)
    comparators = plan.quantizer.comparators
    assert comparators is not None
    slots = len(plan.quantizer.order)
    assert len(comparators.lanes) == -(-(OUTPUTS - straight) // slots)


def whole_lines(layer: Layer) -> int:
    """Channels that are lines, whatever lane they are in: a cycle has a lane for each."""
    return convolution(layer, Codes(0, 15), POSITIONS, 1).quantizer.lines


def test_a_layer_without_thresholds_is_refused() -> None:
    layer = replace(random_layer(Codes(0, 15), 4, 4, 0.0), thresholds=None)
    with pytest.raises(PlanError, match="no thresholds"):
        convolution(layer, Codes(0, 15), POSITIONS, 1)


def test_a_channel_that_is_no_line_takes_its_lane_along() -> None:
    line = Steps((2, 4, 6), 9, Affine(1, 0, 1))
    bent = Steps((0, 4, 5), 9, None)
    found = quantizer([line, bent, line], ((0, 1), (2, None)))
    assert (found.lines, found.compared) == (2, 1)
    found = quantizer([line, bent, line], ((0, 2), (1, None)))
    assert (found.lines, found.compared) == (1, 2)


def test_codes_of_fewer_steps_than_their_bits_allow() -> None:
    """What fills the tables up is not reached."""
    found = quantizer([Steps((3, 3, 7, 8, 8), 12, None)], ((0,),)).comparators
    assert found is not None
    assert width(Codes(0, 5)) == found.code_bits
    sums = np.arange(12)
    wanted = (np.array([3, 3, 7, 8, 8])[:, None] <= sums).sum(axis=0)
    assert np.array_equal(by_search(found, 0, 0, sums), wanted)
