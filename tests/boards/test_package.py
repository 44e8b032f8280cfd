"""The PYNQ package as files: what is in it, and that a board's Python takes it."""

import ast
import hashlib
import io
import json
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import vermin

from pipeline.boards import package
from pipeline.boards.emulator.emulated import STAND_IN
from pipeline.boards.package import Bitstream, Facts, Golden
from pipeline.codegen.shell import Shell
from pipeline.core.errors import UserError
from pipeline.core.paths import PROJECT_ROOT
from pipeline.dataflow.integer_model import Codes, IntegerModel, Layer
from pipeline.radio.modulations import MODULATIONS

BOARD_PYTHON = (3, 8)
PROGRAMS = [package.SOURCES / name for name in package.PROGRAMS if name.endswith(".py")]
FACTS = Facts("toy", "pynq_z2", "PYNQ-Z2", 100.0, 1234, "As root")
BITSTREAM = Bitstream(b"bits", b"<hwh/>", {"more/x.mem": b"1\n"})


def toy_model(classes: int = 24, positions: int = 1024, **keys: Any) -> IntegerModel:
    """One dense layer with random weights."""
    weights = np.random.default_rng(1).integers(-3, 4, (classes, positions, 2))
    bias = np.zeros(classes, np.int64)
    layer = Layer("dense", "logits", weights, 4, 0, None, bias, 1, Codes(0, 0))
    fields = {"input": Codes(-8, 7), "input_scale": 0.25, **keys}
    return IntegerModel(positions=positions, channels=2, layers=(layer,), **fields)


def shell_of(model: IntegerModel, beat_bytes: int = 1) -> Shell:
    classes = len(model.layers[-1].weights)
    return Shell("amcflow", (), "ab" * 32, model.positions, beat_bytes, 1, classes, 16, 1)


def files_of(model: IntegerModel, frames: int = 70) -> dict[str, bytes]:
    golden = package.golden(model, frames)
    return package.package(model, shell_of(model), BITSTREAM, golden, FACTS)


def arrays_of(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return files_of(toy_model())


def test_has_all_that_a_board_needs(files: dict[str, bytes]) -> None:
    assert set(files) == {
        *("accelerator.bit", "accelerator.hwh", "accelerator.json", "more/x.mem"),
        *("driver.py", "validate.py", "classify.py", "benchmark.py", "classify.ipynb"),
        *("README.md", "golden.npz", "signals.npz"),
    }
    assert files["driver.py"] == (package.SOURCES / "driver.py").read_bytes()


def test_the_description_is_what_the_driver_reads(
    files: dict[str, bytes], driver: ModuleType
) -> None:
    described = json.loads(files["accelerator.json"])
    assert described == {
        "format": driver.FORMAT,
        "model": "toy",
        "board": "pynq_z2",
        "hash": "ab" * 32,
        "bitstream_sha256": hashlib.sha256(b"bits").hexdigest(),
        "frame_length": 1024,
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
        "classes": list(MODULATIONS),
        "clock_mhz": 100.0,
        "predicted_interval": 1234,
    }


def test_the_step_is_the_float32_that_the_model_divides_by() -> None:
    model = toy_model(input_scale=0.1)
    described = package.describe(model, shell_of(model), BITSTREAM, FACTS)
    assert described["step"] == float(np.float32(0.1)) != 0.1


def test_golden_frames_are_the_models_own(files: dict[str, bytes]) -> None:
    model, golden = toy_model(), arrays_of(files["golden.npz"])
    assert golden["codes"].dtype == np.int8
    assert golden["codes"].shape == (70, 1024, 2)
    assert golden["frames"].shape == (64, 1024, 2)
    np.testing.assert_array_equal(model.quantize(golden["frames"]), golden["codes"][:64])
    labels = model.trace(golden["codes"].astype(np.int64))["label"]
    np.testing.assert_array_equal(labels.reshape(-1), golden["labels"])


def test_signals_are_of_every_modulation(files: dict[str, bytes]) -> None:
    signals = arrays_of(files["signals.npz"])
    assert signals["frames"].shape == (4 * 24, 1024, 2)
    cells = set(zip(signals["labels"].tolist(), signals["snrs"].tolist(), strict=True))
    assert len(cells) == 4 * 24


def test_other_networks_have_numbers_for_classes_and_no_signals() -> None:
    files = files_of(toy_model(classes=5, positions=128), frames=3)
    assert json.loads(files["accelerator.json"])["classes"] == ["0", "1", "2", "3", "4"]
    assert arrays_of(files["signals.npz"])["frames"].shape == (0, 128, 2)


def test_an_input_that_the_driver_cannot_hold_is_refused() -> None:
    model = toy_model(input=Codes(0, 2**15))
    with pytest.raises(UserError, match="from 0 to 32768"):
        package.describe(model, shell_of(model), BITSTREAM, FACTS)


def test_the_readme_is_filled_in(files: dict[str, bytes]) -> None:
    text = files["README.md"].decode()
    assert text.startswith("# toy on PYNQ-Z2\n\nAs root, in this folder:\n")
    assert "$" not in text
    assert "# 70 golden frames" in text


def test_equal_files_make_an_equal_zip(files: dict[str, bytes]) -> None:
    archive = package.zipped(files, "amcflow-toy")
    assert archive == package.zipped(dict(reversed(files.items())), "amcflow-toy")
    assert files == files_of(toy_model())
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert set(opened.namelist()) == {f"amcflow-toy/{name}" for name in files}
        assert opened.read("amcflow-toy/golden.npz") == files["golden.npz"]


def test_what_a_bitstream_stage_left_is_taken(tmp_path: Path) -> None:
    (tmp_path / "accelerator.bit").write_bytes(b"bits")
    (tmp_path / "accelerator.hwh").write_bytes(b"<hwh/>")
    (tmp_path / "accelerator.json").write_text('{"clock_mhz": 99.999}')
    assert package.made_bitstream(tmp_path) == (Bitstream(b"bits", b"<hwh/>", {}), 99.999)


def test_golden_may_be_of_any_number() -> None:
    golden = package.golden(toy_model(), 5)
    assert isinstance(golden, Golden)
    assert len(golden.frames) == len(golden.labels) == len(golden.codes) == 5


# --- what Python a board has ------------------------------------------------------------------


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.name)
def test_programs_are_python_of_a_board(file: Path) -> None:
    """Their syntax, and what they use of the standard library."""
    ast.parse(file.read_text(), feature_version=BOARD_PYTHON)
    assert oldest_python(file.read_text()) <= BOARD_PYTHON


def test_what_a_board_does_not_have_is_found() -> None:
    assert oldest_python("'a-b'.removeprefix('a-')\n") == (3, 9)


def oldest_python(source: str) -> tuple[int, int]:
    """The oldest Python 3 whose standard library has everything that a program uses."""
    _, version = vermin.visit(source).minimum_versions()
    assert isinstance(version, tuple), version
    return version


def test_notebook_cells_are_python_of_a_board() -> None:
    notebook = json.loads((package.SOURCES / "classify.ipynb").read_text())
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert len(cells) > 5
    for cell in cells:
        ast.parse(cell, feature_version=BOARD_PYTHON)
    assert not any(c.get("outputs") for c in notebook["cells"])


def test_linters_hold_programs_to_the_python_of_a_board() -> None:
    settings = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    pattern = f"{package.SOURCES.relative_to(PROJECT_ROOT)}/*"
    assert settings["per-file-target-version"][pattern] == "py38"


ALLOWED = {
    "__future__",
    "argparse",
    "contextlib",
    "hashlib",
    "json",
    "math",
    "pathlib",
    "sys",
    "time",
    "typing",
    "driver",
    "numpy",
    "pynq",
}


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.name)
def test_programs_need_numpy_and_pynq_only(file: Path) -> None:
    assert imported(file) <= ALLOWED


def test_the_stand_in_needs_numpy_only() -> None:
    allowed = {"ctypes", "shutil", "tempfile", "xml", "collections", *ALLOWED} - {"pynq", "driver"}
    for file in STAND_IN.rglob("*.py"):
        assert imported(file) <= allowed, file


def imported(file: Path) -> set[str]:
    """The top-level modules that a file imports by name."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    return names


def test_the_driver_can_be_read_in_one_go() -> None:
    assert len((package.SOURCES / "driver.py").read_text().splitlines()) < 400
