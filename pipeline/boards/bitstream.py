"""A bitstream as a folder: accelerator.bit, .hwh, .json, and Vivado's reports where it was there.

accelerator.json: {"model", "hash", "board", "part", "backend", "project", "bitstream_sha256",
"tool", "clock_mhz"}; `hash` is the core's, as the AXI shell's registers hold it, and `clock_mhz`
the clock that the timing was met for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.boards import hierarchy, vivado_reports
from pipeline.boards.vivado import (
    BITSTREAM,
    HANDOFF,
    IDENTITY,
    POWER,
    TIMING,
    UTILIZATION,
    Description,
)
from pipeline.boards.vivado_reports import Resources, Timing
from pipeline.core.atomic import sha256_file
from pipeline.core.errors import UserError
from pipeline.core.paths import shown

FILES = (BITSTREAM, HANDOFF, IDENTITY)
REST_OF_CORE, SHELL, SYSTEM = "rest of the core", "AXI shell", "processing system and DMA"


@dataclass(frozen=True)
class Identity:
    """What accelerator.json says."""

    model: str
    hash: str
    board: str
    part: str
    backend: str
    project: str
    bitstream_sha256: str
    tool: str
    clock_mhz: float


def read_bitstream(folder: Path, description: Description) -> Identity:
    """The identity of a folder's bitstream, once that is known to be the one that is wanted.

    Raises UserError: a file that is missing, or a bitstream of something else.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(
                f"there is no {name}",
                shown(folder),
                f"bring {', '.join(FILES)} there: a finished build has them in its output",
            )
    identity = _read_identity(folder / IDENTITY)
    found = asdict(identity)
    for name in ("hash", "board", "part", "backend"):
        _require(folder, name, found[name], getattr(description, name), _ANOTHER_BUILD)
    digest = sha256_file(folder / BITSTREAM)
    _require(folder, "bitstream_sha256", digest, identity.bitstream_sha256, _COPIED_BADLY)
    return identity


_ANOTHER_BUILD = "make vivado-project, build that, and take what it makes"
_COPIED_BADLY = f"copy {BITSTREAM} and {IDENTITY} again, from the same build"


def _require(folder: Path, name: str, found: object, wanted: object, remedy: str) -> None:
    if found != wanted:
        what = f"this is not the bitstream of this model and board: {name} is {found}, not {wanted}"
        raise UserError(what, shown(folder / IDENTITY), remedy)


def _read_identity(file: Path) -> Identity:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Identity(**{field.name: values[field.name] for field in fields(Identity)})
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"it does not say what the bitstream is of: {error!r}",
            shown(file),
            f"take the {IDENTITY} that the build made",
        ) from error


# --- reports ------------------------------------------------------------------------------------


def report(identity: Identity, description: Description, reports: Path) -> dict[str, Any]:
    """`report.json` of a bitstream; what only Vivado's reports know is None where they are not.

    Raises UserError where a report cannot be read or says that the timing is not met.
    """
    head = {
        "stage": "bitstream",
        "model": description.model,
        "board": description.board,
        "part": identity.part,
        "tool": identity.tool,
        "backend": identity.backend,
        "clock_mhz": identity.clock_mhz,
        "hash": identity.hash,
    }
    nothing: dict[str, Any] = {"wns": None, "whs": None, "power": None, "layers": [], "total": None}
    if not reports.is_dir():
        return head | nothing
    try:
        timing = vivado_reports.timing((reports / TIMING).read_text())
        _require_timing(timing, reports)
        slacks = {"wns": timing.wns, "whs": timing.whs}
        if description.backend == "finn":  # its other reports are its own
            return head | nothing | slacks
        power = vivado_reports.power((reports / POWER).read_text())
        cells = vivado_reports.utilization((reports / UTILIZATION).read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"Vivado's reports are not as they are known: {error}",
            shown(reports),
            "take the whole output of a build, or none of its reports",
        ) from error
    return head | {
        **slacks,
        "power": asdict(power),
        "layers": by_layer(cells, description.layers),
        "total": asdict(cells[""]),
    }


def _require_timing(timing: Timing, reports: Path) -> None:
    if not timing.is_met:
        raise UserError(
            f"timing is not met: worst slack {timing.wns:g} ns of setup, {timing.whs:g} of hold, "
            f"{timing.wpws:g} of pulse widths",
            shown(reports / TIMING),
            "build it for a lower clock: hardware.clock_mhz",
        )


def by_layer(
    cells: dict[str, Resources], layers: Sequence[hierarchy.LayerCells]
) -> list[dict[str, Any]]:
    """Resources of every layer, then of what is around them; their sum is the whole.

    A cell that synthesis has dissolved is counted where its logic went: in what is around it.  Of a
    core whose layers are not known, the cells right below it stand for them.
    """
    core = cells.get(hierarchy.CORE, Resources())
    place = hierarchy.CORE
    known = tuple(layers)
    if not known:
        while len(names := _below(cells, place)) == 1:  # an adapter around the core proper
            place = f"{place}/{names[0]}"
        known = tuple(hierarchy.LayerCells(name, None, (name,)) for name in names)
    rows, inside = [], Resources()
    for layer in known:
        used = Resources()
        for name in layer.cells:
            used += cells.get(f"{place}/{name}", Resources())
        rows.append({"name": layer.name, **asdict(used), "cycles": layer.cycles})
        inside += used
    shell = cells.get(hierarchy.SHELL, Resources())
    for name, rest in (
        (REST_OF_CORE, core - inside),
        (SHELL, shell - core),
        (SYSTEM, cells[""] - shell),
    ):
        rows.append({"name": name, **asdict(rest), "cycles": None})
    return rows


def _below(cells: dict[str, Resources], place: str) -> list[str]:
    """Names of the cells right below one."""
    start = f"{place}/"
    return [
        x.removeprefix(start) for x in cells if x.startswith(start) and "/" not in x[len(start) :]
    ]
