"""Codes of a layer: lines and comparators give those of its thresholds, in few lanes."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.dataflow.integer_model import Codes, Layer, reachable
from pipeline.dataflow.zeros import convolution as convolution_module
from pipeline.dataflow.zeros.convolution import Convolution, convolution, width
from pipeline.dataflow.zeros.network import AdderNetwork, PlanError
from pipeline.dataflow.zeros.planning import plan
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


def executed(plan: Convolution, codes: np.ndarray) -> np.ndarray:
    """Codes after the pool, by the plan's own networks, factors and thresholds."""
    groups = codes.reshape(len(codes), plan.positions, plan.channels)
    lead = plan.kernel - 1 - plan.first
    padded = np.pad(groups, ((0, 0), (lead, plan.flush), (0, 0))) - plan.codes.low
    windows = np.stack([padded[:, t : t + plan.kernel] for t in range(plan.evaluations)], axis=1)
    windows = windows.reshape(-1, plan.kernel * plan.channels)
    sums = plan.sums.run(windows) + np.array([x for _, x in sorted(plan.sums.offsets.items())])
    sums = sums.reshape(len(sums), plan.merged, -1).max(axis=1)
    found = np.full_like(sums, -1)
    for slot, row in enumerate(plan.quantizer.order):
        for lane, output in enumerate(row):
            if output is not None:
                found[:, output] = code(plan, slot, lane, sums[:, output])
    kept = plan.output_positions * plan.pool
    found = found.reshape(len(codes), plan.evaluations, plan.outputs)[:, :kept]
    pooled = found.reshape(len(codes), plan.output_positions, plan.pool, plan.outputs).max(axis=2)
    return pooled.reshape(len(codes), plan.output_positions * plan.output_group, -1)


def codes_of(layer: Layer, codes: np.ndarray) -> np.ndarray:
    """By the integer model."""
    return layer.pooled(layer.quantized(layer.accumulators(codes)))


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
    assert np.array_equal(executed(plan, entering), codes_of(layer, entering))
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


# --- groups of positions ------------------------------------------------------------------------

SHAPES = [
    (3, 1, 1),
    (3, 1, 2),
    (3, 1, 4),
    (3, 0, 2),
    (5, 2, 2),
    (5, 2, 6),
    (1, 0, 1),
    (5, 0, 3),
    (7, 1, 2),
]
"""Kernel, padding, pool."""


@pytest.mark.parametrize("group", [2, 3, 4])
@pytest.mark.parametrize("cycles", [1, 2, 8])
@pytest.mark.parametrize(("kernel", "padding", "pool"), SHAPES)
def test_groups_have_the_codes_of_their_positions(
    group: int, cycles: int, kernel: int, padding: int, pool: int
) -> None:
    codes = Codes(-8, 7)
    rng = np.random.default_rng(SEED)
    layer = random_layer(codes, 4, 4, 0.3)
    weights = np.concatenate([layer.weights, layer.weights, layer.weights], axis=1)[:, :kernel]
    layer = replace(layer, weights=weights, padding=padding, pool=pool)
    entering = rng.integers(codes.low, codes.high + 1, (4, 24, CHANNELS))
    merged = min(group, pool)
    if (24 + 2 * padding - kernel + 1) % group or group % merged or pool % merged:
        with pytest.raises(PlanError, match="no multiple"):
            convolution(layer, codes, 24, cycles, group)
        return
    plan = convolution(layer, codes, 24, cycles, group)
    assert np.array_equal(executed(plan, entering), codes_of(layer, entering))
    assert plan.positions == 24 // group


def test_an_odd_frame_has_no_pairs() -> None:
    with pytest.raises(PlanError, match="25 positions of a frame are no multiple of 2"):
        convolution(random_layer(Codes(0, 15), 4, 4, 0.0), Codes(0, 15), 25, 1, 2)


def test_a_pool_halves_the_codes_that_are_computed() -> None:
    layer = random_layer(Codes(0, 15), 4, 4, 0.0)
    pooled = convolution(layer, Codes(0, 15), 24, 1, 2)
    handed_on = convolution(replace(layer, pool=1), Codes(0, 15), 24, 1, 2)
    assert (pooled.outputs, pooled.output_group) == (OUTPUTS, 1)
    assert (handed_on.outputs, handed_on.output_group) == (2 * OUTPUTS, 2)
    assert len(pooled.sums.rows) == len(handed_on.sums.rows) == 2 * OUTPUTS


def test_sums_with_unequal_offsets_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def uneven(*arguments: object) -> AdderNetwork:
        found = plan(*arguments)  # type: ignore[arg-type]
        return replace(found, offsets={**found.offsets, 3: found.offsets[3] + 1})

    monkeypatch.setattr(convolution_module, "plan", uneven)
    monkeypatch.setattr(convolution_module, "check", lambda *_: None)
    with pytest.raises(PlanError, match="sums 3 and 16 of one maximum"):
        convolution(random_layer(Codes(0, 15), 4, 4, 0.0), Codes(0, 15), 24, 1, 2)
