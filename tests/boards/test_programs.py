"""The package's programs on a double of the board: what they print, and their exit codes."""

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.boards import faults

POSITIONS, COUNT, FLOATS = 16, 50, 8


@pytest.fixture
def programs(stand_in: ModuleType) -> Mapping[str, ModuleType]:
    """The modules by name."""
    import benchmark  # noqa: PLC0415
    import classify  # noqa: PLC0415
    import validate  # noqa: PLC0415

    return {"benchmark": benchmark, "classify": classify, "validate": validate}


@pytest.fixture
def golden(
    driver: ModuleType,
    programs: Mapping[str, ModuleType],
    bitstream: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Path, dict[str, np.ndarray]]:
    """A bitstream, and golden frames of it, which are also what validate.py reads."""
    file = bitstream()
    frames = np.random.default_rng(2).standard_normal((COUNT, POSITIONS, 2)).astype(np.float32)
    with driver.Accelerator(file) as accelerator:
        codes = accelerator.quantize(frames).astype(np.int8)
        arrays = {"frames": frames[:FLOATS], "codes": codes, "labels": accelerator.execute(codes)}
    monkeypatch.setattr(programs["validate"], "GOLDEN", file.with_name("golden.npz"))
    np.savez(file.with_name("golden.npz"), **arrays)
    return file, arrays


@pytest.fixture
def validate(
    programs: Mapping[str, ModuleType], golden: tuple[Path, dict[str, np.ndarray]]
) -> Callable[..., int]:
    """Runs validate.py with changed golden arrays; its exit code."""
    file, arrays = golden

    def run(*words: str, **changed: np.ndarray) -> int:
        np.savez(file.with_name("golden.npz"), **{**arrays, **changed})
        return programs["validate"].main(["--bitstream", str(file), *words])

    return run


def planted(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Any], Any]) -> None:
    """Every board that is loaded from now on has a fault."""
    from pynq import device  # noqa: PLC0415

    make = device.Board
    monkeypatch.setattr(device, "Board", lambda path: fault(make(path)))


# --- validate.py ------------------------------------------------------------------------------


def test_golden_frames_pass(
    validate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate("--batch", "3") == 0
    said = capsys.readouterr().out
    assert "is loaded: small" in said
    assert f"{COUNT} frames in " in said
    assert f"passed: all {COUNT} labels are those of the model" in said


@pytest.mark.parametrize("frames", [1, FLOATS, FLOATS + 1, 1000])
def test_some_of_the_golden_frames(
    validate: Callable[..., int], capsys: pytest.CaptureFixture[str], frames: int
) -> None:
    assert validate("--frames", str(frames)) == 0
    assert f"all {min(frames, COUNT)} labels" in capsys.readouterr().out


@pytest.mark.parametrize("frame", [0, FLOATS, COUNT - 1])
def test_a_golden_label_that_differs_is_named(
    validate: Callable[..., int],
    golden: tuple[Path, dict[str, np.ndarray]],
    capsys: pytest.CaptureFixture[str],
    frame: int,
) -> None:
    labels = golden[1]["labels"].copy()
    right = labels[frame]
    labels[frame] = (right + 1) % 7
    assert validate(labels=labels) == 1
    said = capsys.readouterr().out
    assert f"failed: 1 of {COUNT} labels are not those of the model" in said
    wrong = labels[frame]
    assert f"first: frame {frame}: expected {wrong} (class {wrong}), the accelerator" in said
    assert f"says {right} (class {right})" in said


def test_a_quantizer_that_differs_is_named(
    validate: Callable[..., int],
    golden: tuple[Path, dict[str, np.ndarray]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    codes = golden[1]["codes"].copy()
    codes[5, 3, 1] += 1 if codes[5, 3, 1] < 7 else -1
    assert validate(codes=codes) == 1
    said = capsys.readouterr().out
    assert "failed: frame 5, position 3, channel 1:" in said
    assert f"and is {codes[5, 3, 1]} in the model" in said


def test_progress_is_told(
    validate: Callable[..., int],
    programs: Mapping[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(programs["validate"], "SECONDS_BETWEEN_LINES", 0.0)
    assert validate("--batch", "2") == 0
    assert f"16/{COUNT} frames, " in capsys.readouterr().out


def test_data_that_stop_are_a_failure(
    validate: Callable[..., int],
    driver: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planted(monkeypatch, lambda board: faults.OtherLength(board, -3))
    assert validate() == 1
    assert "failed: frame 7 got the label 255" in capsys.readouterr().err


def test_another_bitstream_could_not_be_tried(
    validate: Callable[..., int],
    golden: tuple[Path, dict[str, np.ndarray]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    golden[0].write_bytes(golden[0].read_bytes() + b" ")
    assert validate() == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--frames", "0"], ["--batch", "x"], ["--unknown"]])
def test_wrong_options_are_usage_errors(validate: Callable[..., int], words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        validate(*words)
    assert ended.value.code == 2


def test_missing_golden_frames_are_a_usage_error(
    validate: Callable[..., int],
    programs: Mapping[str, ModuleType],
    golden: tuple[Path, dict[str, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(programs["validate"], "GOLDEN", Path("nowhere.npz"))
    assert validate() == 2
    assert "nowhere.npz" in capsys.readouterr().err


# --- classify.py ------------------------------------------------------------------------------


@pytest.fixture
def classify(
    programs: Mapping[str, ModuleType], golden: tuple[Path, dict[str, np.ndarray]]
) -> Callable[..., int]:
    """Runs classify.py; its exit code."""
    file = str(golden[0])
    return lambda *words: programs["classify"].main([*map(str, words), "--bitstream", file])


def test_frames_of_a_file_are_listed(
    classify: Callable[..., int],
    golden: tuple[Path, dict[str, np.ndarray]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "mine.npy", golden[1]["frames"])
    assert classify(tmp_path / "mine.npy") == 0
    lines = capsys.readouterr().out.splitlines()
    labels = golden[1]["labels"]
    assert lines == [f"frame {i}: class {labels[i]}" for i in range(FLOATS)]


def test_known_signals_come_in_a_table(
    classify: Callable[..., int],
    golden: tuple[Path, dict[str, np.ndarray]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = golden[1]["labels"][:4].astype(int)
    labels = np.array([found[0], (found[1] + 1) % 7, found[2], found[3]])
    file = tmp_path / "known.npz"
    snrs = np.array([-2, -2, 10, 10])
    np.savez(file, frames=golden[1]["frames"][:4], labels=labels, snrs=snrs)
    assert classify(file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["signal", "-2", "dB", "10", "dB"]
    row = next(line for line in lines if line.startswith(f"class {labels[0]} "))
    assert f"class {found[0]}*" in row
    assert lines[-1].split() == ["*", "right", "50", "%", "100", "%"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (np.zeros((2, 3)), "shape (2, 3)"),
        (np.zeros((1, POSITIONS, 2), complex), "complex128"),
    ],
)
def test_files_that_cannot_be_classified(
    classify: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: np.ndarray | None,
    message: str,
) -> None:
    file = tmp_path / "x.npy"
    if content is not None:
        np.save(file, content)
    assert classify(file) == 2
    assert message in capsys.readouterr().err


# --- benchmark.py -----------------------------------------------------------------------------


def test_benchmark_prints_a_table_and_writes_the_same(
    programs: Mapping[str, ModuleType],
    golden: tuple[Path, dict[str, np.ndarray]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "result.json"
    words = ["--bitstream", str(golden[0]), "--frames", "10", "--batch", "4", "--json", str(file)]
    assert programs["benchmark"].main(words) == 0
    result, said = json.loads(file.read_text()), capsys.readouterr().out
    assert result["interval_cycles"] == result["predicted_interval_cycles"] == POSITIONS
    assert result["latency_us"] == POSITIONS / 100
    assert "small: 10 frames, 4 a transfer, clock 100 MHz" in said
    assert "6,250,000 frames/s" in said  # 100 MHz / 16 cycles
    for key in ("float_frames_per_second", "frames_per_second", "single_frame_us"):
        assert result[key] > 0


def test_ctrl_c_ends_a_program_as_usual(
    programs: Mapping[str, ModuleType],
    golden: tuple[Path, dict[str, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted(monkeypatch, lambda board: faults.Interrupted(board, 60))
    with pytest.raises(KeyboardInterrupt):
        programs["validate"].main(["--bitstream", str(golden[0])])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
