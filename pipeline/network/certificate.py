"""Exactness between PyTorch and the integers: the certificate, and what it takes to earn it.

With power-of-two scales and accumulators below 2^24 every float32 accumulator is an exact
integer multiple of its scale.  What remains is the rounding error of BatchNorm.  If every real
threshold is farther from every integer accumulator than that error, PyTorch's codes equal the
integer model's, whatever the order of evaluation (DESIGN 4).  `canonicalise` moves BatchNorm's
parameters by a minute amount, changing no integer, until that holds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.dataflow.integer_model import IntegerModel, Integers, Layer, reachable
from pipeline.network.chain import BatchNorm, Block, Chain

Extended = NDArray[np.longdouble]

UNIT_ROUNDOFF = np.longdouble(2) ** -24
FLOOR = np.longdouble(2) ** -10
"""A threshold keeps twice the error bound plus this distance from an integer accumulator."""
STEP = 2.0**-12
"""Step of the search, in accumulator units."""
EXACT_INTEGERS = 2**24
"""Below this every integer is a float32."""


@dataclass(frozen=True)
class LayerCertificate:
    """low, high: reach of the accumulators; margin: smallest distance of a reachable threshold
    from an integer; bound: the float32 error there; both in accumulator units."""

    name: str
    low: int
    high: int
    margin: float
    bound: float


@dataclass(frozen=True)
class Condition:
    name: str
    holds: bool
    detail: str


@dataclass(frozen=True)
class Moved:
    """What canonicalisation changed: channels moved, the largest move of a threshold in
    accumulator units, channels whose gamma was scaled, channels left without a margin."""

    channels: int
    largest_shift: float
    gamma_scaled: int
    without_margin: int


@dataclass(frozen=True)
class Certificate:
    certified: bool
    conditions: tuple[Condition, ...]
    layers: tuple[LayerCertificate, ...]
    moved: Moved

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


NOTHING_MOVED = Moved(0, 0.0, 0, 0)


def certify(chain: Chain, model: IntegerModel, moved: Moved = NOTHING_MOVED) -> Certificate:
    """States which conditions of the theorem hold for `chain` and its integers."""
    layers = tuple(_layer_certificate(chain, i, model) for i in range(len(chain.blocks)))
    scales = [c.name for c in _scale_failures(chain)]
    widest = max(layers, key=lambda layer: max(-layer.low, layer.high))
    reach = max(-widest.low, widest.high)
    thin = [x.name for x in layers if x.margin < 2 * x.bound + float(FLOOR)]
    conditions = (
        Condition(
            "power-of-two scales",
            not scales,
            "all scales" if not scales else f"not in {', '.join(scales)}",
        ),
        Condition(
            "accumulators below 2^24", reach < EXACT_INTEGERS, f"{widest.name} reaches {reach}"
        ),
        Condition(
            "threshold margins of twice the error bound plus 2^-10",
            not thin,
            "all layers" if not thin else f"too small in {', '.join(thin)}",
        ),
    )
    return Certificate(all(c.holds for c in conditions), conditions, layers, moved)


def has_power_of_two_scales(chain: Chain) -> bool:
    return not _scale_failures(chain)


def _scale_failures(chain: Chain) -> list[Block]:
    """Blocks with a scale that is not a power of two (the input's counts for the first)."""
    failures = []
    for index, block in enumerate(chain.blocks):
        scales = [*block.weight_scale, chain.input_quantizer(index).scale]
        if block.activation is not None:
            scales.append(block.activation.scale)
        if not all(np.frexp(s)[0] == 0.5 for s in scales):
            failures.append(block)
    return failures


def _layer_certificate(chain: Chain, index: int, model: IntegerModel) -> LayerCertificate:
    block, layer = chain.blocks[index], model.layers[index]
    low, high = model.accumulator_range(index)
    if layer.thresholds is None:  # float32 has to hold the sums with and without their bias
        low, high = min(low, layer.output.low), max(high, layer.output.high)
        return LayerCertificate(layer.name, low, high, 0.5, 0.0)
    margins, bounds = _margins(chain, index, layer, block)
    worst = np.unravel_index(np.argmin(margins - 2 * bounds), margins.shape)
    return LayerCertificate(layer.name, low, high, float(margins[worst]), float(bounds[worst]))


# --- real thresholds ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """Per channel, in accumulator units: code boundaries z/gain + offset, extended precision.

    slope: sign; gain: real activation per accumulator step; shift: BatchNorm's offset; mean:
    BatchNorm's mean less the bias, in accumulator steps; size: the sum of both magnitudes, since
    their rounding errors do not cancel; levels: boundaries of the quantizer, real values.
    """

    slope: Integers
    gain: Extended
    shift: Extended
    mean: Extended
    size: Extended
    levels: Extended

    def thresholds(self) -> Extended:
        """(out, levels), ascending, of the accumulator times the slope."""
        real = (self.levels - self.shift[:, None]) / self.gain[:, None] + self.mean[:, None]
        return real * self.slope[:, None]

    def bound(self) -> Extended:
        """Float32 error of one boundary, any usual order of evaluation (FACTS 7)."""
        thresholds = np.abs(self.thresholds())
        offset = 6 * self.size + 4 * np.abs(self.shift / self.gain)
        level = 4 * np.abs(self.levels / self.gain[:, None])
        return UNIT_ROUNDOFF * (6 * thresholds + offset[:, None] + level)


def _line(chain: Chain, index: int) -> _Line:
    """The affine map of block `index`; channels with gamma = 0 get slope 0 and gain 1."""
    block = chain.blocks[index]
    assert block.activation is not None
    step = chain.accumulator_scale(index).astype(np.longdouble)
    codes = block.activation.codes
    halves = np.arange(codes.low, codes.high).astype(np.longdouble) + np.longdouble(0.5)
    levels = halves * np.longdouble(block.activation.scale)
    norm = block.norm or _identity(len(block.weights))
    bias = np.zeros(len(step)) if block.bias is None else block.bias
    gamma, variance = _wide(norm.gamma), _wide(norm.variance)
    gain = gamma / np.sqrt(variance + np.longdouble(norm.epsilon)) * step
    slope = np.sign(norm.gamma).astype(np.int64)
    gain = np.where(slope == 0, np.longdouble(1), gain)
    mean = (_wide(norm.mean) - _wide(bias)) / step
    size = (np.abs(_wide(norm.mean)) + np.abs(_wide(bias))) / step
    return _Line(slope, gain, _wide(norm.beta), mean, size, levels)


def _wide(values: NDArray) -> Extended:
    return np.asarray(values).astype(np.longdouble)


def _identity(channels: int) -> BatchNorm:
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return BatchNorm(one, zero, zero, one, 0.0)


def _margins(chain: Chain, index: int, layer: Layer, block: Block) -> tuple[Extended, Extended]:
    """Distance of each threshold from the nearest integer, and its error bound.

    A threshold that lies beyond every reachable accumulator has its distance to the reach; one
    of a constant channel, or below a ReLU's zero, can do no harm and has distance 1/2.
    """
    line = _line(chain, index)
    low, high = _reach(layer, chain, index)
    thresholds = line.thresholds()
    margins = _distance(thresholds, low, high)
    harmless = (line.slope == 0)[:, None] | (line.levels < 0 if block.relu else False)
    return np.where(harmless, np.longdouble(0.5), margins), line.bound()


def _reach(layer: Layer, chain: Chain, index: int) -> tuple[Integers, Integers]:
    return reachable(layer.weights, chain.input_quantizer(index).codes)


def _distance(thresholds: Extended, low: Integers, high: Integers) -> Extended:
    """Distance of (out, levels) thresholds to the nearest integer in low..high (out,)."""
    nearest = np.clip(np.rint(thresholds), low[:, None], high[:, None])
    return np.minimum(np.abs(thresholds - nearest), np.longdouble(0.5))


# --- canonicalisation ---------------------------------------------------------------------------


def canonicalise(chain: Chain, model: IntegerModel) -> tuple[Chain, Moved]:
    """Nudges BatchNorm until every threshold of `model` keeps its margin.

    Per channel: beta in steps of 2^-12 accumulator units, smallest move first; where no shift
    serves, gamma is also scaled by 1 +- k 2^-12.  The caller freezes the result again and
    requires the same integers.  Channels that find no margin are counted, not changed.
    """
    blocks, channels, scaled, failed, largest = list(chain.blocks), 0, 0, 0, 0.0
    for index, layer in enumerate(model.layers):
        if layer.thresholds is None or chain.blocks[index].norm is None:
            continue
        for channel in _thin_channels(chain, index, layer):
            found = _search(chain, index, layer, channel)
            if found is None:
                failed += 1
                continue
            ratio, shift = found
            blocks[index] = _moved(blocks[index], _line(chain, index), channel, ratio, shift)
            channels, scaled = channels + 1, scaled + (ratio != 1.0)
            largest = max(largest, abs(shift))
    return replace(chain, blocks=tuple(blocks)), Moved(channels, largest, scaled, failed)


def _thin_channels(chain: Chain, index: int, layer: Layer) -> list[int]:
    margins, bounds = _margins(chain, index, layer, chain.blocks[index])
    wanted = 2 * bounds + FLOOR
    return [int(c) for c in np.flatnonzero((margins < wanted).any(axis=1))]


_SHIFTS = STEP * np.array([0, *(s * k for k in range(1, 400) for s in (1, -1))])
_RATIOS = 1 + STEP * np.array([0, *(s * k for k in range(1, 64) for s in (1, -1))])


def _search(chain: Chain, index: int, layer: Layer, channel: int) -> tuple[float, float] | None:
    """The smallest (ratio of gamma, shift in accumulator units) that gives channel its margin."""
    line, block = _line(chain, index), chain.blocks[index]
    low, high = _reach(layer, chain, index)
    low_c, high_c = low[channel], high[channel]
    keep = slice(None) if not block.relu else line.levels >= 0
    assert layer.thresholds is not None
    wanted_integers = layer.thresholds[channel][keep]
    # the same rounding of parameters to float32 costs far less than a tenth of the floor
    wanted = (2 * line.bound()[channel] + FLOOR * np.longdouble(1.1))[keep]
    offset = line.mean[channel] * line.slope[channel]
    base = line.thresholds()[channel][keep] - offset
    for ratio in _RATIOS:
        moved = base / ratio + offset + _SHIFTS[:, None]
        nearest = np.clip(np.rint(moved), low_c, high_c)
        wide_enough = (np.abs(moved - nearest) >= np.minimum(wanted, 0.5)).all(axis=1)
        same = (np.clip(np.ceil(moved), low_c, high_c + 1) == wanted_integers).all(axis=1)
        usable = np.flatnonzero(wide_enough & same)
        if len(usable):
            return float(ratio), float(_SHIFTS[usable[0]])
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
