"""The folder of HLS C++ as the codegen stage leaves it: a project of Vitis HLS where one is asked
for, the same every time, and nothing of this machine."""

import datetime
import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from pipeline.boards.board import load_board
from pipeline.codegen.hls import SCRIPT, load_design
from pipeline.core import cli
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.runner import Build
from pipeline.stages.codegen import FINN, FINN_SCRIPT, HLS, HLS_KERNELS, NOTICE, RTL
from tests.small import ship_small

BACKENDS = ["hls", "rtl"]
VENDORS_HEADERS = {"ap_axi_sdata.h", "ap_int.h", "hls_stream.h"}


def generate(root: Path, *settings: str) -> Path:
    """Run the stage in a project; the folder that it wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "Build", partial(Build, root=root))
        words = ["codegen", "--force", "--model", str(root / "models" / "small")]
        assert cli.main([*words, "--set", *settings]) == 0
    return root / "build" / "small" / "codegen"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a small network, compiled for Vitis HLS."""
    root = tmp_path_factory.mktemp("project")
    ship_small(root / "models" / "small")
    generate(root, "hardware.backend=hls")
    return root


@pytest.fixture(scope="module")
def folders(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What codegen writes for each backend, in a project of its own."""
    other = tmp_path_factory.mktemp("other") / "project_with_a_longer_name"
    shutil.copytree(project, other)
    hls = project / "build" / "small" / "codegen"
    return {"hls": hls, "rtl": generate(other, "hardware.backend=rtl")}


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but for the record of how and when they were made."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "manifest.json"}


@pytest.mark.slow
def test_the_script_names_the_part_the_clock_and_every_file(folders: dict[str, Path]) -> None:
    folder = folders["hls"] / HLS
    lines = (folder / SCRIPT).read_text().splitlines()
    assert f"set_part {{{load_board('pynq_z2').part}}}" in lines
    assert "create_clock -period 10 -name default" in lines
    assert f"set_top {load_design(folder).top}" in lines
    assert {"csynth_design", "export_design -format ip_catalog"} <= set(lines)
    added = [name for line in lines for name in re.findall(r"^add_files (?:-tb )?(\S+)", line)]
    tables = list(load_design(folder).tables)
    assert added == ["accelerator.cpp", "testbench.cpp", *tables]
    assert sorted(tables) == sorted(path.name for path in folder.glob("*.inc"))
    assert len(tables) == 20
    assert all((folder / name).is_file() for name in added)


@pytest.mark.slow
@pytest.mark.parametrize(("clock_mhz", "period"), [(125, "8"), (33.3, "30.03")])
def test_the_clock_is_the_one_asked_for(
    project: Path, tmp_path: Path, clock_mhz: float, period: str
) -> None:
    root = shutil.copytree(project, tmp_path / "project")
    folder = generate(root, "hardware.backend=hls", f"hardware.clock_mhz={clock_mhz:.1f}")
    assert f"create_clock -period {period} -name default\n" in (folder / HLS / SCRIPT).read_text()


@pytest.mark.slow
def test_without_vitis_there_is_no_script_and_the_rest_is_the_same(
    folders: dict[str, Path],
) -> None:
    with_script, without = files(folders["hls"]), files(folders["rtl"])
    script = f"{HLS}/{SCRIPT}"
    assert with_script.keys() - without.keys() == {script}
    assert without.keys() <= with_script.keys()
    differing = {name for name in without if without[name] != with_script[name]}
    assert differing == {"report.json"}
    assert [name for name in without if SCRIPT in name] == []


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_runs_write_the_same_bytes(
    folders: dict[str, Path], tmp_path: Path, backend: str
) -> None:
    root = folders[backend].parents[2]
    copy = shutil.copytree(root, tmp_path / "yet_another_folder")
    again = files(generate(copy, f"hardware.backend={backend}"))
    before = files(folders[backend])
    assert again.keys() == before.keys()
    assert [name for name in again if again[name] != before[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_in_the_folder_speaks_of_this_machine_or_of_today(
    folders: dict[str, Path], backend: str
) -> None:
    today = datetime.datetime.now(datetime.UTC)
    private = [str(PROJECT_ROOT), str(Path.home()), "/tmp/", "site-packages"]
    private += [str(folders[backend].parents[2])]
    private += [today.strftime(form) for form in ("%Y-%m-%d", "%b %d", "%d %b", "%H:%M:")]
    for name, content in files(folders[backend]).items():
        assert [word for word in private if word.encode() in content] == [], name


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_sources_are_complete_and_ours_are_taken_as_they_are(
    folders: dict[str, Path], backend: str
) -> None:
    folder = folders[backend] / HLS
    design = load_design(folder)
    others = {"design.json", "NOTICE"} | ({SCRIPT} if backend == "hls" else set())
    assert {path.name for path in folder.iterdir()} == {*design.sources, *design.tables, *others}
    for kernel in HLS_KERNELS.iterdir():
        assert (folder / kernel.name).read_bytes() == kernel.read_bytes()
    assert (folder / "NOTICE").read_bytes() == NOTICE.read_bytes()
    written = [(folder / name).read_text() for name in design.sources]
    included = {name for text in written for name in re.findall(r'#include "(.+)"', text)}
    assert included - VENDORS_HEADERS <= {path.name for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_report_counts_what_is_there(folders: dict[str, Path], backend: str) -> None:
    report = json.loads((folders[backend] / "report.json").read_text())
    assert report["backend"] == backend
    for kind in (RTL, HLS):
        written = [path.stat().st_size for path in (folders[backend] / kind).iterdir()]
        assert report[kind]["bytes"] == sum(written)
    design = load_design(folders[backend] / HLS)
    found = (report[HLS]["sources"], report[HLS]["tables"])
    assert found == (len(design.sources), len(design.tables))


@pytest.mark.slow
def test_finns_build_is_beside_it_and_can_be_started(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        assert (folder / FINN / "build.py").read_bytes() == FINN_SCRIPT.read_bytes()
        assert (folder / FINN / "build.py").stat().st_mode & 0o111
        assert json.loads((folder / "report.json").read_text())["finn"]["frames"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("backend", [*BACKENDS, "finn"])
def test_what_is_said_of_vitis_is_true_when_the_stage_has_ended(
    project: Path, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the stage runs, its folder has another name."""
    root = shutil.copytree(project, tmp_path / "project")
    folder = generate(root, f"hardware.backend={backend}")
    out = capsys.readouterr().out
    assert (f"in the folder {HLS} there: vitis_hls -f {SCRIPT}\n" in out) == (backend == "hls")
    assert (f"in the folder {FINN} there: python build.py\n" in out) == (backend == "finn")
    assert (folder / HLS / SCRIPT).exists() == (backend == "hls")
    assert f" -> {folder}\n" in out
    assert ".out" not in out


@pytest.mark.parametrize("backend", ["hsl", "vhdl", "RTL"])
def test_another_backend_is_the_users_error(
    tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "models" / "small"
    model.mkdir(parents=True)
    (model / "model.toml").touch()
    setting = f"hardware.backend={backend}"
    assert cli.main(["codegen", "--model", str(model), "--set", setting]) == 2
    what, where, remedy = capsys.readouterr().err.splitlines()
    assert what == f"error: hardware.backend = {backend!r}: must be 'rtl', 'hls' or 'finn'"
    assert where == f"where: --set {setting}"
    assert remedy.startswith("  try: hardware.backend = 'rtl' is the default: sources for Vivado")
