"""Exactness between PyTorch and the integers: the certificate, and what it takes to earn it.

With power-of-two scales and sums below 2^24 every float32 accumulator is an exact integer multiple
of its scale, in whatever order it is summed up.  What remains is the rounding error of BatchNorm.
If every real threshold is farther from every integer accumulator than that error, PyTorch's codes
equal the integer model's, whatever the order of evaluation (DESIGN 4).  `canonicalise` moves
BatchNorm's parameters by a minute amount, changing no integer, until that holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.integer_model import IntegerModel, Integers, Layer, reachable
from pipeline.network.chain import BatchNorm, Block, Chain
from pipeline.network.freezing import by_exhaustion, unusable

Extended = NDArray[np.longdouble]

UNIT_ROUNDOFF = np.longdouble(2) ** -24
UNDERFLOW = np.longdouble(2) ** -126
"""Below this float32 loses digits, or everything where a processor flushes it to zero."""
FLOOR = np.longdouble(2) ** -10
"""A threshold keeps twice the error bound plus this distance from an integer accumulator."""
STEP = 2.0**-12
"""Step of the search, in accumulator units."""
EXACT_INTEGERS = 2**24
"""Below this every integer is a float32."""
SCALES = 2.0**-40, 2.0**40
"""Products of two scales in this range, times integers below 2^24, are ordinary float32 numbers."""

CODE_TIES = (
    "half to even, in PyTorch, QONNX and numpy; only the input's quantizer meets halves, and a "
    "division by a power of two is exact: no other quotient is within its error of a half"
)
LABEL_TIES = "the lowest index; logits are exact, so ties are ties everywhere"


@dataclass(frozen=True)
class LayerCertificate:
    """low, high: reach of the accumulators, which is that of their partial sums too; margin:
    smallest distance of a threshold from a reachable accumulator; bound: the float32 error there;
    both in accumulator units, None for logits, which have no thresholds.

    values: reachable accumulators of all channels, on every one of which the codes are known;
    exhaustive: each was evaluated; otherwise thresholds were found by bisection of a function
    that is monotone by construction.
    """

    name: str
    low: int
    high: int
    margin: float | None
    bound: float | None
    values: int
    exhaustive: bool


@dataclass(frozen=True)
class Condition:
    name: str
    holds: bool
    detail: str


@dataclass(frozen=True)
class MovedChannel:
    """layer, channel: whose BatchNorm was moved; shift: the largest move of one of its thresholds
    that an accumulator can reach, in accumulator units; gamma_ratio: of gamma, new to old."""

    layer: str
    channel: int
    shift: float
    gamma_ratio: float


@dataclass(frozen=True)
class Moved:
    """What canonicalisation changed: all channels that needed it, or nothing.

    without_margin: the first that nothing helps, else empty; codes_compared: reachable
    accumulators, of all channels, whose codes before and after were compared: not one differs, or
    the network is not certified.
    """

    moved: tuple[MovedChannel, ...]
    without_margin: str
    codes_compared: int

    @property
    def largest_shift(self) -> float:
        return max((channel.shift for channel in self.moved), default=0.0)


@dataclass(frozen=True)
class Certificate:
    """code_ties, label_ties: the rules that hold where two integers are equally near or large."""

    certified: bool
    conditions: tuple[Condition, ...]
    layers: tuple[LayerCertificate, ...]
    moved: Moved
    code_ties: str = CODE_TIES
    label_ties: str = LABEL_TIES

    def text(self) -> str:
        """As a file: JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"


NOTHING_MOVED = Moved((), "", 0)


def certify(chain: Chain, model: IntegerModel, moved: Moved = NOTHING_MOVED) -> Certificate:
    """States which conditions of the theorem hold for `chain` and its integers, and where not."""
    layers = tuple(_layer_certificate(chain, i, model) for i in range(len(chain.blocks)))
    widest = max(layers, key=lambda layer: max(-layer.low, layer.high))
    reach = max(-widest.low, widest.high)
    conditions = (
        _condition("finite parameters, positive variances", unusable(chain), "not in"),
        _condition("power-of-two scales", _scale_failures(chain), "not in"),
        Condition(
            "accumulators below 2^24",
            reach < EXACT_INTEGERS,
            f"{widest.name} reaches {reach}, partial sums in any order included",
        ),
        _condition("logits in whole steps of one scale", _bias_failures(chain), "not in"),
        _condition("thresholds as exact arithmetic has them", _moved_ones(chain, model), "not in"),
        _condition(
            "threshold margins of twice the error bound plus 2^-10",
            _too_close(chain, model),
            "too small in",
        ),
    )
    return Certificate(all(c.holds for c in conditions), conditions, layers, moved)


LISTED = 3
"""Channels of a layer that a condition's detail lists."""


def _condition(name: str, failures: Sequence[str], relation: str) -> Condition:
    """A condition that holds unless it fails somewhere."""
    detail = f"{relation} {'; '.join(failures)}" if failures else "everywhere"
    return Condition(name, not failures, detail)


def _channels(layer: str, wrong: NDArray[np.bool_]) -> list[str]:
    """The channels of a layer at which `wrong` (out,) is true, as one place; none if it is not."""
    found = np.flatnonzero(wrong).tolist()
    if not found:
        return []
    listed = ", ".join(map(str, found[:LISTED]))
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return [f"{layer} channel{'s' if len(found) > 1 else ''} {listed}{more}"]


def has_power_of_two_scales(chain: Chain) -> bool:
    return not _scale_failures(chain)


def _scale_failures(chain: Chain) -> list[str]:
    """Names of quantizers with a scale that is not an ordinary power of two."""
    scales = {"input": np.atleast_1d(chain.input.scale)}
    for block in chain.blocks:
        scales[f"{block.name}.weight"] = block.weight_scale
        if block.activation is not None:
            scales[f"{block.name}.activation"] = np.atleast_1d(block.activation.scale)
    return [name for name, values in scales.items() if not _are_powers_of_two(values)]


def _are_powers_of_two(values: NDArray[np.float32]) -> bool:
    ordinary = (values >= SCALES[0]) & (values <= SCALES[1])
    return bool((ordinary & (np.frexp(values)[0] == 0.5)).all())


def _bias_failures(chain: Chain) -> list[str]:
    """Classes whose logits are no whole numbers of the one step that all logits have."""
    block, steps = chain.blocks[-1], chain.accumulator_scale(len(chain.blocks) - 1)
    bias = np.zeros(len(steps)) if block.bias is None else block.bias / steps[0]
    wrong = (steps != steps[0]) | ~np.isfinite(bias) | (bias != np.rint(bias))
    return _channels(block.name, wrong)


def _layer_certificate(chain: Chain, index: int, model: IntegerModel) -> LayerCertificate:
    """Zero is among the codes of every input and every weight may be left out of a partial sum,
    so no partial sum leaves the reach of the whole one."""
    layer = model.layers[index]
    low, high = model.accumulator_range(index)
    lows, highs = _reach(layer, chain, index)
    values, exhaustive = int((highs - lows + 1).sum()), by_exhaustion(lows, highs)
    if layer.thresholds is None:  # float32 has to hold the sums with and without their bias
        low, high = min(low, layer.output.low), max(high, layer.output.high)
        return LayerCertificate(layer.name, low, high, None, None, values, True)
    margins, bounds = _margins(chain, index, layer)
    worst = np.unravel_index(np.argmin(margins - 2 * bounds), margins.shape)
    margin, bound = float(margins[worst]), float(bounds[worst])
    return LayerCertificate(layer.name, low, high, margin, bound, values, exhaustive)


def _too_close(chain: Chain, model: IntegerModel) -> list[str]:
    """Channels with a threshold too close to an accumulator."""
    failures = []
    for index, layer in enumerate(model.layers):
        if layer.thresholds is not None:
            failures += _channels(layer.name, _thin(chain, index, layer))
    return failures


def _moved_ones(chain: Chain, model: IntegerModel) -> list[str]:
    """Channels whose integer thresholds are not where exact arithmetic has them."""
    failures = []
    for index, layer in enumerate(model.layers):
        if layer.thresholds is not None:
            line = _line(chain, index)
            low, high = (end[:, None] for end in _reach(layer, chain, index))
            exact = np.clip(np.ceil(line.thresholds()), low, high + 1)
            always = low + (np.rint(line.shift / line.scale)[:, None] * line.scale < line.levels)
            exact = np.where((line.slope == 0)[:, None], always, exact)
            below = line.levels < 0 if chain.blocks[index].relu else False
            differ = (exact != layer.thresholds) & ~np.broadcast_to(below, exact.shape)
            failures += _channels(layer.name, differ.any(axis=1))
    return failures


# --- real thresholds ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """Per channel, in accumulator units: code boundaries z/gain + offset, extended precision.

    slope: sign; gain: real activation per accumulator step; step: real value of that; shift:
    BatchNorm's offset; mean: BatchNorm's mean less the bias, in accumulator steps; size: the sum
    of both magnitudes, since their rounding errors do not cancel; reach: largest size of a sum;
    sums: error of one that has a bias among its terms; levels: boundaries of the quantizer, real
    values, half-way between the multiples of scale.
    """

    slope: Integers
    gain: Extended
    step: Extended
    shift: Extended
    mean: Extended
    size: Extended
    reach: Extended
    sums: Extended
    levels: Extended
    scale: np.longdouble

    def thresholds(self) -> Extended:
        """(out, levels), ascending, of the accumulator times the slope."""
        real = (self.levels - self.shift[:, None]) / self.gain[:, None] + self.mean[:, None]
        return real * self.slope[:, None]

    def bound(self) -> Extended:
        """Float32 error of one boundary, any usual order of evaluation.

        gamma / sqrt(variance + epsilon) takes four roundings, all else one or two each; whether a
        module multiplies or subtracts first, the terms below add up to no less (FACTS 7).
        """
        thresholds = np.abs(self.thresholds())
        offset = 6 * self.size + 4 * np.abs(self.shift / self.gain)
        level = 4 * np.abs(self.levels / self.gain[:, None])
        rounding = UNIT_ROUNDOFF * (6 * thresholds + offset[:, None] + level)
        underflow = 4 * UNDERFLOW * ((self.reach + self.size) * self.step + 4) / np.abs(self.gain)
        return rounding + (underflow + self.sums)[:, None]


def _line(chain: Chain, index: int) -> _Line:
    """The affine map of block `index`; channels with gamma = 0 get slope 0 and gain 1."""
    block = chain.blocks[index]
    assert block.activation is not None
    step = chain.accumulator_scale(index).astype(np.longdouble)
    codes = block.activation.codes
    halves = np.arange(codes.low, codes.high).astype(np.longdouble) + np.longdouble(0.5)
    scale = np.longdouble(block.activation.scale)
    norm = block.norm or _identity(len(block.weights))
    bias = np.zeros(len(step)) if block.bias is None else block.bias
    gamma, variance = _wide(norm.gamma), _wide(norm.variance)
    gain = gamma / np.sqrt(variance + np.longdouble(norm.epsilon)) * step
    slope = np.sign(norm.gamma).astype(np.int64)
    gain = np.where(slope == 0, np.longdouble(1), gain)
    mean = (_wide(norm.mean) - _wide(bias)) / step
    size = (np.abs(_wide(norm.mean)) + np.abs(_wide(bias))) / step
    reach = _wide(np.maximum(*map(np.abs, chain.reach(index))))
    terms = int(np.prod(block.weights.shape[1:]))
    sums = _sum_error(terms, reach, _wide(bias) / step)
    levels = halves * scale
    return _Line(slope, gain, step, _wide(norm.beta), mean, size, reach, sums, levels, scale)


def _sum_error(terms: int, reach: Extended, bias: Extended) -> Extended:
    """Float32 error of a sum of `terms` products and `bias` accumulator steps (out,).

    None where the bias is a whole number of steps.  Otherwise it may come first, and each
    addition behind it rounds.
    """
    rounded = UNIT_ROUNDOFF * (terms + 1) * (reach + np.abs(bias))
    return np.where(bias == np.rint(bias), np.longdouble(0), rounded)


def _wide(values: NDArray) -> Extended:
    return np.asarray(values).astype(np.longdouble)


def _identity(channels: int) -> BatchNorm:
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return BatchNorm(one, zero, zero, one, 0.0)


def _margins(chain: Chain, index: int, layer: Layer) -> tuple[Extended, Extended]:
    """Distance of each threshold from the nearest reachable accumulator, and its error bound.

    A threshold that does no harm has distance 1/2 and bound 0.
    """
    line = _line(chain, index)
    margins = _distance(line.thresholds(), *_reach(layer, chain, index))
    harmless = _harmless(chain, index)
    half, none = np.longdouble(0.5), np.longdouble(0)
    return np.where(harmless, half, margins), np.where(harmless, none, line.bound())


def _harmless(chain: Chain, index: int) -> NDArray[np.bool_]:
    """Thresholds (out, levels) that decide nothing: those of channels with gamma = 0, whose code is
    that of beta in every order of evaluation, and those below a ReLU's zero."""
    line = _line(chain, index)
    below = line.levels < 0 if chain.blocks[index].relu else np.zeros(len(line.levels), bool)
    harmless: NDArray[np.bool_] = (line.slope == 0)[:, None] | below
    return harmless


def _reach(layer: Layer, chain: Chain, index: int) -> tuple[Integers, Integers]:
    return reachable(layer.weights, chain.input_quantizer(index).codes)


def _distance(thresholds: Extended, low: Integers, high: Integers) -> Extended:
    """Distance of (out, levels) thresholds to the nearest integer in low..high (out,)."""
    return np.abs(thresholds - np.clip(np.rint(thresholds), low[:, None], high[:, None]))


# --- canonicalisation ---------------------------------------------------------------------------


def canonicalise(chain: Chain, model: IntegerModel) -> tuple[Chain, Moved]:
    """Nudges BatchNorm until every threshold of `model` keeps its margin.

    Per channel: beta in steps of 2^-12 accumulator units, smallest move first; where no shift
    serves, gamma is also scaled by 1 +- k 2^-12.  The caller freezes the result again and
    requires the same integers.  A channel that finds no margin ends it: the chain is returned as
    it was, since the network cannot be certified.
    """
    blocks, moved = list(chain.blocks), []
    for index, layer in enumerate(model.layers):
        if layer.thresholds is None:
            continue
        for channel in np.flatnonzero(_thin(chain, index, layer)).tolist():
            found = _search(chain, index, layer, channel)
            if found is None:
                return chain, Moved((), f"{layer.name} channel {channel}", 0)
            ratio, shift, largest = found
            blocks[index] = _moved(blocks[index], _line(chain, index), channel, ratio, shift)
            moved.append(MovedChannel(layer.name, channel, largest, ratio))
    values = sum(_reachable_values(chain, model))
    return replace(chain, blocks=tuple(blocks)), Moved(tuple(moved), "", values)


def _reachable_values(chain: Chain, model: IntegerModel) -> Iterator[int]:
    """Accumulators that the channels of each layer with thresholds can reach."""
    for index, layer in enumerate(model.layers):
        if layer.thresholds is not None:
            low, high = _reach(layer, chain, index)
            yield int((high - low + 1).sum())


def _thin(chain: Chain, index: int, layer: Layer) -> NDArray[np.bool_]:
    """Which channels (out,) lack a margin."""
    margins, bounds = _margins(chain, index, layer)
    return np.any(margins < 2 * bounds + FLOOR, axis=1)


_SHIFTS = STEP * np.array([0, *(s * k for k in range(1, 400) for s in (1, -1))])
_RATIOS = 1 + STEP * np.array([0, *(s * k for k in range(1, 64) for s in (1, -1))])


def _search(
    chain: Chain, index: int, layer: Layer, channel: int
) -> tuple[float, float, float] | None:
    """The smallest (ratio of gamma, shift) that gives channel its margin, and the largest move of
    a threshold within reach that comes of them; shift and move in accumulator units."""
    line, block = _line(chain, index), chain.blocks[index]
    if block.norm is None:
        return None
    low, high = (int(end[channel]) for end in _reach(layer, chain, index))
    keep = slice(None) if not block.relu else line.levels >= 0
    assert layer.thresholds is not None
    wanted_integers = layer.thresholds[channel][keep]
    # the same rounding of parameters to float32 costs far less than a tenth of the floor
    wanted = (2 * line.bound()[channel] + FLOOR * np.longdouble(1.1))[keep]
    offset = line.mean[channel] * line.slope[channel]
    before = line.thresholds()[channel][keep]
    within = (before > low - 1) & (before < high + 1)
    for ratio in _RATIOS:
        moved = (before - offset) / ratio + offset + _SHIFTS[:, None]
        nearest = np.clip(np.rint(moved), low, high)
        wide_enough = (np.abs(moved - nearest) >= wanted).all(axis=1)
        same = (np.clip(np.ceil(moved), low, high + 1) == wanted_integers).all(axis=1)
        usable = np.flatnonzero(wide_enough & same)
        if len(usable):
            first = usable[0]
            largest = np.abs(moved[first] - before)[within].max(initial=0)
            return float(ratio), float(_SHIFTS[first]), float(largest)
    return None


def _moved(block: Block, line: _Line, channel: int, ratio: float, shift: float) -> Block:
    """`block` with the thresholds of `channel` scaled about its mean by 1/ratio and shifted."""
    assert block.norm is not None
    gamma, beta = block.norm.gamma.copy(), block.norm.beta.copy()
    gamma[channel] = np.float32(np.longdouble(gamma[channel]) * ratio)
    # threshold = slope * ((level - beta) / gain + mean): beta / gain moves it
    gain = line.gain[channel] * np.longdouble(ratio)
    move = np.longdouble(shift) * line.slope[channel] * gain
    beta[channel] = np.float32(np.longdouble(beta[channel]) - move)
    return replace(block, norm=replace(block.norm, gamma=gamma, beta=beta))
