"""The driver of the AXI DMA, simple mode."""

from __future__ import annotations

from typing import Any

from ..axi_dma import (
    ADDRESS,
    ADDRESS_HIGH,
    CONTROL,
    DECODE_ERROR,
    ERRORS,
    HALTED,
    IDLE,
    INTERNAL_ERROR,
    LENGTH,
    MM2S,
    RUN,
    S2MM,
    STATUS,
)
from ..buffer import PynqBuffer
from ..mmio import MMIO
from ..overlay import DefaultIP

MESSAGES = {
    INTERNAL_ERROR: "DMA Internal Error (transfer length 0?)",
    DECODE_ERROR: "DMA Decode Error (invalid address)",
}


class Channel:
    """One direction.  `transfer` begins, `wait` waits for ever."""

    def __init__(self, mmio: MMIO, offset: int, max_size: int, align: int) -> None:
        self._mmio, self._offset = mmio, offset
        self._max_size, self._align = max_size, align
        self._active_buffer: PynqBuffer | None = None
        self.transferred = 0
        self.start()

    @property
    def running(self) -> bool:
        """Whether it has been started and has not halted."""
        return not self._status() & HALTED

    @property
    def idle(self) -> bool:
        """Whether its latest transfer has ended."""
        return bool(self._status() & IDLE)

    @property
    def error(self) -> bool:
        """Whether an error has halted it."""
        return bool(self._status() & ERRORS)

    def start(self) -> None:
        """Let it take transfers."""
        self._mmio.write(self._offset + CONTROL, RUN)
        while not self.running:
            pass
        self._first_transfer = True

    def stop(self) -> None:
        """Halt it after the transfer that goes on."""
        self._mmio.write(self._offset + CONTROL, 0)
        while self.running:
            pass

    def transfer(self, array: PynqBuffer, start: int = 0, nbytes: int = 0) -> None:
        """Begin to transfer `nbytes` bytes of a buffer, or all, from byte `start` on."""
        if not self.running:
            raise RuntimeError("DMA channel not started")
        if not self.idle and not self._first_transfer:
            raise RuntimeError("DMA channel not idle")
        nbytes = nbytes or array.nbytes - start
        address = array.physical_address + start
        if nbytes > self._max_size:
            raise ValueError(f"Transfer size is {nbytes} bytes, of {self._max_size} at most.")
        if address % self._align:
            raise RuntimeError(f"Starting address must be aligned to {self._align} bytes.")
        if self._offset == MM2S:
            array.flush()
        self.transferred = 0
        self._mmio.write(self._offset + ADDRESS, address & 0xFFFFFFFF)
        self._mmio.write(self._offset + ADDRESS_HIGH, address >> 32)
        self._mmio.write(self._offset + LENGTH, nbytes)
        self._active_buffer, self._first_transfer = array, False

    def wait(self) -> None:
        """Until the transfer has ended; a RuntimeError where an error ended it."""
        if not self.running and not self.error:
            raise RuntimeError("DMA channel not started")
        while not self.idle:
            for bit, message in MESSAGES.items():
                if self._status() & bit:
                    raise RuntimeError(message)
        if self._offset == S2MM and self._active_buffer is not None:
            self._active_buffer.invalidate()
        self.transferred = self._mmio.read(self._offset + LENGTH)

    def _status(self) -> int:
        return self._mmio.read(self._offset + STATUS)


class DMA(DefaultIP):
    """`sendchannel` to the stream, `recvchannel` from it; `buffer_max_size` bytes a transfer."""

    bindto = ("xilinx.com:ip:axi_dma:7.1",)

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(description)
        parameters = description["parameters"]
        self.buffer_max_size = (1 << int(parameters.get("c_sg_length_width", 26))) - 1
        self.sendchannel = self._channel(MM2S, parameters, "mm2s")
        self.recvchannel = self._channel(S2MM, parameters, "s2mm")

    def _channel(self, offset: int, parameters: dict[str, str], name: str) -> Channel:
        any_address = int(parameters.get(f"c_include_{name}_dre", 0))
        width = int(parameters[f"c_m_axi_{name}_data_width"]) // 8
        return Channel(self.mmio, offset, self.buffer_max_size, 1 if any_address else width)
