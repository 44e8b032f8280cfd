"""Memory that the DMA reaches, and numpy arrays in it as the processor sees them: through a cache.

The array itself is the cache, which is never written back or read anew by itself.  So a flush or
an invalidate that is missing in a driver shows here, every time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PAGE = 4096
FIRST_ADDRESS = 0x1600_0000
UNWRITTEN = 0xA5


class Memory:
    """What was allocated, by physical address: the bytes there, and what the processor sees."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._next = FIRST_ADDRESS

    def allocate(self, cache: np.ndarray) -> int:
        """The address of as many new bytes as the processor's copy has."""
        address = self._next
        self._blocks[address] = np.full(cache.size, UNWRITTEN, np.uint8), cache
        self._next += -(-cache.size // PAGE) * PAGE
        return address

    def free(self, address: int) -> None:
        """Give a block back, once."""
        self._blocks.pop(address, None)

    def find(self, address: int, size: int) -> np.ndarray | None:
        """The bytes there; None where they are not all in one block."""
        found = self._find(address, size)
        return None if found is None else found[0]

    def is_flushed(self, address: int, size: int) -> bool:
        """Whether the bytes there are those that the processor sees."""
        found = self._find(address, size)
        return found is None or np.array_equal(*found)

    def _find(self, address: int, size: int) -> tuple[np.ndarray, np.ndarray] | None:
        for start, (block, cache) in self._blocks.items():
            if start <= address and address + size <= start + block.size:
                part = slice(address - start, address - start + size)
                return block[part], cache[part]
        return None


class PynqBuffer(np.ndarray):
    """An array with a physical address; made by `allocate`.  Slices of it have their own."""

    memory: Memory | None
    device_address: int

    def __new__(cls, shape: Any, dtype: Any, memory: Memory) -> PynqBuffer:
        """An array in new memory."""
        self = super().__new__(cls, shape, dtype)
        self[...] = np.zeros((), dtype)
        self.memory, self.device_address = memory, memory.allocate(self._bytes())
        return self

    def __array_finalize__(self, parent: Any) -> None:
        """A view of another buffer is as far behind its address as its data are."""
        self.memory, self.device_address = None, 0
        if isinstance(parent, PynqBuffer) and parent.memory is not None:
            offset = self.virtual_address - parent.virtual_address
            self.memory, self.device_address = parent.memory, parent.device_address + offset

    @property
    def physical_address(self) -> int:
        """What the DMA is given."""
        return self.device_address

    @property
    def virtual_address(self) -> int:
        """Where the processor sees it."""
        return int(self.__array_interface__["data"][0])

    @property
    def coherent(self) -> bool:
        """Whether the processor and the DMA always see the same."""
        return False

    def flush(self) -> None:
        """From the cache to memory."""
        self._in_memory()[...] = self._bytes()

    def invalidate(self) -> None:
        """From memory to the cache."""
        self._bytes()[...] = self._in_memory()

    def freebuffer(self) -> None:
        """Give the memory back."""
        if self.memory is not None:
            self.memory.free(self.device_address)

    def close(self) -> None:
        """Nothing; there for programs written for older versions."""

    def _bytes(self) -> np.ndarray:
        if not self.flags.c_contiguous:
            raise ValueError("only a contiguous part of a buffer can be flushed or invalidated")
        return np.asarray(self).reshape(-1).view(np.uint8)

    def _in_memory(self) -> np.ndarray:
        found = None if self.memory is None else self.memory.find(self.device_address, self.nbytes)
        if found is None:
            raise RuntimeError("this buffer has no memory: it was freed, or is a copy of one")
        return found


def allocate(shape: Any, dtype: Any = "u4", target: Any = None, **_: Any) -> PynqBuffer:
    """An array that the DMA reaches, on the board that is in use."""
    from .device import Device  # noqa: PLC0415  (which needs this module)

    device = Device.active_device if target is None else target
    if device.board is None:
        raise RuntimeError("Overlay is not downloaded")
    return PynqBuffer(shape, np.dtype(dtype), device.memory)
