"""The golden reference: a network in integers only (rung 4 of the ladder).

Every layer is a 1-D convolution (a dense layer's kernel spans all its input positions, without
padding), integer thresholds and a max-pool; the last one adds a bias and its accumulators are
the logits.  Arrays are (frames, positions, channels), int64, in the order the hardware streams.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UserError

Integers = NDArray[np.int64]

ACCUMULATOR = ".accumulator"
"""Ends the name of a stream of convolution sums."""
FORMAT = 1
"""Version of the saved file; another one is refused."""


@dataclass(frozen=True)
class Codes:
    """An integer stream's type: smallest and largest code."""

    low: int
    high: int

    @property
    def signed(self) -> bool:
        return self.low < 0

    @property
    def bits(self) -> int:
        if self.low >= 0:
            return max(1, int(self.high).bit_length())
        return 1 + max(int(-self.low - 1).bit_length(), int(max(self.high, 0)).bit_length())


@dataclass(frozen=True)
class Layer:
    """One layer boundary.

    name: the accumulators' name (module path); boundary: the name of its output codes or
    logits; weights: (out, kernel, in), rows negated where the slope of BatchNorm is negative;
    weight_bits: of the quantizer; padding: zeros on each side; thresholds: (out, levels),
    ascending: code = low + number of thresholds <= accumulator; bias: (out,), only without
    thresholds; pool: kernel = stride of the max-pool, 1 for none; output: type of the codes.
    """

    name: str
    boundary: str
    weights: Integers
    weight_bits: int
    padding: int
    thresholds: Integers | None
    bias: Integers | None
    pool: int
    output: Codes

    @property
    def accumulator_name(self) -> str:
        """Name of the stream of this layer's convolution sums."""
        return f"{self.name}{ACCUMULATOR}"

    def accumulators(self, codes: Integers) -> Integers:
        """Convolution sums (frames, positions, out).

        Computed by matrix products in floating point: exact, because every partial sum is an
        integer that the type holds (`_exact_type`).
        """
        exact = _exact_type(self.weights, codes)
        padded = np.pad(codes.astype(exact), ((0, 0), (self.padding, self.padding), (0, 0)))
        kernel = self.weights.shape[1]
        positions = padded.shape[1] - kernel + 1
        weights = self.weights.astype(exact)
        sums = np.zeros((len(codes), positions, len(self.weights)), exact)
        for k in range(kernel):
            sums += padded[:, k : k + positions] @ weights[:, k].T
        return sums.astype(np.int64)

    def quantized(self, accumulators: Integers) -> Integers:
        """Codes before the max-pool, or the logits."""
        if self.thresholds is None:
            return accumulators if self.bias is None else accumulators + self.bias
        return _counted(self.thresholds, accumulators) + self.output.low

    def pooled(self, codes: Integers) -> Integers:
        """Maximum over `pool` positions; a remainder at the end of the frame is dropped."""
        if self.pool == 1:
            return codes
        frames, positions, channels = codes.shape
        kept = positions // self.pool
        windows = codes[:, : kept * self.pool].reshape(frames, kept, self.pool, channels)
        return windows.max(axis=2)


def _exact_type(weights: Integers, codes: Integers) -> type[np.floating]:
    """A floating-point type that holds every partial sum of products of these, in any order."""
    largest = np.abs(codes).max(initial=0) * np.abs(weights).sum(axis=(1, 2)).max(initial=0)
    assert largest < 2**53, "sums beyond what float64 holds"
    return np.float32 if largest < 2**24 else np.float64


def _counted(thresholds: Integers, accumulators: Integers) -> Integers:
    """How many of its channel's (out, levels) thresholds each accumulator (..., out) has reached.

    Looked up for every value between the extremes, where that is less work than to search.
    """
    low, high = int(accumulators.min(initial=0)), int(accumulators.max(initial=0))
    channels = len(thresholds)
    if accumulators.size < 2 * (high - low + 1) * channels:
        return _searched(thresholds, accumulators)
    reach = np.broadcast_to(np.arange(low, high + 1)[:, None], (high - low + 1, channels))
    table = _searched(thresholds, reach)
    return table.reshape(-1)[(accumulators - low) * channels + np.arange(channels)]


def _searched(thresholds: Integers, accumulators: Integers) -> Integers:
    """`_counted` by a search for each value."""
    counts = np.empty_like(accumulators)
    for channel, steps in enumerate(thresholds):
        counts[..., channel] = np.searchsorted(steps, accumulators[..., channel], side="right")
    return counts


@dataclass(frozen=True)
class IntegerModel:
    """input: type of the host's codes; input_scale: real value of one step; frames are
    (positions, channels); layers in data order."""

    input: Codes
    input_scale: float
    positions: int
    channels: int
    layers: tuple[Layer, ...]

    def quantize(self, frames: NDArray[np.float32]) -> Integers:
        """Host side: (frames, positions, channels) float32 to codes, as Brevitas rounds."""
        steps = np.rint(frames.astype(np.float32) / np.float32(self.input_scale))
        return np.clip(steps, self.input.low, self.input.high).astype(np.int64)

    def trace(self, codes: Integers) -> dict[str, Integers]:
        """Every stream's values by name, in data order: each layer's accumulators
        (`conv0.accumulator`), its boundary (`pool0`), and `label` (frames, 1, 1) last."""
        streams: dict[str, Integers] = {}
        for layer in self.layers:
            accumulators = layer.accumulators(codes)
            codes = layer.pooled(layer.quantized(accumulators))
            streams[layer.accumulator_name] = accumulators
            streams[layer.boundary] = codes
        streams["label"] = labels(codes)
        return streams

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams of `trace`, in data order."""
        names = [name for x in self.layers for name in (x.accumulator_name, x.boundary)]
        return (*names, "label")

    @property
    def hardware_streams(self) -> tuple[str, ...]:
        """Those that hardware has: logits without a bias are their own accumulators."""
        last = self.layers[-1]
        same = {last.accumulator_name} if last.bias is None else set()
        return tuple(name for name in self.streams if name not in same)

    @property
    def boundaries(self) -> tuple[str, ...]:
        """Names of the layer boundaries in data order."""
        return tuple(layer.boundary for layer in self.layers)

    def input_codes(self, index: int) -> Codes:
        """Type of the codes that layer `index` reads."""
        return self.layers[index - 1].output if index else self.input

    def accumulator_range(self, index: int) -> tuple[int, int]:
        """Lowest and highest accumulator that layer `index` can reach."""
        low, high = reachable(self.layers[index].weights, self.input_codes(index))
        return int(low.min()), int(high.max())

    def accumulator(self, index: int) -> Codes:
        """The narrowest type that holds every reachable accumulator of layer `index`."""
        low, high = self.accumulator_range(index)
        return Codes(min(low, 0), max(high, 0))

    def positions_into(self, index: int) -> int:
        """Positions of a frame where layer `index` reads it."""
        positions = self.positions
        for layer in self.layers[:index]:
            positions += 2 * layer.padding - layer.weights.shape[1] + 1
            positions //= layer.pool
        return positions


def reachable(weights: Integers, codes: Codes) -> tuple[Integers, Integers]:
    """Bounds of the accumulators, (out,) each, for inputs of type `codes`.

    Padding adds zeros, which every input type holds.
    """
    flat = weights.reshape(len(weights), -1)
    at_low, at_high = flat * min(codes.low, 0), flat * max(codes.high, 0)
    return np.minimum(at_low, at_high).sum(1), np.maximum(at_low, at_high).sum(1)


def labels(logits: Integers) -> Integers:
    """Class of each frame, (frames, 1, 1); ties go to the lowest index."""
    return logits.reshape(len(logits), -1).argmax(axis=1).reshape(-1, 1, 1)


def check(model: IntegerModel) -> None:
    """Raises AssertionError unless shapes, orders and ranges fit together."""
    channels = model.channels
    for index, layer in enumerate(model.layers):
        out, kernel, inputs = layer.weights.shape
        assert inputs == channels, f"{layer.name}: reads {inputs} channels of {channels}"
        assert model.positions_into(index) + 2 * layer.padding >= kernel, f"{layer.name}: kernel"
        low, high = model.accumulator_range(index)
        assert -(2**40) < low <= high < 2**40, f"{layer.name}: accumulator range"
        if layer.thresholds is not None:
            levels = layer.output.high - layer.output.low
            assert layer.thresholds.shape == (out, levels), f"{layer.name}: thresholds' shape"
            assert (np.diff(layer.thresholds, axis=1) >= 0).all(), f"{layer.name}: order"
        channels = out
    assert model.layers[-1].thresholds is None, "the last layer gives logits"


# --- the file -------------------------------------------------------------------------------

_ARRAYS = ("weights", "thresholds", "bias")


def difference(one: IntegerModel, other: IntegerModel) -> str:
    """The first layer and field in which two models differ; empty where they are the same.

    Names are not compared: a graph does not know them.
    """
    if len(one.layers) != len(other.layers):
        return f"{len(one.layers)} and {len(other.layers)} layers"
    for mine, theirs in zip(one.layers, other.layers, strict=True):
        for name in ("weights", "thresholds", "bias", "padding", "pool", "output"):
            if not np.array_equal(getattr(mine, name), getattr(theirs, name)):
                return f"layer {mine.name}: {name}"
    for name in ("input", "input_scale", "positions", "channels"):
        if getattr(one, name) != getattr(other, name):
            return f"the input: {name}"
    return ""


def save(model: IntegerModel, path: Path) -> None:
    """Writes `model` as .npz: arrays as `<layer>.<array>`, the rest as JSON in `header`."""
    header = {
        "format": FORMAT,
        "input": asdict(model.input),
        "input_scale": model.input_scale,
        "positions": model.positions,
        "channels": model.channels,
        "layers": [_scalars(layer) for layer in model.layers],
    }
    arrays = {f"{layer.name}.{k}": a for layer in model.layers for k, a in _arrays(layer)}
    buffer = io.BytesIO()
    np.savez(buffer, **{"header": np.array(json.dumps(header)), **arrays})  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue())


def load(path: Path) -> IntegerModel:
    """Reads what `save` wrote.  Raises UserError for anything else."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as archive:
            stored = {name: archive[name] for name in archive.files}
        header = json.loads(str(stored["header"]))
        found = header["format"]
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"this is not an integer model: {error}", str(path), "run `make freeze` again"
        ) from error
    if found != FORMAT:
        raise UserError(
            f"format {found}, this version reads {FORMAT}", str(path), "run `make freeze` again"
        )
    layers = tuple(_layer(fields, stored) for fields in header["layers"])
    scale = header["input_scale"]
    return IntegerModel(
        Codes(**header["input"]), scale, header["positions"], header["channels"], layers
    )


def _scalars(layer: Layer) -> dict[str, object]:
    fields = asdict(replace(layer, weights=None, thresholds=None, bias=None))  # type: ignore[arg-type]
    return {k: v for k, v in fields.items() if k not in _ARRAYS}


def _arrays(layer: Layer) -> Iterator[tuple[str, Integers]]:
    for name in _ARRAYS:
        array = getattr(layer, name)
        if array is not None:
            yield name, array


def _layer(fields: Mapping[str, object], stored: Mapping[str, Integers]) -> Layer:
    arrays = {k: stored.get(f"{fields['name']}.{k}") for k in _ARRAYS}
    return Layer(**{**fields, **arrays, "output": Codes(**fields["output"])})  # type: ignore[arg-type]
