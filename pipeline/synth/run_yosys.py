"""The program that `yosys.run` starts: the commands of a file, one a line, on one design.

Apart from everything else, so that a crash of Yosys, or its end at an error, is no more than that.
"""

import sys
from pathlib import Path

from pyosys import libyosys


def main() -> None:
    """The file is the only argument; an error ends the program with an exit code."""
    design = libyosys.Design()
    for command in Path(sys.argv[1]).read_text().splitlines():
        libyosys.run_pass(command, design)


if __name__ == "__main__":
    main()
