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
    """What PYNQ calls a device.  `active_device` is the only one.

    board: the logic that is loaded, if any; bitfile_name: of what.
    """

    active_device: Device

    def __init__(self) -> None:
        self.memory = Memory()
        self.board: Board | None = None
        self.bitfile_name = ""
        self._cells: list[tuple[range, AxiDma | None]] = []

    @property
    def logic(self) -> Board:
        """The logic that is loaded."""
        if self.board is None:
            raise RuntimeError("no bitstream is loaded")
        return self.board

    def download(self, bitfile_name: str, ip_dict: Mapping[str, Mapping[str, Any]]) -> None:
        """Configure the FPGA, and put its cells at their addresses: what was there is gone."""
        board = Board(Path(bitfile_name))
        if self.board is not None:
            self.board.delete()
        self.board, self.bitfile_name, self._cells = board, bitfile_name, []
        for cell in ip_dict.values():
            if cell["type"].startswith((DMA_TYPE, ACCELERATOR_TYPE)):
                where = range(cell["phys_addr"], cell["phys_addr"] + cell["addr_range"])
                dma = AxiDma(self) if cell["type"].startswith(DMA_TYPE) else None
                self._cells.append((where, dma))

    def read_register(self, address: int) -> int:
        """A load of 32 bits.  Time passes."""
        cell, offset = self._access(address)
        return cell.read(offset)

    def write_register(self, address: int, value: int) -> None:
        """A store of 32 bits.  Time passes."""
        cell, offset = self._access(address)
        cell.write(offset, value)

    def _access(self, address: int) -> tuple[AxiDma | Board, int]:
        """The cell at an address, which is the accelerator where it is not the DMA."""
        for where, dma in self._cells:
            if address in where:
                self.logic.run(CYCLES_OF_AN_ACCESS)
                return dma or self.logic, address - where.start
        raise OSError(f"no cell is at {address:#x}: a real processor would hang here")


Device.active_device = Device()
