"""Reports in the form that Vivado writes them, with made-up numbers.

Tables, titles and columns are those of Vivado 2022.2 to 2024.2; UltraScale+ has a column more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

UNITS = ("Total LUTs", "Logic LUTs", "LUTRAMs", "SRLs", "FFs", "RAMB36", "RAMB18", "DSP Blocks")


def header(command: str, part: str) -> str:
    """The box that every report begins with."""
    rule = "-" * 100
    return f"""Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
{rule}
| Tool Version : Vivado v.2022.2 (lin64) Build 3671981 Fri Oct 14 04:59:54 MDT 2022
| Host         : builder running 64-bit Debian GNU/Linux 12 (bookworm)
| Command      : {command}
| Design       : system_wrapper
| Device       : {part}
| Speed File   : -1  PRODUCTION 1.12 2019-11-22
| Design State : Routed
{rule}

"""


def made_up(name: str) -> dict[str, int]:
    """What a cell without others below takes: the same for the same name."""
    seed = hashlib.sha256(name.encode()).digest()
    logic, memory, shift = seed[0] * 4, seed[1] // 8, seed[2] // 8
    return {
        "Total LUTs": logic + memory + shift,
        "Logic LUTs": logic,
        "LUTRAMs": memory,
        "SRLs": shift,
        "FFs": seed[3] * 5,
        "RAMB36": seed[4] % 4,
        "RAMB18": seed[5] % 3,
        "DSP Blocks": seed[6] % 9,
    }


def hierarchy(nodes: Sequence[str]) -> dict[str, object]:
    """Cells of our system below its top; leaves are empty."""
    core = {name: {} for name in nodes}
    shell = {"buffer": {}, "core": core, "queue": {"entries": {}, "labels": {}}, "registers": {}}
    cells = {"accelerator": {"inst": {"shell": shell}}, "control": {}, "dma": {"U0": {}}}
    return {"system_i": {**cells, "memory": {}, "ps": {"inst": {}}, "reset": {}}}


def utilization(nodes: Sequence[str], part: str, ultrascale: bool) -> str:
    """report_utilization -hierarchical."""
    tree = hierarchy(nodes)
    rows: list[tuple[str, str, dict[str, int]]] = []

    def visit(name: str, path: str, below: Mapping[str, object], depth: int) -> dict[str, int]:
        own = made_up(f"own {path}") if depth else dict.fromkeys(UNITS, 0)
        place = len(rows)
        total = dict(own)
        if below:  # what stands directly in it has a row of its own
            rows.append((f"{'  ' * (depth + 1)}({name})", "", own))
        for child, more in below.items():
            assert isinstance(more, dict)
            for unit, used in visit(child, f"{path}/{child}", more, depth + 1).items():
                total[unit] += used
        rows.insert(place, ("  " * depth + name, f"{name}_module" if depth else "(top)", total))
        return total

    visit("system_wrapper", "", tree, 0)
    units = [*UNITS[:-1], "URAM", UNITS[-1]] if ultrascale else list(UNITS)
    titles = ["Instance", "Module", *units]
    cells = [[name, module, *(str(used.get(u, 0)) for u in units)] for name, module, used in rows]
    head = header("report_utilization -hierarchical -file utilization.rpt", part)
    return f"""{head}Utilization Design Information

Table of Contents
-----------------
1. Utilization by Hierarchy

1. Utilization by Hierarchy
---------------------------

{table(titles, cells)}
* Note: The sum of lower-level cells may be larger than their parent cells total, due to cross-hierarchy LUT combining


"""  # noqa: E501


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A ruled table: names to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(row: Sequence[str]) -> str:
        first = row[0].ljust(widths[0])
        rest = [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        return "| " + " | ".join([first, *rest]) + " |"

    centred = "| " + " | ".join(t.center(w) for t, w in zip(titles, widths, strict=True)) + " |"
    return "\n".join([rule, centred, rule, *(line(row) for row in rows), rule])


def timing(part: str, setup: float, hold: float, pulse: float) -> str:
    """report_timing_summary."""
    met = "All user specified timing constraints are met."
    if min(setup, hold, pulse) < 0:
        met = "Timing constraints are not met."
    total, failing = (setup * 37, 37) if setup < 0 else (0.0, 0)
    head = header("report_timing_summary -max_paths 10 -file timing.rpt", part)
    bar = "-" * 96
    return f"""{head}Timing Summary Report

{bar}
| Timer Settings
| --------------
{bar}

  Enable Multi Corner Analysis               :  Yes

{bar}
| Design Timing Summary
| ---------------------
{bar}

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints  
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------  
{setup:11.3f}{total:13.3f}{failing:23d}                73412{hold:13.3f}        0.000                      0                73412{pulse:13.3f}        0.000                       0                 26911  


{met}


{bar}
| Clock Summary
| -------------
{bar}

Clock       Waveform(ns)         Period(ns)      Frequency(MHz)
-----       ------------         ----------      --------------
clk_fpga_0  {{0.000 5.000}}        10.000          100.000         


{bar}
| Intra Clock Table
| -----------------
{bar}

Clock             WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints  
-----             -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------  
clk_fpga_0          9.999        0.000                      0                73412        9.999        0.000                      0                73412        9.999        0.000                       0                 26911  
"""  # noqa: E501, W291


def path(slack: float, delay_type: str) -> str:
    """report_timing of one path."""
    verdict = "MET" if slack >= 0 else "VIOLATED"
    kind = "required time - arrival time" if delay_type == "max" else "arrival time - required time"
    corner = "Setup (Max at Slow" if delay_type == "max" else "Hold (Min at Fast"
    requirement = 10.0 if delay_type == "max" else 0.0
    cell = "system_i/accelerator/inst/shell/core/node6/kernel"
    return f"""Timing Report

Slack ({verdict}) :        {slack:.3f}ns  ({kind})
  Source:                 {cell}/w_q_reg[35]/C
                            (rising edge-triggered cell FDRE clocked by clk_fpga_0  {{rise@0.000ns fall@5.000ns period=10.000ns}})
  Destination:            {cell}/g_pe[1].group_q_reg[0][7]/D
                            (rising edge-triggered cell FDRE clocked by clk_fpga_0  {{rise@0.000ns fall@5.000ns period=10.000ns}})
  Path Group:             clk_fpga_0
  Path Type:              {corner} Process Corner)
  Requirement:            {requirement:.3f}ns  (clk_fpga_0 rise@10.000ns - clk_fpga_0 rise@0.000ns)
  Data Path Delay:        10.212ns  (logic 3.914ns (38.327%)  route 6.298ns (61.673%))
  Logic Levels:           11  (CARRY4=5 LUT3=1 LUT5=2 LUT6=3)
  Clock Path Skew:        -0.083ns (DCD - SCD + CPR)

    Location             Delay type                Incr(ns)  Path(ns)    Netlist Resource(s)
  -------------------------------------------------------------------    -------------------
"""  # noqa: E501


def power(part: str) -> str:
    """report_power."""
    head = header("report_power -file power.rpt", part)
    return f"""{head}Power Report

Table of Contents
-----------------
1. Summary
1.1 On-Chip Components

1. Summary
----------

+--------------------------+--------------+
| Total On-Chip Power (W)  | 1.795        |
| Design Power Budget (W)  | Unspecified* |
| Power Budget Margin (W)  | NA           |
| Dynamic (W)              | 1.651        |
| Device Static (W)        | 0.144        |
| Effective TJA (C/W)      | 11.5         |
| Max Ambient (C)          | 64.3         |
| Junction Temperature (C) | 45.7         |
| Confidence Level         | Medium       |
| Setting File             | ---          |
| Simulation Activity File | ---          |
| Design Nets Matched      | NA           |
+--------------------------+--------------+
* Specify Design Power Budget using, set_operating_conditions -design_power_budget <value in Watts>


1.1 On-Chip Components
----------------------

+--------------------------+-----------+----------+-----------+-----------------+
| On-Chip                  | Power (W) | Used     | Available | Utilization (%) |
+--------------------------+-----------+----------+-----------+-----------------+
| Clocks                   |     0.061 |        3 |       --- |             --- |
"""
