"""The same package on the emulated board: the RTL of models/vgg10_tiny behind the real shell."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pipeline.core import cli
from pipeline.core.errors import VerificationFailed
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.runner import Build
from pipeline.core.tools import ToolError, run_tool
from pipeline.dataflow import integer_model
from pipeline.radio.modulations import MODULATIONS
from pipeline.stages.demo import run_program
from tests.boards import faults

pytestmark = pytest.mark.slow

GOLDEN, LENGTH, CLASSES = 48, 1024, 24
MODEL = "vgg10_tiny"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with one network, and its package for an emulated board."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT_ROOT / "models" / MODEL, root / "models" / MODEL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout.isatty", lambda: False)
        patch.setattr(cli, "Build", partial(Build, root=root))
        assert command(root, "emulate") == 0
        yield root


def command(root: Path, name: str, *settings: str) -> int:
    """The exit code of a stage or command."""
    words = [name, "--model", str(root / "models" / MODEL)]
    return cli.main([*words, "--set", f"deploy.frames={GOLDEN}", *settings])


@pytest.fixture
def package(project: Path, tmp_path: Path) -> Path:
    """A copy of the package, as on a board."""
    folder = tmp_path / "package"
    shutil.copytree(project / "build" / MODEL / "emulate" / "package", folder)
    return folder


@pytest.fixture
def accelerator(package: Path, driver: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The driver, loaded in this process."""
    from pynq import device  # noqa: PLC0415

    monkeypatch.setattr(device.Device, "active_device", device.Device())
    return driver.Accelerator(package / "accelerator.bit", batch=4, timeout_s=1.0)


def arrays_of(package: Path) -> dict[str, np.ndarray]:
    with np.load(package / "golden.npz") as archive:
        return dict(archive)


def run(package: Path, *words: str) -> tuple[int, str]:
    """Run a program in the package's folder: its exit code, and all that it says."""
    log = package / "log"
    try:
        run_tool([sys.executable, *words], cwd=package, log=log, timeout_s=300)
    except ToolError as error:
        return error.returncode or 0, log.read_text()
    return 0, log.read_text()


# --- as a user would --------------------------------------------------------------------------


def test_validates(package: Path) -> None:
    code, said = run(package, "validate.py")
    assert code == 0, said
    assert f"passed: all {GOLDEN} labels are those of the model" in said


def test_a_wrong_golden_label_fails(package: Path) -> None:
    golden = arrays_of(package)
    golden["labels"][40] = (golden["labels"][40] + 1) % CLASSES
    np.savez(package / "golden.npz", **golden)
    code, said = run(package, "validate.py")
    assert code == 1
    assert f"failed: 1 of {GOLDEN} labels" in said
    assert "first: frame 40: expected" in said


def test_a_wrong_table_in_the_bitstream_fails(package: Path) -> None:
    """One bias of the last layer is not what it should be."""
    (table,) = (package / "accelerator.tables").glob("BiasAdd*.mem")
    words = table.read_text().split()
    words[1] = "07" + "f" * (len(words[1]) - 2)
    table.write_text("\n".join(words) + "\n")
    code, said = run(package, "validate.py")
    assert code == 1, said
    assert f"of {GOLDEN} labels are not those of the model" in said
    assert "the accelerator says 1 (4ASK)" in said


def test_a_table_that_is_missing_or_short_is_said_to_be(package: Path) -> None:
    table = next(iter(sorted((package / "accelerator.tables").iterdir())))
    table.write_text("\n".join(table.read_text().split()[:-1]) + "\n")
    code, said = run(package, "validate.py")
    assert code == 2
    assert f"{table.name} has " in said


def test_another_bitstream_is_not_loaded(package: Path) -> None:
    with (package / "accelerator.bit").open("ab") as bit:
        bit.write(b"\0")
    code, said = run(package, "validate.py")
    assert code == 2
    assert "accelerator.bit is not that of accelerator.json and was not loaded" in said


def test_the_bitstream_of_another_core_is_found_out_by_its_registers(package: Path) -> None:
    file = package / "accelerator.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "hash": "0" * 64}))
    code, said = run(package, "validate.py")
    assert code == 2
    assert "its hash is " in said


def test_benchmark_finds_the_predicted_interval(package: Path) -> None:
    code, said = run(package, "benchmark.py", "--frames", "24", "--batch", "8")
    assert code == 0, said
    result = json.loads((package / "benchmark.json").read_text())
    assert result["interval_cycles"] == result["predicted_interval_cycles"]
    assert result["latency_cycles"] > result["interval_cycles"]


def test_classifies_a_file(package: Path) -> None:
    np.save(package / "mine.npy", arrays_of(package)["frames"][:3])
    code, said = run(package, "classify.py", "mine.npy")
    assert code == 0, said
    labels = arrays_of(package)["labels"]
    assert said.splitlines() == [f"frame {i}: {MODULATIONS[labels[i]]}" for i in range(3)]


def test_the_notebook_runs(package: Path) -> None:
    cells = json.loads((package / "classify.ipynb").read_text())["cells"]
    code = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    (package / "cells.py").write_text(f"import matplotlib; matplotlib.use('agg')\n{code}")
    ended, said = run(package, "cells.py")
    assert ended == 0, said
    assert f"{GOLDEN} of {GOLDEN} labels are those of the model" in said
    assert "accelerator_frames_per_second" in said


def test_demo_shows_all_of_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(project, "demo") == 0
    said = capsys.readouterr().out
    for line in ("$ python classify.py", "$ python validate.py", f"passed: all {GOLDEN} labels"):
        assert line in said
    table = said[said.index("signal ") : said.index("* right")]
    assert table.count("*") > 30  # of 96; by chance there would be 4


def test_demo_fails_with_what_it_shows(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden = arrays_of(package)
    np.savez(package / "golden.npz", **{**golden, "labels": golden["labels"] ^ 1})
    with pytest.raises(VerificationFailed, match=r"validate\.py on the emulated .*frame 0"):
        run_program(["validate.py"], package, package / "log")
    assert "failed: 48 of 48" in capsys.readouterr().out
    (package / "golden.npz").unlink()
    with pytest.raises(ToolError, match="golden"):
        run_program(["validate.py"], package, package / "log")


# --- in this process --------------------------------------------------------------------------


def test_labels_are_the_integer_models(accelerator: Any, project: Path) -> None:
    model = integer_model.load(project / "build" / MODEL / "freeze" / "integer_model.npz")
    frames = np.random.default_rng(8).standard_normal((11, LENGTH, 2)).astype(np.float32)
    wanted = model.trace(model.quantize(frames))["label"].reshape(-1)
    np.testing.assert_array_equal(accelerator.classify(frames), wanted)
    assert accelerator.classify(frames[0]) == wanted[0]
    assert accelerator.counters() == {
        "frames in": 12,
        "frames out": 12,
        "short frames": 0,
        "long frames": 0,
        "short packets": 0,
    }


FAULTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "stuck on the way in": (
        lambda board: faults.StuckSending(board, 2 * LENGTH + 5),
        "nothing moved for 1 s (frames 0 to 3)\n"
        "  into the accelerator, MM2S running: 2 frames, 2048 bytes\n",
    ),
    "stuck on the way out": (
        faults.StuckReceiving,
        "MM2S done: 8 frames, 8192 bytes\n  out of it, S2MM running: 0 labels, 0 bytes",
    ),
    "a short frame": (
        lambda board: faults.OtherLength(board, -3),
        "dropped: frame 3 of its packet, which had 1021 beats",
    ),
    "a long frame": (
        lambda board: faults.OtherLength(board, 7),
        "dropped: frame 3 of its packet, which had 1031 beats",
    ),
    "a frame that is missing": (
        lambda board: faults.OtherLength(board, -LENGTH),
        "3 of 4 bytes of labels came (frames 0 to 3)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_explained_and_the_device_can_be_used_afterwards(
    accelerator: Any, driver: ModuleType, package: Path, fault: str
) -> None:
    plant, message = FAULTS[fault]
    golden, device = arrays_of(package), accelerator.device
    device.board = plant(device.board)
    with pytest.raises(driver.TransferError) as caught:
        accelerator.execute(golden["codes"][:11])
    assert message in str(caught.value)
    np.testing.assert_array_equal(accelerator.execute(golden["codes"][:11]), golden["labels"][:11])


@pytest.mark.parametrize("calls", [1, 9, 14, 15, 17, 22, 30])
def test_an_interrupt_leaves_the_device_usable(accelerator: Any, package: Path, calls: int) -> None:
    golden, device = arrays_of(package), accelerator.device
    device.board = faults.Interrupted(device.board, calls)
    with pytest.raises(KeyboardInterrupt):
        accelerator.execute(golden["codes"])
    np.testing.assert_array_equal(accelerator.execute(golden["codes"][:9]), golden["labels"][:9])


def test_wrong_frames_never_reach_the_device(accelerator: Any, package: Path) -> None:
    for frames, error in (
        (np.zeros((1, 2 * LENGTH, 2)), ValueError),
        (np.zeros((1, LENGTH, 2), complex), TypeError),
        (np.full((1, LENGTH, 2), 8), ValueError),
        (np.full((1, LENGTH, 2), np.nan), ValueError),
    ):
        with pytest.raises(error):
            accelerator.classify(frames)
        assert accelerator.counters()["frames in"] == 0
    golden = arrays_of(package)
    np.testing.assert_array_equal(accelerator.classify(golden["codes"][:3]), golden["labels"][:3])


# --- the package for a real board -------------------------------------------------------------


@pytest.fixture
def made(project: Path, tmp_path: Path) -> Path:
    """A folder as a build with Vivado leaves it, with some bytes for a bitstream."""
    import hashlib  # noqa: PLC0415

    assert command(project, "vivado-project") == 0
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "accelerator.bit").write_bytes(b"a bitstream")
    (folder / "accelerator.hwh").write_text("<hwh/>")
    shell = json.loads((project / "build" / MODEL / "codegen/shell/shell.json").read_text())
    identity = {
        "model": MODEL,
        "hash": shell["hash"],
        "board": "pynq_z2",
        "part": "xc7z020clg400-1",
        "backend": "rtl",
        "project": "none",
        "bitstream_sha256": hashlib.sha256(b"a bitstream").hexdigest(),
        "tool": "none",
        "clock_mhz": 99.999,
    }
    (folder / "accelerator.json").write_text(json.dumps(identity))
    return folder


def test_packages_what_vivado_made_and_says_how_to_deploy_it(
    project: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(project, "deploy", f"bitstream.made={made}") == 0
    said = capsys.readouterr().out
    packaged = project / "build" / MODEL / "pynq-package"
    assert (packaged / "package" / "accelerator.bit").read_bytes() == b"a bitstream"
    assert not (packaged / "package" / "pynq").exists()
    description = json.loads((packaged / "package" / "accelerator.json").read_text())
    assert description["clock_mhz"] == 99.999
    assert "package.zip USER@BOARD:amcflow-vgg10_tiny-pynq_z2.zip" in said


def test_a_host_that_cannot_be_reached_is_the_users_mistake(
    project: Path,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = [f"bitstream.made={made}", "deploy.host=xilinx@pynq"]
    assert command(project, "deploy", *settings) == 2
    assert "scp is not installed" in capsys.readouterr().err
