"""A stand-in for the package `pynq`: what drivers of our overlays use of it, on an emulated board.

The programmable logic is the Verilated shell (`board`); around it are a register-level AXI DMA
(`axi_dma`), memory that a cache stands before (`buffer`) and the clock (`ps`).  Names and meanings
are those of PYNQ 2.7 and 3.x.  It is copied into an emulated package, beside driver.py, so it uses
nothing but numpy and the standard library.
"""

from .buffer import PynqBuffer, allocate
from .device import Device
from .mmio import MMIO
from .overlay import DefaultIP, Overlay
from .ps import Clocks

__all__ = ["MMIO", "Clocks", "DefaultIP", "Device", "Overlay", "PynqBuffer", "allocate"]
