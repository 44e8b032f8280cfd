"""The emulated board: one FPGA, its memory and its address map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .axi_dma import AxiDma
from .board import Board
from .buffer import Memory

CYCLES_OF_AN_ACCESS = 1000
"""Clock cycles for which a register access of Python's lasts, at 100 MHz: 10 microseconds."""

DMA_TYPE = "xilinx.com:ip:axi_dma:"
ACCELERATOR_TYPE = "amcflow:amcflow:accelerator:"


class Device:
    """What PYNQ calls a device.  `active_device` is the only one."""

    active_device: Device

    def __init__(self) -> None:
        self.memory = Memory()
        self.board: Board | None = None
        self.bitfile_name = ""
        self._cells: list[tuple[range, Any]] = []

    def download(self, bitfile_name: str, ip_dict: Mapping[str, Mapping[str, Any]]) -> None:
        """Configure the FPGA: what was there is gone."""
        board = Board(Path(bitfile_name))
        if self.board is not None:
            self.board.delete()
        self.connect(board, ip_dict)
        self.bitfile_name = bitfile_name

    def connect(self, board: Board, ip_dict: Mapping[str, Mapping[str, Any]]) -> None:
        """Put this logic behind the addresses of a block design."""
        self.board = board
        self._cells = []
        for cell in ip_dict.values():
            if "phys_addr" not in cell:
                continue
            where = range(cell["phys_addr"], cell["phys_addr"] + cell["addr_range"])
            if cell["type"].startswith(DMA_TYPE):
                self._cells.append((where, AxiDma(board, self.memory)))
            elif cell["type"].startswith(ACCELERATOR_TYPE):
                self._cells.append((where, board))

    def read_register(self, address: int) -> int:
        """A load of 32 bits.  Time passes."""
        cell, offset = self._access(address)
        return int(cell.read(offset))

    def write_register(self, address: int, value: int) -> None:
        """A store of 32 bits.  Time passes."""
        cell, offset = self._access(address)
        cell.write(offset, value)

    def _access(self, address: int) -> tuple[Any, int]:
        for where, cell in self._cells:
            if address in where:
                assert self.board is not None
                self.board.run(CYCLES_OF_AN_ACCESS)
                return cell, address - where.start
        raise OSError(f"no cell is at {address:#x}: a real processor would hang here")


Device.active_device = Device()
