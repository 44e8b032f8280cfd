"""Tables and memories as Yosys makes them of LUTs and blocks.

Measured on the kernels of vgg10_tiny and vgg10_w4a4_fmp, folded for 8,000 frames/s.
"""

from __future__ import annotations

from pipeline.dataflow.costs.cost import Cost

BITS_OF_A_LUT = 19
"""Of a large table in logic: a LUT holds 64, but the multiplexers behind take as many again, and
tables are no powers of two long (unit of 1,920 words of 4 bits: 410 LUT)."""
ASCENDING = 0.4
"""Of a table of thresholds against one of weights (thresholds of both networks, 8 to 64 folds)."""
BITS_OF_HALF_A_BLOCK = 64 * 129
"""From so many on Yosys takes half a block for constants: its script values a LUT of 64 of them at
1 (`-logic-cost-rom 0.015625`), half a block at 129."""
_WIDTHS = {16384: 1, 8192: 2, 4096: 4, 2048: 9, 1024: 18, 512: 36}
"""Of half a block, by its depth (AMD UG473)."""


def rom_luts(words: int, bits: int) -> float:
    """A table of constants in logic: two bits of up to 32 words in a LUT."""
    if words <= 1:
        return 0.0
    if words <= 32:
        return bits / 2
    return float(bits) if words <= 64 else words * bits / BITS_OF_A_LUT


def ram_luts(words: int, bits: int) -> float:
    """Memory of LUTs with a port to write and one to read: RAM32M has 6 bits in four LUTs, RAM64M
    3; behind several of these are multiplexers."""
    if words <= 1:
        return 0.0
    if words <= 32:
        return float(4 * -(-bits // 6))
    banks = -(-words // 64)
    return float(4 * -(-bits // 3) * banks + (banks - 1) * bits / 3)


def blocks(words: int, bits: int) -> float:
    """Block RAM in halves of a block: as few as fit."""
    halves = min(-(-words // depth) * -(-bits // width) for depth, width in _WIDTHS.items())
    return halves / 2


def rom_cost(words: int, bits: int) -> Cost:
    """A table whose reads are registered: blocks where it is large."""
    if words * bits < BITS_OF_HALF_A_BLOCK * 2 * blocks(words, bits):
        return Cost(rom_luts(words, bits))
    return Cost(bram36=blocks(words, bits))


def threshold_cost(words: int, bits: int) -> Cost:
    """The same of thresholds, which ascend: their upper bits repeat."""
    table = rom_cost(words, bits)
    return Cost(ASCENDING * table.lut, bram36=table.bram36)
