"""The AXI DMA of the emulated board at its registers, simple mode (AMD PG021)."""

from __future__ import annotations

from typing import Protocol

from .board import Board
from .buffer import UNWRITTEN, Memory

CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
MM2S, S2MM = 0x00, 0x30
RUN, RESET = 1 << 0, 1 << 2
HALTED, IDLE, INTERNAL_ERROR, DECODE_ERROR = 1 << 0, 1 << 1, 1 << 4, 1 << 6
ERRORS = INTERNAL_ERROR | DECODE_ERROR


class Channel:
    """Registers of one direction, and whether a transfer goes on.

    After a reset it is halted; once it runs it is idle only after its first transfer, as in the
    hardware.  A stop takes effect when the transfer that goes on has ended, so maybe never.
    """

    def __init__(self) -> None:
        self.control = 0
        self.status = HALTED
        self.address = 0
        self.length = 0
        self.busy = False

    def run_or_stop(self, control: int) -> None:
        """A write to the control register, other than a reset."""
        self.control = control
        if control & RUN:
            self.status &= ~HALTED
        elif not self.busy:
            self.status |= HALTED

    def begin(self) -> None:
        """A transfer starts."""
        self.status &= ~IDLE
        self.busy = True

    def end(self) -> None:
        """The transfer has ended."""
        self.busy = False
        self.status |= IDLE
        if not self.control & RUN:
            self.status |= HALTED

    def fail(self, error: int) -> None:
        """An error halts the channel until a reset."""
        self.busy = False
        self.status = self.status & ~IDLE | HALTED | error


class Surroundings(Protocol):
    """What the DMA is between."""

    memory: Memory

    @property
    def logic(self) -> Board:
        """The streams' other end."""


class AxiDma:
    """Both channels, between memory and the streams of the board.

    A driver that uses a buffer while a transfer does is found out: what then happens in hardware
    depends on the cache.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._channels = {MM2S: Channel(), S2MM: Channel()}

    def read(self, offset: int) -> int:
        """A register's value, after what has happened up to now."""
        self._update()
        base = S2MM if offset >= S2MM else MM2S
        channel = self._channels[base]
        registers = {
            CONTROL: channel.control,
            STATUS: channel.status,
            ADDRESS: channel.address & 0xFFFFFFFF,
            ADDRESS_HIGH: channel.address >> 32,
            LENGTH: channel.length,
        }
        return registers.get(offset - base, 0)

    def write(self, offset: int, value: int) -> None:
        """Set a register; that of the length begins a transfer."""
        self._update()
        base = S2MM if offset >= S2MM else MM2S
        channel, register = self._channels[base], offset - base
        if register == CONTROL and value & RESET:  # of either channel resets both
            self._around.logic.abort()
            self._channels = {MM2S: Channel(), S2MM: Channel()}
        elif register == CONTROL:
            channel.run_or_stop(value)
        elif register == ADDRESS:
            channel.address = channel.address >> 32 << 32 | value
        elif register == ADDRESS_HIGH:
            channel.address = channel.address & 0xFFFFFFFF | value << 32
        elif register == LENGTH and not channel.status & HALTED and not channel.busy:
            self._begin(base, channel, value)

    def _begin(self, base: int, channel: Channel, length: int) -> None:
        channel.length = length
        data = self._around.memory.find(channel.address, length)
        if length == 0 or data is None:
            channel.fail(INTERNAL_ERROR if length == 0 else DECODE_ERROR)
            return
        channel.begin()
        if base == MM2S:
            self._around.logic.send(data)
        else:
            data[...] = UNWRITTEN  # nobody knows when the labels of before are gone
            self._around.logic.receive(data)

    def _update(self) -> None:
        """Take over what the board has done."""
        send, receive = self._channels[MM2S], self._channels[S2MM]
        if send.busy and not self._around.memory.is_flushed(send.address, send.length):
            raise RuntimeError("the processor has written to a buffer that is being sent")
        if send.busy and self._around.logic.send_done():
            send.end()
        if receive.busy and self._around.logic.receive_done():
            receive.length = self._around.logic.received()
            receive.end()
            if self._around.logic.overflow():
                receive.fail(INTERNAL_ERROR)
