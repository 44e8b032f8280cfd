"""Registers by address."""

from __future__ import annotations

from typing import Any

from .device import Device


class MMIO:
    """A range of addresses, read and written in words of 32 bits."""

    def __init__(self, base_addr: int, length: int = 4, device: Device | None = None) -> None:
        if base_addr < 0 or length < 0:
            raise ValueError("Base address or length cannot be negative.")
        self.base_addr, self.length = base_addr, length
        self.device = device or Device.active_device

    def read(self, offset: int = 0, **_: Any) -> int:
        """The word at a byte offset."""
        return self.device.read_register(self._address(offset))

    def write(self, offset: int, data: int) -> None:
        """Set the word at a byte offset."""
        if not isinstance(data, int):
            raise ValueError("Data type must be int or bytes.")
        self.device.write_register(self._address(offset), data & 0xFFFFFFFF)

    def _address(self, offset: int) -> int:
        if offset < 0:
            raise ValueError("Offset cannot be negative.")
        if offset % 4:
            raise MemoryError("Unaligned access: offset must be multiple of 4.")
        if offset >= self.length:
            raise IndexError(f"offset {offset:#x} is outside {self.length:#x} bytes")
        return self.base_addr + offset
