"""Reads Vivado's text reports: utilization by cell, timing, the worst path, power.

Their tables are found by their titles, since the columns differ with the family and the version.
ValueError: a report that is not there in the form that is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

UNITS = ("lut", "ff", "dsp", "bram36")
COLUMNS = {
    "lut": ("Total LUTs",),
    "ff": ("FFs",),
    "ramb36": ("RAMB36",),
    "ramb18": ("RAMB18",),
    "dsp": ("DSP Blocks", "DSP48 Blocks", "DSPs"),
}


@dataclass(frozen=True)
class Resources:
    """lut: as logic or memory; bram36: a block of 18 kbit is half of one."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram36: float = 0.0

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.lut + other.lut,
            self.ff + other.ff,
            self.dsp + other.dsp,
            self.bram36 + other.bram36,
        )

    def __sub__(self, other: Resources) -> Resources:
        return Resources(
            self.lut - other.lut,
            self.ff - other.ff,
            self.dsp - other.dsp,
            self.bram36 - other.bram36,
        )


@dataclass(frozen=True)
class Timing:
    """The worst slack, in ns: of setup, of hold, of pulse widths."""

    wns: float
    whs: float
    wpws: float

    @property
    def is_met(self) -> bool:
        """Whether nothing is violated."""
        return min(self.wns, self.whs, self.wpws) >= 0


@dataclass(frozen=True)
class Path:
    """A timing path: slack, data path delay in ns, cells it goes through, clock."""

    slack: float
    source: str
    destination: str
    delay: str
    levels: str
    requirement: str

    def __str__(self) -> str:
        return (
            f"{self.source} -> {self.destination}: {self.delay} of {self.requirement}, "
            f"logic levels {self.levels}, slack {self.slack:g} ns"
        )


@dataclass(frozen=True)
class Power:
    """Estimated, in W."""

    total: float
    dynamic: float
    static: float


# --- utilization --------------------------------------------------------------------------------


def utilization(text: str) -> dict[str, Resources]:
    """What every cell takes, those below it included, by its path from below the top; "": all.

    A row in parentheses is what stands directly in the cell above, and is left out.
    """
    rows = _rows(text, "Utilization by Hierarchy", "Instance")
    titles = next(rows)
    columns = {unit: _column(titles, names) for unit, names in COLUMNS.items()}
    found: dict[str, Resources] = {}
    path: list[str] = []
    for row in rows:
        cell = row[0].removeprefix(" ")  # then two more for every level
        name, depth = cell.strip(), (len(cell) - len(cell.lstrip())) // 2
        if name.startswith("("):
            continue
        if depth > len(path):
            raise ValueError(f"the cell {name} stands below no other")
        path[depth:] = [name]
        found["/".join(path[1:])] = _resources(row, columns)
    if "" not in found:
        raise ValueError("the table of utilization by hierarchy has no rows")
    return found


def _resources(row: Sequence[str], columns: Mapping[str, int]) -> Resources:
    number = {unit: int(re.sub(r"\(.*", "", row[at]).strip()) for unit, at in columns.items()}
    return Resources(
        number["lut"], number["ff"], number["dsp"], number["ramb36"] + number["ramb18"] / 2
    )


def _column(titles: Sequence[str], names: Sequence[str]) -> int:
    for index, title in enumerate(titles):
        if title.strip() in names:
            return index
    raise ValueError(f"no column {names[0]!r} among {', '.join(t.strip() for t in titles)}")


def _rows(text: str, title: str, first: str) -> Iterator[list[str]]:
    """Rows of a table by its title, the one of column titles first; cells with their spaces."""
    behind = re.split(rf"^\d+\. {re.escape(title)}\n-+$", text, maxsplit=1, flags=re.MULTILINE)
    if len(behind) < 2:
        raise ValueError(f"no section {title!r}")
    started = False
    for line in behind[1].splitlines():
        if not started and line.startswith("|") and line.split("|")[1].strip() == first:
            started = True
        if started and line.startswith("|"):
            yield line.split("|")[1:-1]
        elif started and line and not line.startswith("+"):
            return
    if not started:
        raise ValueError(f"no table with the column {first!r} in {title!r}")


# --- timing and power ---------------------------------------------------------------------------


def timing(text: str) -> Timing:
    """The design's summary of report_timing_summary."""
    found = re.search(r"^\s*WNS\(ns\)(.*)\n[\s-]+\n(.*)$", text, flags=re.MULTILINE)
    if found is None:
        raise ValueError("no table of WNS(ns)")
    titles = re.split(r"\s{2,}", f"WNS(ns){found[1]}".strip())
    values = dict(zip(titles, found[2].split(), strict=True))
    return Timing(*(_slack(values[f"{x}(ns)"]) for x in ("WNS", "WHS", "WPWS")))


def _slack(text: str) -> float:
    """A number; "NA" where a design has nothing of the kind is not one, and an error here."""
    if text == "NA":
        raise ValueError("a slack is NA: the design has no clock")
    return float(text)


def worst_path(text: str) -> Path:
    """The first path of report_timing."""

    def entry(pattern: str) -> str:
        found = re.search(pattern, text, flags=re.MULTILINE)
        if found is None:
            raise ValueError(f"no path: {pattern} is not in it")
        return found[1].strip()

    return Path(
        slack=float(entry(r"^Slack \(\w+\) :\s*(-?[\d.]+)ns")),
        source=entry(r"^\s*Source:\s*(\S+)"),
        destination=entry(r"^\s*Destination:\s*(\S+)"),
        delay=entry(r"^\s*Data Path Delay:\s*(.*)"),
        levels=entry(r"^\s*Logic Levels:\s*(.*)"),
        requirement=entry(r"^\s*Requirement:\s*([\d.]+ns)"),
    )


def power(text: str) -> Power:
    """The summary of report_power."""

    def entry(name: str) -> float:
        found = re.search(rf"^\|\s*{re.escape(name)}\s*\|\s*([\d.]+)", text, flags=re.MULTILINE)
        if found is None:
            raise ValueError(f"no entry {name!r}")
        return float(found[1])

    return Power(entry("Total On-Chip Power (W)"), entry("Dynamic (W)"), entry("Device Static (W)"))
