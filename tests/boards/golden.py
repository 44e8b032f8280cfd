"""Golden files: the readable ones of a project, and all that Vivado is told to do.

python -m tests.boards.golden    # writes them anew; look at the difference before committing it
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.boards.behaviour import Behaviour
from tests.boards.small_project import files_of, made_by_hls, target, write

FOLDER = Path(__file__).parent / "golden_files"
KINDS = {"pynq_z2": "rtl", "zcu104": "hls"}
"""Boards of which there are golden files, with the core's sources."""
BOARD_FILES = ("tul.com.tw:pynq-z2:part0:1.0", "xilinx.com:zcu104:part0:1.1")
PROJECT_FILES = (
    *(f"{board}/{name}" for board in KINDS for name in ("settings.tcl", "build.sh", "README.md")),
    *("pynq_z2/project.json", "zcu104/project.json"),
    "zcu104/ip/src/accelerator.v",
)
CALLS = {
    "pynq_z2/calls": ("pynq_z2", ()),
    "pynq_z2/calls.with_board_files": ("pynq_z2", BOARD_FILES),
    "zcu104/calls": ("zcu104", ()),
    "zcu104/calls.with_board_files": ("zcu104", BOARD_FILES),
}
"""Golden files of calls: the board, and the board files that are installed."""
QUESTION = re.compile(r"(ipx::)?get_|current_|version ")


def read(name: str) -> str:
    """A golden file."""
    return (FOLDER / name).read_text()


def calls(name: str, folder: Path) -> str:
    """What Vivado is told to do in a whole build, one command a line; questions are left out.

    `folder` is for the project.
    """
    from tests.boards.fake_vivado import FakeVivado  # noqa: PLC0415  (needs Tcl)

    board, board_files = CALLS[name]
    what = target(board, KINDS[board])
    write(folder, files_of(what))
    if what.with_hls:
        made_by_hls(folder)
    vivado = FakeVivado(Behaviour(boards=board_files), lambda _: None)
    assert vivado.source(folder / "build.tcl") == 0
    told = (call for call in vivado.calls if not QUESTION.match(call))
    return "".join(f"{call}\n" for call in told).replace(str(folder), "ROOT")


def main() -> None:
    """Write all golden files."""
    with tempfile.TemporaryDirectory() as place:
        texts = {name: calls(name, Path(place).resolve() / str(i)) for i, name in enumerate(CALLS)}
    for name in PROJECT_FILES:
        board, _, file = name.partition("/")
        texts[name] = files_of(target(board, KINDS[board]))[file].decode()
    for name, text in texts.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
