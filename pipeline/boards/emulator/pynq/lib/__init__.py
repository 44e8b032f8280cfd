"""Drivers of IP, by the type that an overlay finds in the hardware hand-off."""

from .dma import DMA

__all__ = ["DMA"]
