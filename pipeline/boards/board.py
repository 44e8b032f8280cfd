"""Board files: `hw/boards/<board>.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.paths import PROJECT_ROOT, shown

BOARDS = PROJECT_ROOT / "hw" / "boards"
FAMILIES = ("zynq7", "zynqmp")
TOOLCHAINS = ("vivado", "open")


@dataclass(frozen=True)
class VivadoBoard:
    """What Vivado has to know of a board with a Zynq.

    family: of FAMILIES; board_part: Vivado's name of the board, without the version; clock_mhz:
    the fabric clock that the board's file recommends, and clock_max_mhz, above which nothing is
    built; dma_width: bits of the processing system's memory port; ps: properties of the processing
    system, without "CONFIG.", for a Vivado that does not have the board's files.
    """

    family: str
    board_part: str
    clock_mhz: float
    clock_max_mhz: float
    dma_width: int
    ps: Mapping[str, str]


@dataclass(frozen=True)
class Board:
    """key: the file's name; name: as its maker writes it; part: the FPGA, as its vendor names it;
    what it has to offer; toolchain: what makes its bitstream, of TOOLCHAINS; vivado: None where
    that is not Vivado."""

    key: str
    name: str
    part: str
    lut: int
    ff: int
    dsp: int
    bram36: int
    toolchain: str = "vivado"
    vivado: VivadoBoard | None = None

    @property
    def built_by_vivado(self) -> bool:
        """Whether its file says how."""
        return self.vivado is not None


_REQUIRED, _OPTIONAL = {"name", "part", "resources"}, {"toolchain", "vivado"}
_RESOURCES = {"lut", "ff", "dsp", "bram36"}
_VIVADO = {f.name for f in fields(VivadoBoard)}


def load_board(key: str, folder: Path = BOARDS) -> Board:
    """The board of that name.  Raises UserError if there is none or its file is wrong."""
    known = sorted(p.stem for p in folder.glob("*.toml"))
    if key not in known:
        close = get_close_matches(key, known, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise UserError(
            f"there is no board {key!r}",
            "hardware.board (BOARD=)",
            f"{hint}boards: {', '.join(known)}",
        )
    path = folder / f"{key}.toml"
    values = tomllib.loads(path.read_text())
    _require_keys(path, set(values) - _OPTIONAL, _REQUIRED)
    _require_keys(path, set(values["resources"]), _RESOURCES)
    toolchain = values.get("toolchain", "vivado")
    _require_value(path, "toolchain", toolchain, TOOLCHAINS)
    vivado = _vivado(path, values["vivado"]) if "vivado" in values else None
    return Board(
        key,
        values["name"],
        values["part"],
        **values["resources"],
        toolchain=toolchain,
        vivado=vivado,
    )


def open_boards(folder: Path = BOARDS) -> list[str]:
    """Names of the boards whose bitstream open tools make."""
    boards = [load_board(path.stem, folder) for path in sorted(folder.glob("*.toml"))]
    return [board.key for board in boards if board.toolchain == "open"]


def open_tools_hint(folder: Path = BOARDS) -> str:
    """How to get a real bitstream without Vivado; empty while no board is built that way."""
    lines = [f"make bitstream BOARD={key}" for key in open_boards(folder)]
    return f"{lines[0]}   (builds a real bitstream, with open tools)" if lines else ""


def _vivado(path: Path, table: Mapping[str, Any]) -> VivadoBoard:
    _require_keys(path, set(table), _VIVADO)
    _require_value(path, "vivado.family", table["family"], FAMILIES)
    wrong = [name for name, value in table["ps"].items() if not isinstance(value, str)]
    if wrong:
        raise UserError(
            f"vivado.ps.{wrong[0]} = {table['ps'][wrong[0]]!r} is not text", shown(path), "quote it"
        )
    return VivadoBoard(**table)


def _require_value(path: Path, key: str, value: object, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise UserError(f"{key} = {value!r}", shown(path), f"one of {', '.join(allowed)}")


def _require_keys(path: Path, found: set[str], wanted: set[str]) -> None:
    if found != wanted:
        raise UserError(
            f"keys missing or unknown: {', '.join(sorted(found ^ wanted))}",
            shown(path),
            f"this table has exactly {', '.join(sorted(wanted))}",
        )
