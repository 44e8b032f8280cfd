"""The PYNQ package, as files in memory: bitstream, driver, programs, golden frames.

What runs on the board lies in `pynq_package` and is copied as it is; the rest is made here.
"""

from __future__ import annotations

import hashlib
import io
import json
import string
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.codegen.shell import Shell
from pipeline.core.errors import UserError
from pipeline.core.progress import progress
from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.radio.modulations import FRAME, MODULATIONS
from pipeline.radio.synthetic import synthesise
from pipeline.verify.stimulus import IN_PHASE_AND_QUADRATURE, stimulus

SOURCES = Path(__file__).with_name("pynq_package")
PROGRAMS = ("driver.py", "validate.py", "classify.py", "benchmark.py", "classify.ipynb")
README = "README.md"
STEM = "accelerator"
FORMAT = 1
"""Of accelerator.json, which the driver reads."""
GOLDEN_SEED = 77
FLOAT_FRAMES = 64
"""Golden frames that are there as float I/Q too."""
BATCH = 32
SIGNAL_SEED = 78
SIGNAL_SNRS_DB = (-6, 0, 6, 18)
LARGEST_CODE = 2**15 - 1
"""What the driver's codes hold."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)

Files = Mapping[str, bytes]


def sources() -> dict[str, Path]:
    """The files that are copied or filled in, which enter the keys of stages."""
    return {name: SOURCES / name for name in (*PROGRAMS, README)}


@dataclass(frozen=True)
class Bitstream:
    """What configures the FPGA: the .bit and the .hwh; more: files that go beside them."""

    bit: bytes
    hwh: bytes
    more: Files


def made_bitstream(folder: Path) -> tuple[Bitstream, float]:
    """What the stage bitstream left, and the clock in MHz that its timing was met for."""
    bit, hwh, identity = (folder / f"{STEM}.{suffix}" for suffix in ("bit", "hwh", "json"))
    clock_mhz = float(json.loads(identity.read_text())["clock_mhz"])
    return Bitstream(bit.read_bytes(), hwh.read_bytes(), {}), clock_mhz


@dataclass(frozen=True)
class Facts:
    """What the package says of itself.

    model: its name; board: key and name; clock_mhz: that of the bitstream; interval: cycles between
    frames, as predicted; how: what README tells to do first.
    """

    model: str
    board: str
    board_name: str
    clock_mhz: float
    interval: int
    how: str


@dataclass(frozen=True)
class Golden:
    """Frames and what the integer model makes of them.

    codes: (n, positions, channels); labels: (n,); frames: the first of them before the quantizer.
    """

    codes: Integers
    labels: Integers
    frames: NDArray[np.float32]


def golden(model: IntegerModel, count: int) -> Golden:
    """The first `count` golden frames of a model: signals of all classes, and frames that hurt."""
    frames = stimulus(model, count, GOLDEN_SEED)
    codes = model.quantize(frames)
    return Golden(codes, labels_of(model, codes), frames[:FLOAT_FRAMES])


def labels_of(model: IntegerModel, codes: Integers) -> Integers:
    """The integer model's labels (n,)."""
    found = []
    with progress("golden frames", len(codes), "frames") as bar:
        for start in range(0, len(codes), BATCH):
            part = codes[start : start + BATCH]
            found.append(model.trace(part)["label"].reshape(-1))
            bar.advance(len(part))
    return np.concatenate(found)


def package(
    model: IntegerModel, shell: Shell, bitstream: Bitstream, frames: Golden, facts: Facts
) -> dict[str, bytes]:
    """All files by name, relative to the package's folder."""
    description = describe(model, shell, bitstream, facts)
    files = {name: (SOURCES / name).read_bytes() for name in PROGRAMS}
    files |= bitstream.more
    files[f"{STEM}.bit"], files[f"{STEM}.hwh"] = bitstream.bit, bitstream.hwh
    files[f"{STEM}.json"] = (json.dumps(description, indent=1) + "\n").encode()
    files[README] = _readme(model, len(frames.codes), facts).encode()
    files["golden.npz"] = _npz(
        codes=frames.codes.astype(np.int8 if model.input.bits <= 8 else np.int16),
        labels=frames.labels.astype(_label_type(shell)),
        frames=frames.frames,
    )
    files["signals.npz"] = _npz(**signals(model))
    return files


def describe(
    model: IntegerModel, shell: Shell, bitstream: Bitstream, facts: Facts
) -> dict[str, Any]:
    """accelerator.json: what the driver has to know."""
    if max(model.input.high, -model.input.low) > LARGEST_CODE:
        raise UserError(
            f"the input's codes go from {model.input.low} to {model.input.high}",
            facts.model,
            "a network with an input of 15 bits or less",
        )
    return {
        "format": FORMAT,
        "model": facts.model,
        "board": facts.board,
        "hash": shell.hash,
        "bitstream_sha256": hashlib.sha256(bitstream.bit).hexdigest(),
        "frame_length": model.positions,
        "beat_positions": model.positions // shell.frame_beats,
        "channels": model.channels,
        "bits": model.input.bits,
        "signed": model.input.signed,
        "low": model.input.low,
        "high": model.input.high,
        "step": float(np.float32(model.input_scale)),
        "beat_bytes": shell.beat_bytes,
        "label_bytes": shell.label_bytes,
        "no_result": 2 ** (8 * shell.label_bytes) - 1,
        "classes": class_names(model),
        "clock_mhz": facts.clock_mhz,
        "predicted_interval": facts.interval,
    }


def knows_modulations(model: IntegerModel) -> bool:
    """Whether it reads frames of I/Q as RadioML has them, and has its classes."""
    reads = (model.positions, model.channels) == (FRAME, IN_PHASE_AND_QUADRATURE)
    return reads and len(model.layers[-1].weights) == len(MODULATIONS)


def class_names(model: IntegerModel) -> list[str]:
    """RadioML's, where there are as many; numbers else."""
    count = len(model.layers[-1].weights)
    return list(MODULATIONS) if count == len(MODULATIONS) else [str(i) for i in range(count)]


def signals(model: IntegerModel) -> dict[str, NDArray[Any]]:
    """Sample signals: one of every modulation at some SNRs; none for a network of other frames."""
    cells = [(label, snr) for snr in SIGNAL_SNRS_DB for label in range(len(MODULATIONS))]
    if not knows_modulations(model):
        cells = []
    rng = np.random.default_rng(SIGNAL_SEED)
    frames = [synthesise(label, np.array([float(snr)]), rng)[0] for label, snr in cells]
    shape = (len(cells), model.positions, model.channels)
    return {
        "frames": np.array(frames, np.float32).reshape(shape),
        "labels": np.array([label for label, _ in cells], np.int64),
        "snrs": np.array([snr for _, snr in cells], np.int64),
    }


def zipped(files: Files, folder: str) -> bytes:
    """A zip with the files in a folder of that name: the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(f"{folder}/{name}", ZIP_DATE)
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def write(files: Files, folder: Path) -> None:
    """Write files by name below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _label_type(shell: Shell) -> np.dtype[Any]:
    return np.dtype(f"<u{shell.label_bytes}")


def _readme(model: IntegerModel, frames: int, facts: Facts) -> str:
    template = string.Template((SOURCES / README).read_text())
    return template.substitute(
        model=facts.model,
        board=facts.board_name,
        how=facts.how,
        frames=f"{frames:,}",
        positions=model.positions,
        channels=model.channels,
    )


def _npz(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
