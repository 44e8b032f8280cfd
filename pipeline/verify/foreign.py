"""Networks whose scales are no powers of two: every float32 difference is explained, or an error.

There float32 rounds, and a sum that falls close to a rounding boundary may get the other code.
The integer model is the reference (DESIGN 4).  Each layer of the float32 computation is fed with
the integer model's codes, and a code that differs is *explained* where the exact value of the
quantizer's input lies no farther from the boundary that was crossed than float32 may be wrong
there.  All else is a mismatch.  Codes are compared before the max-pool, where a difference has one
cause.

The bound.  u = 2^-24, gamma_n = n u / (1 - n u), and a product of n factors (1 + d), |d| <= u, is
1 + t with |t| <= gamma_n (Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition,
lemma 3.1).  A sum of K products and a bias, added in any order, fused or not, is exact for terms
perturbed by gamma_(K+1) each (sections 3.1 and 4.2); one rounding more is in the input's value
(code times scale) and one in the weight's.  So the sum is wrong by at most

    E = gamma_(K+3) (sum |x| |w| + |bias|).

BatchNorm is gain (sum - mean) + beta, gain = gamma / sqrt(variance + epsilon).  The gain has at
most five roundings (epsilon, sum, root, division, product), and whether the module multiplies
first or subtracts first, no term sees more than three others on its way; the quantizer divides, or
multiplies with a reciprocal: two.  In steps of the activation, z being the exact value, it is

    (|gain| (E (1 + gamma_8) + gamma_8 (|sum| + |mean|)) + gamma_2 |beta|) (1 + gamma_2) / scale
        + gamma_2 |z|.

It holds for sums of products, as oneDNN's and onnxruntime's direct and matrix kernels compute
them, not for transformed convolutions (Winograd, FFT), and barring underflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.network.chain import BatchNorm, Chain
from pipeline.verify.compare import Difference, LayerResult, compare
from pipeline.verify.teacher import Lesson, lessons

Extended = NDArray[np.longdouble]

UNIT_ROUNDOFF = np.longdouble(2) ** -24
FLOAT64_SHARE = np.longdouble(2) ** -29
"""The integer model's own arithmetic, float64, is wrong by that share of float32's bound."""
LIMIT = 10_000
"""Differences listed a layer: all of them, unless something is quite wrong."""


@dataclass(frozen=True)
class ForeignDifference:
    """A code of float32 that is not the integer model's.

    Positions are before the max-pool.  distance: from the exact value to the rounding boundary
    that float32 crossed, in steps of the code, negative where the exact value lies beyond it, so
    that the expected code is the wrong one; bound: of float32's error there, in the same steps.
    """

    layer: str
    frame: int
    position: int
    channel: int
    expected: int
    actual: int
    distance: float
    bound: float

    @property
    def explained(self) -> bool:
        return bool(-self.bound * FLOAT64_SHARE <= self.distance <= self.bound)

    def __str__(self) -> str:
        relation = "explained" if self.explained else "NOT explained"
        return (
            f"layer {self.layer}, frame {self.frame}, position {self.position}, "
            f"channel {self.channel}: expected {self.expected}, got {self.actual}; "
            f"{self.distance:.3g} steps from the boundary, {relation} by a float32 error of at "
            f"most {self.bound:.3g}"
        )


@dataclass(frozen=True)
class ForeignLayer:
    """Values compared, how many differ, and how many of these float32 does not explain.

    listed: at most `LIMIT` differences, unexplained ones first.
    """

    name: str
    values: int
    differences: int
    unexplained: int
    listed: tuple[ForeignDifference, ...]

    @property
    def explained(self) -> int:
        return self.differences - self.unexplained

    def result(self) -> LayerResult:
        """As a comparison that forgives what is explained."""
        first = _located(self.listed[0]) if self.unexplained else None
        return LayerResult(self.name, self.values, self.unexplained, first)

    def fields(self) -> dict[str, object]:
        """For a report."""
        return asdict(self) | {"explained": self.explained}


def _located(found: ForeignDifference) -> Difference:
    where = (found.frame, found.position, found.channel)
    return Difference(found.layer, *where, found.expected, found.actual)


def explain(
    chain: Chain,
    integers: IntegerModel,
    frames: NDArray[np.float32],
    found: Mapping[str, Integers],
    first: int = 0,
) -> tuple[ForeignLayer, ...]:
    """Compares codes in float32 (`pytorch.forced_codes` or `qonnx.forced_codes`) with the integers.

    `frames` (n, positions, channels) are those that `found` was computed from, `first` the number
    of the first; `integers` was frozen from `chain`.  Layers have the names that they have in
    `integers`, the input quantizer is "input".
    Raises VerificationFailed where a layer was not computed or has another shape.
    """
    codes = integers.quantize(frames)
    layers = [_input(chain, frames, codes, _of(found, "input"), first)]
    for index, lesson in enumerate(lessons(integers, codes)):
        layers.append(_layer(chain, index, lesson, _of(found, lesson.layer.name), first))
    return tuple(layers)


def merged(parts: Sequence[Sequence[ForeignLayer]]) -> tuple[ForeignLayer, ...]:
    """Results of several groups of frames as one."""
    return tuple(
        ForeignLayer(
            name=same[0].name,
            values=sum(x.values for x in same),
            differences=sum(x.differences for x in same),
            unexplained=sum(x.unexplained for x in same),
            listed=_worst_first([d for x in same for d in x.listed]),
        )
        for same in zip(*parts, strict=True)
    )


def _of(found: Mapping[str, Integers], name: str) -> Integers:
    if name not in found:
        raise VerificationFailed(f"layer {name} was not computed, so nothing is shown")
    return found[name]


def _worst_first(differences: Sequence[ForeignDifference]) -> tuple[ForeignDifference, ...]:
    return tuple(sorted(differences, key=lambda d: d.explained)[:LIMIT])


def _input(
    chain: Chain, frames: NDArray[np.float32], expected: Integers, actual: Integers, first: int
) -> ForeignLayer:
    """The input quantizer: one division, or a product with a reciprocal."""
    result = compare("input", expected, actual)
    where = np.nonzero(expected != actual)
    exact = frames[where].astype(np.longdouble) / np.longdouble(chain.input.scale)
    bound = _gamma(2) * np.abs(exact)
    return _judged(result, where, expected, actual, exact, bound, first)


def _layer(chain: Chain, index: int, lesson: Lesson, actual: Integers, first: int) -> ForeignLayer:
    result = compare(lesson.layer.name, lesson.codes, actual)
    where = np.nonzero(lesson.codes != actual)
    if not result.mismatches:
        return ForeignLayer(result.name, result.values, 0, 0, ())
    weights = chain.blocks[index].weights  # those of the layer have rows of turned sign
    sums = replace(lesson.layer, weights=weights).accumulators(lesson.entering)[where]
    absolute = replace(lesson.layer, weights=np.abs(weights))
    magnitudes = absolute.accumulators(np.abs(lesson.entering))[where]
    channels = Channels.of_block(chain, index).at(where[-1])
    exact, bound = channels.exact(sums), channels.bound(sums, magnitudes)
    if chain.blocks[index].activation is None:
        exact = lesson.codes[where].astype(
            np.longdouble
        )  # the rounding of its bias is in the bound
    return _judged(result, where, lesson.codes, actual, exact, bound, first)


def _judged(
    result: LayerResult,
    where: tuple[NDArray[np.intp], ...],
    expected: Integers,
    actual: Integers,
    exact: Extended,
    bound: Extended,
    first: int,
) -> ForeignLayer:
    """`exact` and `bound` (differences,) are those of the values at `where`."""
    wanted, got = expected[where], actual[where]
    rise = np.sign(got - wanted)
    distance = rise * (got - rise * np.longdouble(0.5) - exact)
    listed = [
        ForeignDifference(
            result.name, first + int(f), int(p), int(c), int(w), int(g), float(d), float(b)
        )
        for f, p, c, w, g, d, b in zip(*where, wanted, got, distance, bound, strict=True)
    ]
    unexplained = sum(not difference.explained for difference in listed)
    return ForeignLayer(result.name, result.values, len(listed), unexplained, _worst_first(listed))


# --- the exact value and the bound ---------------------------------------------------------------


def _gamma(roundings: int) -> np.longdouble:
    """Higham's gamma_n for float32."""
    error = np.longdouble(roundings) * UNIT_ROUNDOFF
    return error / (1 - error)


@dataclass(frozen=True)
class Channels:
    """What follows the sums of a block, in extended precision.

    terms: products a sum; scale: of the code; the rest one number for each of some channels:
    step: real value of an accumulator step, bias, gain, mean and beta of BatchNorm.
    """

    terms: int
    scale: Extended
    step: Extended
    bias: Extended
    gain: Extended
    mean: Extended
    beta: Extended

    @classmethod
    def of_block(cls, chain: Chain, index: int) -> Channels:
        """All channels of a block.  That of logits has their own step as its scale."""
        block = chain.blocks[index]
        step = chain.accumulator_scale(index).astype(np.longdouble)  # exact: 24 bits times 24
        scale = step if block.activation is None else np.full_like(step, block.activation.scale)
        bias = np.zeros_like(step) if block.bias is None else block.bias.astype(np.longdouble)
        terms = int(np.prod(block.weights.shape[1:]))
        gain, mean, beta = _affine(block.norm, len(step))
        return cls(terms, scale, step, bias, gain, mean, beta)

    def at(self, channels: NDArray[np.intp]) -> Channels:
        """Those of the given channels, one for each value to be judged."""
        names = ("scale", "step", "bias", "gain", "mean", "beta")
        return replace(self, **{name: getattr(self, name)[channels] for name in names})

    def exact(self, sums: Integers) -> Extended:
        """The quantizer's input in steps of its code, without rounding."""
        real = sums * self.step + self.bias
        return ((real - self.mean) * self.gain + self.beta) / self.scale

    def bound(self, sums: Integers, magnitudes: Integers) -> Extended:
        """Float32's error there; magnitudes: sum |code| |weight|."""
        gain, size = np.abs(self.gain), np.abs(sums * self.step + self.bias)
        error = _gamma(self.terms + 3) * (magnitudes * self.step + np.abs(self.bias))
        real = gain * (error * (1 + _gamma(8)) + _gamma(8) * (size + np.abs(self.mean)))
        real += _gamma(2) * np.abs(self.beta)
        return real * (1 + _gamma(2)) / self.scale + _gamma(2) * np.abs(self.exact(sums))


def _affine(norm: BatchNorm | None, channels: int) -> tuple[Extended, Extended, Extended]:
    """Gain, mean and beta of BatchNorm, or those that change nothing."""
    if norm is None:
        nothing = np.zeros(channels, np.longdouble)
        return nothing + 1, nothing, nothing
    gamma, beta, mean, variance = (
        values.astype(np.longdouble) for values in (norm.gamma, norm.beta, norm.mean, norm.variance)
    )
    return gamma / np.sqrt(variance + np.longdouble(norm.epsilon)), mean, beta
