"""Place: the clock that single kernels reach on a Lattice ECP5, placed and routed by nextpnr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.codegen.rtl import DesignFiles, load_design
from pipeline.core.atomic import write_json
from pipeline.core.cli import run_alone
from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.core.progress import say
from pipeline.core.stage import Stage, StageContext
from pipeline.core.tables import print_table
from pipeline.core.tools import yosys
from pipeline.stages import codegen
from pipeline.synth import place
from pipeline.synth.cells import usage
from pipeline.synth.elaborate import Hdl, Part, Split, elaborate
from pipeline.synth.families import ECP5
from pipeline.synth.mapping import CACHE, map_parts
from pipeline.synth.netlist import read_netlist
from pipeline.synth.place import Placed
from pipeline.synth.yosys import PROGRAM

REPORT = "report.json"


def run(context: StageContext) -> None:
    rtl = context.inputs["codegen"] / codegen.RTL
    design, own = load_design(rtl), context.config.place
    kernels = _kernels(design, _elaborated(rtl, design, context.scratch), own.nodes)
    mapped = map_parts(kernels, ECP5, CACHE, context.scratch)
    seeds = [int(text) for text in own.seeds.split(",")]
    placed = place.place(mapped.netlists, seeds, CACHE, context.scratch)
    report = {
        "stage": "place",
        "model": context.model_dir.name,
        "tool": f"nextpnr ({place.PACKAGE} {place.nextpnr().version}), "
        f"Yosys (pyosys {yosys().version})",
        "device": place.DEVICE,
        "seeds": seeds,
        "kernels": [
            _entry(part.name, mapped.netlists[part.name], placed[part.name]) for part in kernels
        ],
    }
    write_json(context.out / REPORT, report)
    show(context.out)


def _elaborated(rtl: Path, design: DesignFiles, scratch: Path) -> list[Part]:
    """Every node by itself."""
    parts = {module: {node: module} for node, module in design.nodes.items()}
    sources = tuple(rtl / name for name in design.sources)
    hdl = Hdl(design.top, sources, tuple(rtl / name for name in design.tables))
    work = scratch / "elaborate"
    work.mkdir()
    return elaborate(hdl, [Split(design.top, parts)], work)


def _kernels(design: DesignFiles, parts: Sequence[Part], nodes: str) -> list[Part]:
    """Those asked for, else of each kind the one in the middle by the length of its text."""
    by_name = {part.name: part for part in parts}
    names = list(design.nodes.values())
    wanted = [name.strip() for name in nodes.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UserError(
            f"there is no node {unknown[0]!r}",
            "place.nodes",
            f"one of {', '.join(names)}",
        )
    if wanted:
        return [by_name[name] for name in wanted]
    kinds: dict[str, list[Part]] = {}
    for name in names:
        kinds.setdefault(name.rpartition("_rtl_")[0], []).append(by_name[name])
    ordered = [sorted(found, key=lambda part: len(part.text)) for found in kinds.values()]
    return [found[len(found) // 2] for found in ordered]


def _entry(name: str, netlist: Path, results: Sequence[Placed]) -> dict[str, Any]:
    used, middle = usage(read_netlist(netlist).cells, {}), place.middle(results)
    return {
        "name": name,
        **{unit: getattr(used, unit) for unit in ("lut", "ff", "dsp", "bram36")},
        "mhz": [result.mhz for result in results],
        "median": asdict(middle),
    }


def show(folder: Path) -> None:
    """Prints the clocks and the critical paths of earlier outputs."""
    report = json.loads((folder / REPORT).read_text())
    rows = [
        (
            *(x[key] for key in ("name", "lut", "ff", "dsp", "bram36")),
            x["median"]["mhz"],
            min(x["mhz"]),
            max(x["mhz"]),
            x["median"]["logic_ns"],
            x["median"]["routing_ns"],
        )
        for x in report["kernels"]
    ]
    columns = (
        "kernel",
        "LUT4",
        "FF",
        "DSP",
        "BRAM36",
        "MHz",
        "least",
        "most",
        "logic ns",
        "wires ns",
    )
    seeds = ", ".join(map(str, report["seeds"]))
    print_table(f"{report['device']}: clock, median of seeds {seeds}", columns, rows)
    paths = [(x["name"], x["median"]["start"], x["median"]["end"]) for x in report["kernels"]]
    print_table("its critical path", ("kernel", "from", "to"), paths)
    say("between registers of a kernel that stands alone; this says nothing of another device")


def sources(_: Config) -> Mapping[str, Path]:
    return {"program": PROGRAM}


STAGE = Stage(
    name="place",
    summary="place and route single kernels on a Lattice ECP5: their clock and critical path",
    sections=("place",),
    needs=("codegen",),
    outputs=(REPORT,),
    run=run,
    sources=sources,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_alone(STAGE))
