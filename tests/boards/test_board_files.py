"""Board files: what they say is complete, and a mistake in one is the reader's to know."""

import shutil
from pathlib import Path

import pytest

from pipeline.boards.board import BOARDS, load_board, open_boards, open_tools_hint
from pipeline.core.errors import UserError

KEYS = sorted(path.stem for path in BOARDS.glob("*.toml"))
LATTICE = """
name = "A board without a Zynq"
part = "LFE5U-85F-6BG381C"
toolchain = "open"

[resources]
lut = 83_640
ff = 83_640
dsp = 156
bram36 = 104
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the boards' folder, to plant something in."""
    return shutil.copytree(BOARDS, tmp_path / "boards")


@pytest.mark.parametrize("key", ["kv260", "pynq_z1", "pynq_z2", "rfsoc2x2", "zcu104"])
def test_boards_with_a_zynq_say_all_that_vivado_needs(key: str) -> None:
    board = load_board(key)
    assert board.built_by_vivado
    assert board.vivado is not None
    family, bits, prefix = {
        "xc7z": ("zynq7", 64, "PCW_"),
        "xczu": ("zynqmp", 128, "PSU__"),
        "xck2": ("zynqmp", 128, "PSU__"),
    }[board.part[:4]]
    assert (board.vivado.family, board.vivado.dma_width) == (family, bits)
    assert 0 < board.vivado.clock_mhz <= board.vivado.clock_max_mhz
    assert board.vivado.ps
    assert all(name.startswith(prefix) for name in board.vivado.ps)
    assert board.vivado.board_part.count(":") == 2
    assert min(board.lut, board.ff, board.dsp, board.bram36) > 0


def test_a_board_of_another_toolchain_has_nothing_of_vivado(folder: Path) -> None:
    (folder / "lattice.toml").write_text(LATTICE)
    board = load_board("lattice", folder)
    assert not board.built_by_vivado
    assert board.toolchain == "open"
    assert open_boards(folder) == ["lattice"]
    hint = "make bitstream BOARD=lattice   (builds a real bitstream, with open tools)"
    assert open_tools_hint(folder) == hint


def test_without_such_a_board_there_is_no_hint(folder: Path) -> None:
    for key in open_boards(folder):
        (folder / f"{key}.toml").unlink()
    assert open_tools_hint(folder) == ""


def test_an_unknown_board_names_the_nearest() -> None:
    with pytest.raises(UserError) as error:
        load_board("pynqz2")
    assert error.value.remedy == f"did you mean pynq_z2? boards: {', '.join(KEYS)}"


MISTAKES = {
    'toolchain = "vivdo"\nname': ("name", "toolchain = 'vivdo'", "one of vivado, open"),
    'colour = "red"\nname': ("name", "keys missing or unknown: colour", "name, part, resources"),
    "": ("ff = 106_400\n", "keys missing or unknown: ff", "bram36, dsp, ff, lut"),
    'family = "zynq8"': ('family = "zynq7"', "vivado.family = 'zynq8'", "one of zynq7, zynqmp"),
    "\n": ("\ndma_width = 64 ", "keys missing or unknown: dma_width", "family, ps"),
    "FREQMHZ = 50": ('FREQMHZ = "50"', "FREQMHZ = 50 is not text", "quote it"),
}


@pytest.mark.parametrize("new", MISTAKES)
def test_a_mistake_in_a_file_is_named(folder: Path, new: str) -> None:
    old, what, remedy = MISTAKES[new]
    file = folder / "pynq_z2.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        load_board("pynq_z2", folder)
    assert what in error.value.what
    assert remedy in error.value.remedy
    assert error.value.where == str(file)
