"""The families of FPGAs that Yosys maps to, told by the name of a part."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.core.errors import UserError


@dataclass(frozen=True)
class Family:
    """name: as Yosys has it; label: for people; command: what maps a flat module called `part` to
    its cells, without pads and global buffers, since a part is not a whole chip."""

    name: str
    label: str
    command: str


XC7 = Family("xc7", "Xilinx 7 series", "synth_xilinx -family xc7 -noiopad -noclkbuf")
XCUP = Family("xcup", "Xilinx UltraScale+", "synth_xilinx -family xcup -noiopad -noclkbuf")
ECP5 = Family("ecp5", "Lattice ECP5", "synth_ecp5")

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
        f"Yosys cannot be told what {part!r} is made of", where, f"choose a board with {known}"
    )
