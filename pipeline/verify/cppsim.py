"""Runs the HLS C++ of the accelerator, compiled by g++, and records its streams (rung 5).

The program is built once for a design and kept, by the hash of everything that goes into it.
Tables are read when it runs, so other weights need no other program.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.codegen.hls import HlsDesign, load_design
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.folders import put_in_cache
from pipeline.core.tools import Tool, ap_types, cxx, run_tool
from pipeline.verify.streams import Integers, pack

BUILD_TIMEOUT_S = 1800.0
RUN_TIMEOUT_S = 3600.0
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-w")
_COMPLAINT = "WARNING: Hls::stream "


@dataclass(frozen=True)
class CppSimulator:
    """A built program; `built`: just now, in `seconds`, rather than found in the cache."""

    design: HlsDesign
    binary: Path
    built: bool
    seconds: float


def build_cpp_simulator(folder: Path, cache: Path, options: tuple[str, ...] = ()) -> CppSimulator:
    """The program of the sources in `folder`, from `cache` or built into it.

    `options` are more options of the compiler.  Raises ToolError, or UserError where g++ or the
    ap_types headers are missing.
    """
    started, compiler, headers = time.monotonic(), cxx(), ap_types()
    design = load_design(folder)
    flags = (*_FLAGS, *options)
    place = cache / _key(folder, design, compiler, headers, flags)
    if (place / "simulator").is_file():
        return CppSimulator(design, place / "simulator", False, time.monotonic() - started)
    work = cache / f".{place.name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        units = [folder / name for name in design.sources if name.endswith(".cpp")]
        run_tool(
            [compiler.path, *flags, "-isystem", headers, "-I", folder, *units, "-o", "simulator"],
            cwd=work,
            log=cache / f"{place.name}.log",
            timeout_s=BUILD_TIMEOUT_S,
            outputs=[Path("simulator")],
        )
        put_in_cache(work, place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return CppSimulator(design, place / "simulator", True, time.monotonic() - started)


def _key(
    folder: Path, design: HlsDesign, compiler: Tool, headers: Path, flags: tuple[str, ...]
) -> str:
    """Hash of sources, headers, compiler (with what this processor can do) and options."""
    digest = hashlib.sha256("\0".join((compiler.version, *flags)).encode())
    files = [folder / name for name in design.sources]
    if any(option == "-DTABLES_INSIDE" for option in flags):
        files += [folder / name for name in design.tables]
    for path in [*files, *sorted(headers.rglob("*.h"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def simulate_cpp(
    simulator: CppSimulator, codes: Integers, *, tables: Path, scratch: Path
) -> dict[str, Integers]:
    """Runs frames (frames, positions, channels) of input codes; every recorded stream by name,
    (frames, values), and what leaves as "output".

    tables: folder with the table files; scratch: an empty folder to write to.  Raises
    VerificationFailed where a stream runs empty or keeps words, UserError for a broken table.
    """
    if len(codes) == 0:
        raise VerificationFailed("0 frames to simulate, so nothing is shown")
    design = simulator.design
    (scratch / "input.bin").write_bytes(pack(codes, design.input_bits, design.input_elements))
    _require_tables(design, tables)
    binary, place = simulator.binary.resolve(), tables.resolve()
    command = [str(binary), str(place), "input.bin", ".", str(len(codes))]
    output = run_tool(command, cwd=scratch, log=scratch / "simulator.log", timeout_s=RUN_TIMEOUT_S)
    if _COMPLAINT in output:
        line = next(x for x in output.splitlines() if _COMPLAINT in x)
        raise VerificationFailed(f"the dataflow does not fit together: {line}")
    return _recorded(design, len(codes), scratch)


def _require_tables(design: HlsDesign, folder: Path) -> None:
    for table in design.tables:
        if not (folder / table).is_file():
            raise UserError(
                f"the table {table} is missing", str(folder), "generate it again: make codegen"
            )


def _recorded(design: HlsDesign, frames: int, scratch: Path) -> dict[str, Integers]:
    values: dict[str, Integers] = {}
    for index, stream in enumerate(design.streams):
        width = next(n for n in (1, 2, 4) if stream.bits <= 8 * n)
        values[stream.name] = _read(
            scratch / f"{index}.bin", f"{'i' if stream.signed else 'u'}{width}", frames
        )
    values["output"] = _read(scratch / "labels.bin", f"u{design.label_bytes}", frames)
    return values


def _read(path: Path, kind: str, frames: int) -> Integers:
    elements = np.fromfile(path, kind)
    if len(elements) == 0 or len(elements) % frames:
        raise VerificationFailed(
            f"{path.name} holds {len(elements)} values, which are not {frames} frames"
        )
    return elements.reshape(frames, -1)
