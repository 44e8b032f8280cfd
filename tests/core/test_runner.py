"""The stage runner: what is run, why, and that results are there whole or not at all."""

import hashlib
import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.runner import BrokenStageError, Build, examine, in_order, run_command, run_stage
from pipeline.core.stage import Command, CommandContext, Stage, StageContext
from pipeline.core.tools import ToolError, run_tool
from tests.core.toy import DIG, DOUBLE, changed_stage, make_build

Start = Callable[[Path], "subprocess.Popen[str]"]


def ran(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Stage -> why it ran, or "up to date", since the last call."""
    out = capsys.readouterr().out
    pattern = r"^(\S+) +(?:running \.\.\. \((.*)\)|(up to date))$"
    return {name: why or holds for name, why, holds in re.findall(pattern, out, re.MULTILINE)}


def leftovers(build: Build) -> list[str]:
    """Names in the build folder that are neither results nor the lock."""
    keep = {".lock", ".work", ".cache", "dig", "double"}
    return sorted(path.name for path in build.folder.iterdir() if path.name not in keep)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the toy program; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_one(root: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.core.toy", str(root)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def wait_for(file: Path) -> None:
    """Wait until a file is there, 30 s at most."""
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not come"
        time.sleep(0.01)


def test_runs_what_is_needed_first_and_nothing_twice(tmp_path, capsys):
    folder = run_stage("double", make_build(tmp_path, "verify.seed=210"))
    assert (folder / "results" / "double.txt").read_text() == "42"
    assert folder == tmp_path / "build" / "toy" / "double"
    assert ran(capsys) == {"dig": "no earlier result", "double": "no earlier result"}
    run_stage("double", make_build(tmp_path, "verify.seed=210"))
    assert ran(capsys) == {"dig": "up to date", "double": "up to date"}


def test_manifest_says_what_was_made_from_what(tmp_path):
    folder = run_stage("double", make_build(tmp_path))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert list(manifest["files"]) == ["results/double.txt"]
    assert manifest["stage"] == "double"
    assert manifest["command"] == "toy command"
    assert manifest["parts"]["configuration"]["network"]["filters"] == 64
    assert "verify" not in manifest["parts"]["configuration"]
    assert {"python", "torch", "verilator"} <= manifest["parts"]["version of"].keys()
    assert manifest["seconds"] >= 0


def test_configuration_change_rebuilds_the_stage_and_what_reads_it(tmp_path, capsys):
    run_stage("double", make_build(tmp_path, "verify.seed=10"))
    ran(capsys)
    run_stage("double", make_build(tmp_path, "verify.seed=20"))
    assert ran(capsys) == {
        "dig": "configuration changed: verify.seed 10 -> 20",
        "double": "input dig changed",
    }


def test_equal_outputs_stop_the_rebuilding(tmp_path, capsys):
    run_stage("double", make_build(tmp_path, "verify.seed=10"))
    ran(capsys)
    run_stage("double", make_build(tmp_path, "verify.seed=11"))  # dig writes 1 again
    assert ran(capsys)["double"] == "up to date"


def test_section_that_is_not_declared_is_not_in_the_key(tmp_path, capsys):
    run_stage("double", make_build(tmp_path))
    ran(capsys)
    run_stage("double", make_build(tmp_path, "train.epochs=3"))
    assert set(ran(capsys).values()) == {"up to date"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda file: file.write_text("7"), "file number.txt was changed"),
        (Path.unlink, "file number.txt is missing"),
        (lambda file: file.with_name("more").touch(), "file more was added"),
        (
            lambda file: file.with_name("manifest.json").write_text("{"),
            "its manifest cannot be read",
        ),
    ],
)
def test_changed_result_is_found_out_and_rebuilt(tmp_path, capsys, change, reason):
    build = make_build(tmp_path, "verify.seed=30")
    run_stage("double", build)
    change(build.folder / "dig" / "number.txt")
    ran(capsys)
    run_stage("double", build)
    assert ran(capsys) == {"dig": reason, "double": "up to date"}
    assert (build.folder / "dig" / "number.txt").read_text() == "3"
    assert examine(DIG, build).reason == ""


def test_force_rebuilds_the_named_stage_only(tmp_path, capsys):
    run_stage("double", make_build(tmp_path))
    ran(capsys)
    run_stage("double", make_build(tmp_path), force=True)
    assert ran(capsys) == {"dig": "up to date", "double": "forced"}


def write_nothing(_: StageContext) -> None:
    """A stage that forgets its outputs."""


def write_too_much(context: StageContext) -> None:
    """A stage that writes more than it says."""
    (context.out / "number.txt").touch()
    (context.out / "surprise").touch()


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (write_nothing, "stage dig did not write number.txt"),
        (write_too_much, "stage dig wrote surprise, which it does not declare"),
    ],
)
def test_outputs_are_exactly_the_declared_ones(tmp_path, run, message):
    build = make_build(tmp_path, dig=changed_stage(DIG, run=run))
    with pytest.raises(BrokenStageError) as error:
        run_stage("dig", build)
    assert str(error.value) == message
    assert not (build.folder / "dig").exists()
    assert leftovers(build) == []


def test_declared_folder_must_be_there(tmp_path):
    build = make_build(tmp_path, double=changed_stage(DOUBLE, run=write_nothing))
    with pytest.raises(BrokenStageError, match="did not write results/"):
        run_stage("double", build)


def test_broken_invariant_keeps_the_earlier_result(tmp_path):
    def refuse(_: Path) -> None:
        raise ValueError("the number is odd")

    build = make_build(tmp_path)
    run_stage("dig", build)
    manifest = (build.folder / "dig" / "manifest.json").read_bytes()
    broken = make_build(tmp_path, "verify.seed=99", dig=changed_stage(DIG, check=refuse))
    with pytest.raises(ValueError, match="odd"):
        run_stage("dig", broken)
    assert (build.folder / "dig" / "manifest.json").read_bytes() == manifest
    assert leftovers(build) == []


def test_killed_run_is_resumed(tmp_path, capsys, start):
    build = make_build(tmp_path)
    (build.model_dir / "hang").touch()
    process = start(tmp_path)
    wait_for(build.model_dir / "hanging")
    process.kill()
    process.wait()
    assert len(leftovers(build)) == 2  # nothing could be cleaned up, and nothing looks finished
    assert not (build.folder / "dig").exists()
    (build.model_dir / "hang").unlink()
    run_stage("double", build)
    assert (build.model_dir / "resumed.txt").read_text() == "half of it"
    assert leftovers(build) == []
    assert not (build.folder / ".work" / "dig").exists()
    assert ran(capsys)["dig"] == "no earlier result"


def test_work_of_another_key_is_not_resumed(tmp_path, start):
    build = make_build(tmp_path)
    (build.model_dir / "hang").touch()
    process = start(tmp_path)
    wait_for(build.model_dir / "hanging")
    process.kill()
    process.wait()
    (build.model_dir / "hang").unlink()
    run_stage("dig", make_build(tmp_path, "verify.seed=5"))
    assert (build.model_dir / "resumed.txt").read_text() == "nothing"


def test_killed_between_the_two_renames(tmp_path, capsys):
    build = make_build(tmp_path)
    run_stage("dig", build)
    ran(capsys)
    (build.folder / "dig").rename(build.folder / ".dig.4711.old")
    run_stage("dig", build)
    assert ran(capsys) == {"dig": "no earlier result"}
    assert leftovers(build) == []


def test_terminated_run_leaves_nothing(tmp_path, start):
    build = make_build(tmp_path)
    (build.model_dir / "hang").touch()
    process = start(tmp_path)
    wait_for(build.model_dir / "hanging")
    process.send_signal(signal.SIGINT)
    process.wait()
    assert leftovers(build) == []


def test_second_run_waits_and_names_the_first(tmp_path, start):
    build = make_build(tmp_path)
    (build.model_dir / "hang").touch()
    first = start(tmp_path)
    wait_for(build.model_dir / "hanging")
    (build.model_dir / "hang").unlink()
    second = start(tmp_path)
    assert second.stdout is not None
    line = second.stdout.readline()
    assert line.startswith(f"waiting for process {first.pid}, which is using the build of toy")
    assert second.poll() is None
    first.kill()
    out, _ = second.communicate(timeout=30)
    assert second.returncode == 0
    assert "done in" in out


def test_lock_survives_a_clean_by_another_run(tmp_path):
    build = make_build(tmp_path)
    run_stage("dig", build)
    build.lock_file.unlink()
    run_stage("dig", build)
    assert build.lock_file.exists()


def test_cache_survives_success_and_other_keys(tmp_path):
    def count(context: StageContext) -> None:
        (context.cache / str(context.config.verify.seed)).touch()
        (context.out / "number.txt").write_text(str(len(list(context.cache.iterdir()))))

    for seed in (1, 2):
        build = make_build(tmp_path, f"verify.seed={seed}", dig=changed_stage(DIG, run=count))
        assert (run_stage("dig", build) / "number.txt").read_text() == str(seed)


def load_stage(file: Path) -> Stage:
    """The stage `dig` with the `run` of a file."""
    spec = importlib.util.spec_from_file_location("toy_module", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return changed_stage(DIG, run=module.run)


CODE = "def run(context):\n    (context.out / 'number.txt').write_text('{}')\n"


def test_changed_code_rebuilds_but_for_a_stage_with_a_version(tmp_path, capsys):
    reasons = []
    for version in (None, 1):
        for text in ("1", "22"):
            file = tmp_path / f"module{text}.py"
            file.write_text(CODE.format(text))
            stage = changed_stage(load_stage(file), version=version)
            run_stage("dig", make_build(tmp_path, dig=stage))
            reasons.append(ran(capsys)["dig"])
    run_stage("dig", make_build(tmp_path, dig=changed_stage(stage, version=2)))
    reasons.append(ran(capsys)["dig"])
    assert reasons[1] == "code changed"
    assert reasons[3] == "up to date"
    assert reasons[4] == "code changed"


def test_sources_enter_the_key_by_content(tmp_path, capsys):
    source = tmp_path / "hdl"
    source.mkdir()
    (source / "a.sv").write_text("module a; endmodule")
    stage = changed_stage(DIG, sources=lambda _: {"hw/rtl": source})
    build = make_build(tmp_path, dig=stage)
    run_stage("dig", build)
    (source / "a.sv").touch()
    run_stage("dig", build)
    assert ran(capsys) == {"dig": "up to date"}
    (source / "b.sv").touch()
    run_stage("dig", build)
    assert ran(capsys) == {"dig": "source hw/rtl changed"}


def test_missing_source_is_the_users_error(tmp_path):
    gone = tmp_path / "gone"
    build = make_build(tmp_path, dig=changed_stage(DIG, sources=lambda _: {"the table": gone}))
    with pytest.raises(UserError) as error:
        run_stage("dig", build)
    assert str(error.value) == (
        f"error: the table does not exist\nwhere: {gone}\n  try: check the path, or unset it"
    )


def test_model_files_enter_the_key_where_they_exist(tmp_path, capsys):
    build = make_build(tmp_path, dig=changed_stage(DIG, model_files=("weights.pth",)))
    run_stage("dig", build)
    (build.model_dir / "weights.pth").touch()
    ran(capsys)
    run_stage("dig", build)
    assert ran(capsys) == {"dig": "model file weights.pth changed"}


def test_foreign_network_has_a_build_folder_of_its_own(tmp_path, capsys):
    stage = changed_stage(DIG, sections=("export",))
    reasons = []
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).write_text("the same")
        build = make_build(tmp_path, f"export.checkpoint={tmp_path / name}", dig=stage)
        run_stage("dig", build)
        reasons.append(ran(capsys)["dig"])
    assert build.name == "toy-" + hashlib.sha256(b"the same").hexdigest()[:8]
    assert reasons == ["no earlier result", "up to date"]  # the content counts, not the path


def test_used_stage_is_read_where_it_exists_but_not_run(tmp_path, capsys):
    def read(context: StageContext) -> None:
        (context.out / "results").mkdir()
        (context.out / "results" / "seen").write_text(" ".join(context.inputs))

    stage = changed_stage(DOUBLE, needs=(), uses=("dig",), run=read)
    build = make_build(tmp_path, double=stage)
    assert (run_stage("double", build) / "results" / "seen").read_text() == ""
    run_stage("dig", build)
    ran(capsys)
    assert (run_stage("double", build) / "results" / "seen").read_text() == "dig"
    assert ran(capsys) == {"double": "input dig changed"}


def test_folder_elsewhere(tmp_path, capsys):
    stage = changed_stage(DIG, folder=lambda config: Path("data") / f"set{config.verify.seed}")
    build = make_build(tmp_path, dig=stage)
    assert run_stage("dig", build) == tmp_path / "data" / "set1"
    run_stage("double", build)
    assert ran(capsys)["dig"] == "up to date"
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [".set1.lock", "set1"]


def fail_verification(context: StageContext) -> None:
    """A verification that finds a difference."""
    (context.out / "report.json").write_text('{"mismatches": 1}')
    raise VerificationFailed("pool0: frame 3, value 5: expected 2, got 3")


def test_failed_verification_leaves_its_report_and_no_result(tmp_path, capsys):
    build = make_build(tmp_path)
    run_stage("dig", build)
    failing = make_build(tmp_path, dig=changed_stage(DIG, run=fail_verification))
    with pytest.raises(VerificationFailed):
        run_stage("dig", failing, force=True)
    assert (build.folder / "dig.failed" / "report.json").read_text() == '{"mismatches": 1}'
    assert not (build.folder / "dig").exists()  # an earlier success does not count any more
    run_stage("dig", build)
    assert leftovers(build) == []


def fail_in_a_tool(context: StageContext) -> None:
    """A stage whose tool fails."""
    command = ["sh", "-c", "echo too deep; exit 3"]
    run_tool(command, cwd=context.scratch, log=context.scratch / "tool.log", timeout_s=10)


def test_log_of_a_failed_tool_is_kept_where_the_error_says(tmp_path):
    build = make_build(tmp_path, dig=changed_stage(DIG, run=fail_in_a_tool))
    with pytest.raises(ToolError) as error:
        run_stage("dig", build)
    assert error.value.log == build.folder / "dig.failed" / "tool.log"
    assert error.value.log.read_text() == "too deep\n"
    assert str(error.value.log) in str(error.value)
    assert leftovers(build) == ["dig.failed"]


def test_report_is_shown_when_nothing_had_to_run(tmp_path):
    shown: list[Path] = []
    build = make_build(tmp_path, dig=changed_stage(DIG, show=shown.append))
    run_stage("dig", build)
    run_stage("double", build)
    assert shown == []
    run_stage("dig", build)
    assert shown == [build.folder / "dig"]


def test_command_runs_after_what_it_needs(tmp_path):
    seen: list[str] = []

    def read(context: CommandContext) -> None:
        seen.append((context.inputs["dig"] / "number.txt").read_text())

    run_command(Command("read", "toy", ("dig",), read), make_build(tmp_path, "verify.seed=70"))
    assert seen == ["7"]


def test_stages_that_need_each_other_are_a_bug():
    stages = {"dig": changed_stage(DIG, needs=("double",)), "double": DOUBLE}
    with pytest.raises(BrokenStageError, match="double -> dig -> double"):
        in_order(("double",), stages.__getitem__)
