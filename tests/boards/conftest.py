"""The PYNQ package with the stand-in for pynq, on a double of the emulated board or on itself."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.boards.emulator.emulated import STAND_IN
from pipeline.boards.emulator.handoff import hand_off
from pipeline.boards.package import SOURCES
from tests.boards.fake_board import FakeBoard

DESCRIPTION = {
    "format": 1,
    "model": "small",
    "board": "pynq_z2",
    "hash": "0123456789abcdef" * 4,
    "frame_length": 16,
    "beat_positions": 1,
    "channels": 2,
    "bits": 4,
    "signed": True,
    "low": -8,
    "high": 7,
    "step": 0.25,
    "beat_bytes": 1,
    "label_bytes": 1,
    "no_result": 255,
    "classes": [f"class {i}" for i in range(7)],
    "clock_mhz": 100.0,
    "predicted_interval": 16,
}


@pytest.fixture(scope="session")
def stand_in() -> Iterator[ModuleType]:
    """The stand-in as `pynq`, and the modules of the package, importable by their names."""
    sys.path[:0] = [str(STAND_IN.parent), str(SOURCES)]
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    import pynq  # noqa: PLC0415  (found from here on)

    yield pynq
    sys.dont_write_bytecode = before
    sys.path.remove(str(STAND_IN.parent))
    sys.path.remove(str(SOURCES))


@pytest.fixture
def driver(stand_in: ModuleType) -> ModuleType:
    import driver  # noqa: PLC0415

    return driver


@pytest.fixture
def bitstream(
    stand_in: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Writes accelerator.bit, .hwh and .json of a double, with other keys in the description."""
    from pynq import device  # noqa: PLC0415

    def loaded(path: Path) -> FakeBoard:
        return FakeBoard(json.loads(path.read_bytes()))

    monkeypatch.setattr(device, "Board", loaded)
    monkeypatch.setattr(device.Device, "active_device", device.Device())

    def write(**keys: Any) -> Path:
        description = {**DESCRIPTION, **keys}
        bit = tmp_path / "accelerator.bit"
        bit.write_text(json.dumps(description))
        description["bitstream_sha256"] = hashlib.sha256(bit.read_bytes()).hexdigest()
        bit.with_suffix(".json").write_text(json.dumps(description))
        bit.with_suffix(".hwh").write_text(hand_off("zynq7", description["clock_mhz"]))
        return bit

    return write
