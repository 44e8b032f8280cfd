"""The emulated programmable logic: a shared library in place of a bitstream (device.cpp)."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from pathlib import Path

import numpy as np

BYTES = ctypes.POINTER(ctypes.c_uint8)
HANDLE, WORD, LONG = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
FUNCTIONS = {
    "board_error": (ctypes.c_char_p, ()),
    "board_new": (HANDLE, (ctypes.c_char_p,)),
    "board_delete": (None, (HANDLE,)),
    "board_read": (WORD, (HANDLE, WORD)),
    "board_write": (None, (HANDLE, WORD, WORD)),
    "board_send": (None, (HANDLE, BYTES, LONG)),
    "board_receive": (None, (HANDLE, BYTES, LONG)),
    "board_run": (LONG, (HANDLE, LONG)),
    "board_sent": (LONG, (HANDLE,)),
    "board_received": (LONG, (HANDLE,)),
    "board_send_done": (ctypes.c_int, (HANDLE,)),
    "board_receive_done": (ctypes.c_int, (HANDLE,)),
    "board_receive_overflow": (ctypes.c_int, (HANDLE,)),
    "board_abort": (None, (HANDLE,)),
}
"""Result and arguments of each; device.cpp says what they do."""


class Board:
    """One loaded library and one accelerator in it.

    bitstream: the library; the tables that the accelerator reads are in the folder beside it that
    has its name with the suffix .tables.  Raises RuntimeError where it cannot be loaded.
    """

    def __init__(self, bitstream: Path) -> None:
        self._library = _load(bitstream)
        tables = bitstream.with_suffix(".tables")
        self._handle = self._library.board_new(str(tables).encode())
        if not self._handle:
            raise RuntimeError(
                f"{bitstream} does not start: {self._library.board_error().decode()}"
            )
        self._source: np.ndarray | None = None
        self._sink: np.ndarray | None = None

    def delete(self) -> None:
        """Give its memory back."""
        self._library.board_delete(self._handle)

    def read(self, offset: int) -> int:
        """An AXI4-Lite read of 32 bits."""
        return int(self._library.board_read(self._handle, offset))

    def write(self, offset: int, value: int) -> None:
        """An AXI4-Lite write of 32 bits."""
        self._library.board_write(self._handle, offset, value)

    def send(self, data: np.ndarray) -> None:
        """Begin to stream bytes in, tlast on the last beat."""
        self._source = data  # which must live as long as it is read
        self._library.board_send(self._handle, data.ctypes.data_as(BYTES), data.nbytes)

    def receive(self, data: np.ndarray) -> None:
        """Begin to stream into these bytes, up to tlast or until they are full."""
        self._sink = data
        self._library.board_receive(self._handle, data.ctypes.data_as(BYTES), data.nbytes)

    def run(self, cycles: int) -> int:
        """Let so many cycles pass, fewer where both streams end; how many did."""
        return int(self._library.board_run(self._handle, cycles))

    def sent(self) -> int:
        """Bytes of the current or latest `send` that are inside."""
        return int(self._library.board_sent(self._handle))

    def received(self) -> int:
        """Bytes of the current or latest `receive` that have come."""
        return int(self._library.board_received(self._handle))

    def send_done(self) -> bool:
        """Whether nothing is being sent."""
        return bool(self._library.board_send_done(self._handle))

    def receive_done(self) -> bool:
        """Whether nothing is being received."""
        return bool(self._library.board_receive_done(self._handle))

    def overflow(self) -> bool:
        """Whether the latest `receive` was full before tlast came."""
        return bool(self._library.board_receive_overflow(self._handle))

    def abort(self) -> None:
        """Forget both streams where they are."""
        self._library.board_abort(self._handle)


def _load(bitstream: Path) -> ctypes.CDLL:
    """The library, from a copy: as in an FPGA, the file may be replaced once it is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "board.so"
        shutil.copyfile(bitstream, copy)
        try:
            library = ctypes.CDLL(str(copy))
        except OSError as error:
            raise RuntimeError(
                f"{bitstream} is no bitstream of an emulated board: {error}"
            ) from error
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
