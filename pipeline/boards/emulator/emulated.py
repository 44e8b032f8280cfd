"""The bitstream of an emulated board: a shared library, and what has to lie beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.boards.board import Board
from pipeline.boards.emulator.handoff import hand_off
from pipeline.boards.emulator.library import build_library
from pipeline.boards.package import STEM, Bitstream
from pipeline.codegen.rtl import load_design

STAND_IN = Path(__file__).with_name("pynq")
"""The package `pynq` for it, which lies beside driver.py."""
TABLES = f"{STEM}.tables"


def emulated_bitstream(
    rtl: Path, shell: Path, board: Board, clock_mhz: float, cache: Path
) -> Bitstream:
    """The library, from `cache` or built, as a board of that kind has it.

    rtl, shell: folders that codegen wrote.  Raises ToolError.
    """
    library = build_library(rtl, shell, cache)
    tables = {f"{TABLES}/{name}": (rtl / name).read_bytes() for name in load_design(rtl).tables}
    family = board.vivado.family if board.vivado else "zynq7"
    width = board.vivado.dma_width if board.vivado else 64
    written = hand_off(family, clock_mhz, width)
    return Bitstream(library.path.read_bytes(), written.encode(), {**tables, **dict(_stand_in())})


def _stand_in() -> Iterator[tuple[str, bytes]]:
    for file in sorted(STAND_IN.rglob("*.py")):
        yield f"pynq/{file.relative_to(STAND_IN)}", file.read_bytes()
