"""Stream words: integers to bytes and back.

A word holds its elements in order, element 0 in the low bits, padded with zeros to whole bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def word_bytes(bits: int, elements: int) -> int:
    """Bytes of a word of `elements` elements of `bits` bits."""
    return (bits * elements + 7) // 8


def pack(values: Integers, bits: int, elements: int) -> bytes:
    """Words of `values`, taken in order; a whole number of words.

    Raises ValueError where the values do not fit into `bits` bits, all of them signed or all of
    them unsigned.
    """
    words = values.reshape(-1, elements).astype(np.int64)
    low, high = int(words.min(initial=0)), int(words.max(initial=0))
    if low < -(2 ** (bits - 1)) or high >= 2 ** (bits if low >= 0 else bits - 1):
        raise ValueError(f"values {low}..{high} do not fit into {bits} bits")
    planes = (words[..., None] >> np.arange(bits)) & 1
    packed = np.packbits(planes.reshape(len(words), -1).astype(np.uint8), 1, bitorder="little")
    return packed.tobytes()


def unpack(raw: bytes, bits: int, signed: bool, elements: int) -> Integers:
    """All values of the words in `raw`, in order, shape (words * elements,)."""
    words = np.frombuffer(raw, np.uint8).reshape(-1, word_bytes(bits, elements))
    planes = np.unpackbits(words, axis=1, bitorder="little")[:, : bits * elements]
    fields = planes.reshape(-1, bits).astype(np.int64)
    weights = np.left_shift(1, np.arange(bits), dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    return fields @ weights
