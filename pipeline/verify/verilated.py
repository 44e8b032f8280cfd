"""Programs that Verilator and g++ make of a design and a C++ harness: built once, then kept.

They are found again by the hash of everything that goes into them.  Tables (`$readmemh`) are read
when a program runs, so other weights need no other program.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.folders import put_in_cache
from pipeline.core.tools import Tool, available_cores, run_tool, verilator

TIMEOUT_S = 1800.0
FLAGS = (
    "--cc",
    "--exe",
    "--build",
    "--no-timing",
    "-O3",
    "--x-assign",
    "unique",
    "--x-initial",
    "unique",
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
    "-Werror-USERERROR",  # parameters that a module refuses
    "--output-split",
    "20000",
    "-CFLAGS",
    "-std=c++17 -O2",
    "-MAKEFLAGS",
    "CFG_CXXFLAGS_PCH_I=-include",
)


@dataclass(frozen=True)
class Program:
    """What is built.

    top: name of the top module; sources: HDL in compile order; harness: the C++ around it; written:
    texts by file name, headers that the harness includes and configuration of Verilator (`.vlt`);
    flags: more than FLAGS.
    """

    top: str
    sources: tuple[Path, ...]
    harness: Path
    written: Mapping[str, str]
    flags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Changes with everything that goes into the program."""
        digest = hashlib.sha256()
        texts = (f"{name}\n{text}" for name, text in sorted(self.written.items()))
        for part in (self.top, *self._tool_parts(), *texts, self.harness.read_text()):
            digest.update(part.encode() + b"\0")
        for source in self.sources:
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
        return digest.hexdigest()[:24]

    @property
    def runtime_key(self) -> str:
        """Changes with what Verilator's own library is compiled with."""
        return hashlib.sha256("\0".join(self._tool_parts()).encode()).hexdigest()[:24]

    def _tool_parts(self) -> tuple[str, ...]:
        return (verilator().version, *FLAGS, *self.flags)


@dataclass(frozen=True)
class Built:
    """A program; `fresh`: just built, in `seconds`, rather than found."""

    path: Path
    fresh: bool
    seconds: float


def build(program: Program, cache: Path) -> Built:
    """The program, from `cache` or built into it.  Raises ToolError."""
    started, tool = time.monotonic(), verilator()
    folder = cache / program.key
    path = folder / "program"
    if path.is_file():
        return Built(path, False, time.monotonic() - started)
    work = cache / f".{folder.name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        with _shared_runtime(cache, program, work / "objects"):
            _verilate(program, tool, work)
        (work / "objects" / f"V{program.top}").rename(work / "program")
        shutil.rmtree(work / "objects")
        put_in_cache(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Built(path, True, time.monotonic() - started)


@contextmanager
def _shared_runtime(cache: Path, program: Program, objects: Path) -> Iterator[None]:
    """Verilator's own library, most of the work for a small design, is compiled once for all.

    make finds its objects in place and takes them; the first build leaves them for the others.
    """
    kept = cache / f"runtime-{program.runtime_key}"
    objects.mkdir()
    for file in kept.glob("*.o"):
        shutil.copy(file, objects)
    yield
    if kept.is_dir():
        return
    fresh = objects.parent / "runtime"
    fresh.mkdir()
    for file in objects.glob("verilated*.o"):
        shutil.copy(file, fresh)
    put_in_cache(fresh, kept)


def _verilate(program: Program, tool: Tool, work: Path) -> None:
    for name, text in program.written.items():
        (work / name).write_text(text)
    command: list[str | Path] = [
        tool.path,
        *FLAGS,
        *program.flags,
        "-j",
        str(available_cores()),
        "--top-module",
        program.top,
        "--Mdir",
        work / "objects",
        "-CFLAGS",
        f"-I{work}",
        *(work / name for name in program.written if name.endswith(".vlt")),
        *program.sources,
        program.harness,
    ]
    run_tool(
        command,
        cwd=work,
        log=work.parent / f"{work.name[1:25]}.log",
        timeout_s=TIMEOUT_S,
        outputs=[work / "objects" / f"V{program.top}"],
        env=tool.env,
    )
