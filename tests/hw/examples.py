"""Instances of the kernels of `hw/rtl`, and what numpy makes of the same values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.dataflow.integer_model import Codes, Integers, reachable
from pipeline.dataflow.operators import folded_weights, full_thresholds, search_tables
from pipeline.dataflow.tables import table_text
from tests.hw.bank import RTL, Instance, Port

WORDS = 12
"""Output words a frame of a bank, where nothing else is said: every instance gives a whole number
of its own frames in them."""

PADDING = (RTL / "frame_padding.sv", Path(__file__).with_name("held_padding.sv"))
"""Sources of `padding`'s instances."""


@dataclass(frozen=True)
class Example:
    """A parameter point: `shape` is that of its values for one frame of the bank, `result` what
    numpy makes of frames of them; `cycles` a frame takes, and the last word's way from the last
    word that it depends on takes `delay`; `edges`: values that are sent more often than others."""

    instance: Instance
    shape: tuple[int, ...]
    result: Callable[[Integers], Integers]
    cycles: int
    delay: int = 1
    idle: int = 0
    tables: tuple[tuple[str, str], ...] = ()
    edges: tuple[int, ...] = ()

    def inputs(self, frames: int, seed: int) -> Integers:
        """Random values, and frames that hold the lowest or the highest value throughout."""
        port = self.instance.entering
        low = -(2 ** (port.bits - 1)) if port.signed else 0
        high = low + 2**port.bits - 1
        rng = np.random.default_rng(seed)
        values = rng.integers(low, high + 1, (frames, *self.shape))
        if self.edges:
            often = rng.choice(self.edges, values.shape)
            values = np.where(rng.random(values.shape) < 0.5, often, values)
        values[:1], values[1:2] = low, high
        return values


def unit(pe: int, simd: int, weight_bits: int, entering: tuple[int, bool], mw: int) -> Example:
    """A matrix-vector unit of six rows whose accumulator is as narrow as its reach allows."""
    bits, signed = entering
    half, top = 2 ** (weight_bits - 1), 2 ** (bits - signed)
    matrix = np.random.default_rng(mw).integers(-half, half, (6, mw))
    matrix[0], matrix[1] = -half, half - 1
    low, high = reachable(matrix[:, None], Codes(-top if signed else 0, top - 1))
    acc_bits = Codes(int(low.min()), int(high.max())).bits
    table = f"weights{mw}.mem"
    parameters: dict[str, int | str] = {
        "MatrixWidth": mw,
        "MatrixHeight": 6,
        "Pe": pe,
        "Simd": simd,
        "InBits": bits,
        "InSigned": int(signed),
        "WeightBits": weight_bits,
        "AccBits": acc_bits,
        "WeightFile": table,
    }
    ports = Port(bits, simd, signed), Port(acc_bits, pe, signed=True)
    return Example(
        Instance("matrix_vector_unit", parameters, *ports),
        (WORDS * pe // 6, mw),
        lambda x: x @ matrix.T,
        cycles=WORDS * mw // simd,
        delay=4,
        tables=((table, table_text(folded_weights(matrix.T, pe, simd), weight_bits)),),
    )


def pool(bits: int, signed: bool, kernel: int, positions: int) -> Example:
    """Four channels, two at once."""
    kept = positions // kernel
    repeats = WORDS // (2 * kept)
    parameters: dict[str, int | str] = {
        "Channels": 4,
        "Pe": 2,
        "Bits": bits,
        "Signed": int(signed),
        "Kernel": kernel,
        "Positions": positions,
    }

    def maxima(x: Integers) -> Integers:
        return x[:, :, : kept * kernel].reshape(len(x), repeats, kept, kernel, 4).max(axis=3)

    port = Port(bits, 2, signed)
    return Example(
        Instance("max_pool", parameters, port, port),
        (repeats, positions, 4),
        maxima,
        cycles=repeats * positions * 2,
        idle=positions % kernel * 2,
    )


def adder(bits: int, signed: bool) -> Example:
    """Six channels, three at once."""
    bias = np.array([-(2**bits), 0, 1, -1, 2**bits, 2 ** (bits - 1)])
    table = f"bias{bits}.mem"
    parameters: dict[str, int | str] = {
        "Channels": 6,
        "Pe": 3,
        "InBits": bits,
        "InSigned": int(signed),
        "OutBits": bits + 2,
        "BiasFile": table,
    }
    ports = Port(bits, 3, signed), Port(bits + 2, 3, signed=True)
    return Example(
        Instance("bias_add", parameters, *ports),
        (WORDS // 2, 6),
        lambda x: x + bias,
        cycles=WORDS,
        tables=((table, table_text(bias.reshape(-1, 3), bits + 2)),),
    )


def selector(bits: int, signed: bool, labels: int) -> Example:
    """Two logits at once; few bits make many ties."""
    parameters: dict[str, int | str] = {
        "Labels": labels,
        "Pe": 2,
        "Bits": bits,
        "Signed": int(signed),
    }
    ports = Port(bits, 2, signed), Port(16 if labels > 256 else 8, 1)
    return Example(
        Instance("label_select", parameters, *ports),
        (WORDS, labels),
        lambda x: x.argmax(axis=-1),
        cycles=WORDS * labels // 2,
    )


def fifo(module: str, depth: int) -> Example:
    port = Port(8, 3)
    instance = Instance(module, {"Bits": 24, "Depth": depth}, port, port)
    return Example(instance, (WORDS, 3), lambda x: x, cycles=WORDS)


def padding(
    bits: int, folds: int, positions: int, zeros: tuple[int, int], words: int = WORDS
) -> Example:
    """Two elements a word; `held_padding` keeps zeros until their frame comes."""
    total = (zeros[0] + positions + zeros[1]) * folds
    repeats = words // total
    parameters: dict[str, int | str] = {
        "Bits": 2 * bits,
        "Folds": folds,
        "Positions": positions,
        "Before": zeros[0],
        "After": zeros[1],
    }
    port = Port(bits, 2)
    return Example(
        Instance("held_padding", parameters, port, port),
        (repeats, positions, folds * 2),
        lambda x: np.pad(x, ((0, 0), (0, 0), zeros, (0, 0))),
        cycles=repeats * total,
        idle=zeros[0] * folds,
    )


@dataclass(frozen=True)
class Taps:
    """A window's kernel, stride and dilation."""

    kernel: int
    stride: int = 1
    dilation: int = 1

    @property
    def span(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    def windows(self, x: Integers) -> Integers:
        """(..., positions, elements) to (..., windows, kernel, elements)."""
        starts = np.arange(0, x.shape[-2] - self.span + 1, self.stride)
        return x[..., starts[:, None] + self.dilation * np.arange(self.kernel), :]


def window(
    port: Port,
    folds: int,
    taps: Taps,
    windows: int,
    rest: int = 0,
    words: int = WORDS,
    starved: int = 0,
) -> Example:
    """Frames of so many windows, and `rest` positions that are in none.

    starved: cycles for which a frame's first window waits for taps that are far apart.
    """
    positions = (windows - 1) * taps.stride + taps.span + rest
    own, repeats = windows * taps.kernel * folds, words // (windows * taps.kernel * folds)
    cycles = repeats * (max(own, positions * folds) + starved)
    # a word leaves two cycles after it came, and one after the word before it
    came = np.arange(repeats * positions * folds).reshape(repeats, positions, folds)
    behind = taps.windows(came).ravel() + 2 - np.arange(words)
    last = int(behind.max()) + words - 1
    parameters: dict[str, int | str] = {
        "Bits": port.bits * port.elements,
        "Folds": folds,
        "Positions": positions,
        "Kernel": taps.kernel,
        "Stride": taps.stride,
        "Dilation": taps.dilation,
    }
    return Example(
        Instance("sliding_window", parameters, port, port),
        (repeats, positions, folds * port.elements),
        taps.windows,
        cycles=cycles,
        delay=last - (cycles - 1),
    )


def coder(
    channels: int,
    pe: int,
    entering: Port,
    steps: Sequence[Sequence[int]],
    low: int,
    words: int = WORDS,
) -> Example:
    """Thresholds of so many channels, each of which has one of the `steps` in turns."""
    half = 2 ** (entering.bits - 1)
    codes = Codes(-half, half - 1) if entering.signed else Codes(0, 2 * half - 1)
    all_steps = np.array([sorted(steps[i % len(steps)]) for i in range(channels)])
    full, levels = full_thresholds(all_steps, codes), all_steps.shape[1]
    held = Codes(min(int(full.min()), -1 if codes.signed else 0), int(full.max()))
    leaving = Codes(low, low + levels)
    prefix = f"coder{channels}_{pe}_{entering.bits}_{levels}"
    parameters: dict[str, int | str] = {
        "Channels": channels,
        "Pe": pe,
        "InBits": entering.bits,
        "Signed": int(entering.signed),
        "ThresholdBits": held.bits,
        "Stages": levels.bit_length(),
        "OutBits": leaving.bits,
        "Low": low,
        "TablePrefix": prefix,
    }
    edges = np.unique(np.clip(all_steps.ravel()[:, None] + [-1, 0, 1], codes.low, codes.high))
    return Example(
        Instance("thresholds", parameters, entering, Port(leaving.bits, pe, leaving.signed)),
        (words * pe // channels, channels),
        lambda x: low + (all_steps <= x[..., None]).sum(axis=-1),
        cycles=words,
        delay=levels.bit_length() + 1,
        tables=tuple(search_tables(full, pe, held.bits, prefix).items()),
        edges=tuple(edges.tolist()),
    )


def converter(bits: int, entering: int, leaving: int, words: int = WORDS) -> Example:
    """Words of so many elements to words of so many."""
    into, wide = words * leaving // entering, math.lcm(entering, leaving)
    both = entering < wide > leaving  # the first words in, or the last ones out, wait for others
    parameters: dict[str, int | str] = {"InBits": entering * bits, "OutBits": leaving * bits}
    return Example(
        Instance("width_converter", parameters, Port(bits, entering), Port(bits, leaving)),
        (into, entering),
        lambda x: x,
        cycles=max(words, into),
        delay=1 + (both and wide // max(entering, leaving)),
    )
