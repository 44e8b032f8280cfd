"""Board files: `hw/boards/<board>.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.paths import PROJECT_ROOT

BOARDS = PROJECT_ROOT / "hw" / "boards"


@dataclass(frozen=True)
class Board:
    """key: the file's name; name: as its maker writes it; part: the FPGA, as its vendor names it;
    the rest: what it has to offer."""

    key: str
    name: str
    part: str
    lut: int
    ff: int
    dsp: int
    bram36: int


_FIELDS = {"name", "part", "resources"}
_RESOURCES = {f.name for f in fields(Board)} - _FIELDS - {"key"}


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
    _require_keys(path, set(values), _FIELDS)
    _require_keys(path, set(values["resources"]), _RESOURCES)
    return Board(key, values["name"], values["part"], **values["resources"])


def _require_keys(path: Path, found: set[str], wanted: set[str]) -> None:
    if found != wanted:
        raise UserError(
            f"keys missing or unknown: {', '.join(sorted(found ^ wanted))}",
            str(path),
            f"this table has exactly {', '.join(sorted(wanted))}",
        )
