"""Constant tables for `$readmemh`: one memory word a line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rows_of_words(values: NDArray[np.int64], elements: int) -> NDArray[np.int64]:
    """A flat list of values as words of `elements` values each."""
    return values.reshape(-1, elements)


def table_text(words: NDArray[np.int64], bits: int) -> str:
    """Hexadecimal text of `words` (words, elements): element 0 in the low bits.

    Raises ValueError where a value does not fit into `bits` bits, signed or unsigned.
    """
    low, high = int(words.min()), int(words.max())
    if low < -(2 ** (bits - 1)) or high >= 2 ** (bits if low >= 0 else bits - 1):
        raise ValueError(f"values {low}..{high} do not fit into {bits} bits")
    fields = (words & ((1 << bits) - 1)).astype(np.uint64)
    planes = (fields[..., None] >> np.arange(bits, dtype=np.uint64)) & np.uint64(1)
    bytes_ = np.packbits(planes.reshape(len(words), -1).astype(np.uint8), 1, bitorder="little")
    digits = -(-words.shape[1] * bits // 4)
    return "".join(f"{int.from_bytes(row.tobytes(), 'little'):0{digits}x}\n" for row in bytes_)
