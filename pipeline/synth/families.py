"""The families of FPGAs that Yosys maps to, told by the name of a part."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.core.errors import UserError

SMALLEST_DSP_PRODUCT = 10
"""Bits.  A smaller product is made of LUTs: that of a 4-bit weight and a 4-bit code has 9, and DSPs
would run out long before they are used well."""
_SOFT = f"chtype -set $__soft_mul t:$mul r:Y_WIDTH<{SMALLEST_DSP_PRODUCT} %i"
"""A type that Yosys's scripts know, and turn back when multipliers are taken."""


@dataclass(frozen=True)
class Family:
    """name: as Yosys has it; label: for people; command: what maps a flat module to its cells,
    without pads and global buffers, since a part is not a whole chip; multipliers: the label of
    this script from which on it takes multipliers; before: what its script does too late for
    `_SOFT`."""

    name: str
    label: str
    command: str
    multipliers: str
    before: tuple[str, ...] = ()

    def commands(self, module: str) -> tuple[str, ...]:
        """What maps a module."""
        script = f"{self.command} -top {module}"
        first, last = (
            f"{script} -run begin:{self.multipliers}",
            f"{script} -run {self.multipliers}:",
        )
        return (first, *self.before, _SOFT, last)


_XILINX = "synth_xilinx -noiopad -noclkbuf -family"
XC7 = Family("xc7", "Xilinx 7 series", f"{_XILINX} xc7", "map_dsp")
XCUP = Family("xcup", "Xilinx UltraScale+", f"{_XILINX} xcup", "map_dsp")
ECP5 = Family(
    "ecp5", "Lattice ECP5", "synth_ecp5", "coarse", ("opt", "wreduce", "peepopt", "opt_clean")
)

_PARTS = (
    (r"x[ac]7", XC7),
    (r"xc(zu|ku\d+p|vu\d+p|au)|xck\d", XCUP),
    (r"lfe5u", ECP5),
)
"""How the names of a family's parts begin."""


def family_of(part: str, where: str) -> Family:
    """The family of a part, which the file `where` names.  Raises UserError for any other."""
    for pattern, family in _PARTS:
        if re.match(pattern, part, re.IGNORECASE):
            return family
    known = ", ".join(family.label for _, family in _PARTS)
    raise UserError(
        f"Yosys is not known to map to the part {part!r}", where, f"choose a board with {known}"
    )
