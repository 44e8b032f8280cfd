"""What a model of Vivado is like."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Behaviour:
    """What this Vivado is like. fail: a command that fails, and with what message; hang: a command
    that never ends; parts, boards: that are installed; setup, hold, pulse: slacks of the routed
    design, which may have no paths; silent_exit: it does nothing; trace: a file for its calls."""

    version: str = "2022.2"
    parts: tuple[str, ...] = ("xc7z020*", "xczu*", "xck26*")
    boards: tuple[str, ...] = ()
    setup: float = 0.412
    hold: float = 0.031
    pulse: float = 3.75
    paths: bool = True
    fail: dict[str, str] = field(default_factory=dict)
    hang: str = ""
    silent_exit: bool = False
    banner: str = "Vivado v{version} (64-bit)"
    trace: str = ""
