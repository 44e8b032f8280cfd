"""Maps parts to the cells of a family, once for equal texts: netlists are kept by their hash."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.core.atomic import canonical_json, sha256_text
from pipeline.core.folders import put_in_cache
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import progress
from pipeline.core.tools import run_beside, yosys
from pipeline.synth import yosys as runner
from pipeline.synth.elaborate import MODULE, Part
from pipeline.synth.families import Family

CACHE = PROJECT_ROOT / "build" / ".synth"
NETLIST = "netlist.json"
_TEXT = "part.il"


@dataclass(frozen=True)
class Mapped:
    """netlists: files by part; fresh: names of the parts that were mapped now."""

    netlists: Mapping[str, Path]
    fresh: tuple[str, ...]


def commands(part: Part, family: Family) -> tuple[str, ...]:
    """What turns a part's text into its netlist; there is nothing to map where parts are joined."""
    cells = set(re.findall(r"^ *cell (\S+)", part.text, re.MULTILINE))
    mapping = () if cells <= {f"\\{box}" for box in part.boxes} else family.commands(MODULE)
    return (
        f"read_rtlil {_TEXT}",
        *mapping,
        f"select {MODULE}",
        f"write_json -noscopeinfo -selected {NETLIST}",
    )


def key(part: Part, family: Family) -> str:
    """Of a netlist: equal where everything that it is made from is."""
    return sha256_text(canonical_json([part.text, commands(part, family), yosys().version]))[:32]


def map_parts(parts: Sequence[Part], family: Family, cache: Path, scratch: Path) -> Mapped:
    """The netlists of all parts, from `cache` or made beside each other.  Raises UserError."""
    keys = {part.name: key(part, family) for part in parts}
    missing: dict[str, Part] = {}
    for part in parts:
        if not (cache / keys[part.name] / NETLIST).is_file():
            missing.setdefault(keys[part.name], part)
    # the longest first: the last ones then end at about the same time
    ordered = sorted(missing.items(), key=lambda item: -len(item[1].text))
    cache.mkdir(parents=True, exist_ok=True)
    if ordered:
        _map_all(ordered, family, cache, scratch)
    netlists = {part.name: cache / keys[part.name] / NETLIST for part in parts}
    fresh = tuple(part.name for part in parts if keys[part.name] in missing)
    return Mapped(netlists, fresh)


def _map_all(
    ordered: Sequence[tuple[str, Part]], family: Family, cache: Path, scratch: Path
) -> None:
    lock = threading.Lock()
    with progress(f"synthesising for {family.label}", len(ordered), "parts") as bar:

        def mapped(own: str, part: Part, stop: threading.Event) -> None:
            _map(own, part, family, cache, scratch, stop)
            with lock:
                bar.advance(last=part.name)

        run_beside([partial(mapped, own, part) for own, part in ordered])


def _map(
    own: str, part: Part, family: Family, cache: Path, scratch: Path, stop: threading.Event
) -> None:
    """Yosys works in `scratch`, so that its log is kept where it fails."""
    work = scratch / own
    work.mkdir()
    (work / _TEXT).write_text(part.text)
    runner.run(commands(part, family), work, [NETLIST], stop)
    entry = cache / f".{own}.{os.getpid()}"
    shutil.rmtree(entry, ignore_errors=True)
    entry.mkdir()
    shutil.move(work / NETLIST, entry / NETLIST)
    put_in_cache(entry, cache / own)
    shutil.rmtree(entry, ignore_errors=True)
    shutil.rmtree(work)
