"""`make vivado-project` and `make bitstream` with a small network and a model of Vivado."""

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.boards.board import BOARDS, open_tools_hint
from pipeline.codegen.hls import TOP
from pipeline.core import cli
from pipeline.core.runner import Build
from pipeline.core.tools import run_tool, verilator
from pipeline.stages import bitstream
from tests.boards.behaviour import Behaviour
from tests.boards.small_project import install, made_by_hls
from tests.small import ship_small

pytestmark = pytest.mark.slow
tkinter = pytest.importorskip(
    "tkinter", reason="no Tcl for the model of Vivado: apt install python3-tk"
)

FILES = ("accelerator.bit", "accelerator.hwh", "accelerator.json")


class Project:
    """A project's folder with one small model, and the commands that are run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.build = root / "build" / "small"
        self.project = self.build / "vivado-project" / "project"
        self.bitstream = self.build / "bitstream"

    def run(self, command: str, *settings: str) -> int:
        words = ["--model", str(self.root / "models" / "small")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cli, "Build", partial(Build, root=self.root))
            return cli.main([command, *words, *(["--set", *settings] if settings else [])])

    def report(self, stage: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.build / stage / "report.json").read_text())
        return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Built up to the project for Vivado, with an RTL core."""
    root = tmp_path_factory.mktemp("shared")
    ship_small(root / "models" / "small")
    project = Project(root)
    assert project.run("vivado-project") == 0
    return project


@pytest.fixture
def project(shared: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return Project(shutil.copytree(shared.root, tmp_path / "root"))


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Where Vivado's programs are, none as yet."""
    return tmp_path / "Xilinx" / "Vivado" / "2022.2" / "bin"


@pytest.fixture
def on_path(tools: Path, monkeypatch: pytest.MonkeyPatch, project: Project) -> Path:
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return install(tools, Behaviour(), sys.executable)


# --- the project --------------------------------------------------------------------------------


def test_the_project_is_what_the_report_says(shared: Project) -> None:
    report = shared.report("vivado-project")
    files = [path for path in shared.project.rglob("*") if path.is_file()]
    assert report["files"] == len(files)
    assert report["bytes"] == sum(path.stat().st_size for path in files)
    assert (report["model"], report["board"], report["backend"]) == ("small", "pynq_z2", "rtl")
    shell = json.loads((shared.build / "codegen" / "shell" / "shell.json").read_text())
    description = json.loads((shared.project / "project.json").read_text())
    assert description["hash"] == shell["hash"]


def test_every_layer_has_its_cells(shared: Project) -> None:
    layers = json.loads((shared.project / "project.json").read_text())["layers"]
    fold = json.loads((shared.build / "fold" / "report.json").read_text())
    assert [x["name"] for x in layers] == [*dict.fromkeys(x["layer"] for x in fold["nodes"])]
    cells = [cell for layer in layers for cell in layer["cells"]]
    assert cells == [f"node{i}" for i in range(len(cells))]
    top = (shared.project / "ip" / "src" / "accelerator.sv").read_text()
    assert all(f" {cell} (" in top for cell in cells)
    assert f" node{len(cells)} (" not in top


def setting(project: Path, name: str) -> list[str]:
    """A list of settings.tcl, as Tcl reads it."""
    tcl = tkinter.Tcl()
    tcl.eval((project / "settings.tcl").read_text())
    return list(tcl.splitlist(tcl.eval(f"set ::settings({name})")))


def lint(project: Path, log: Path, *more: str) -> None:
    """Verilator on the packaged sources, in their order."""
    tool, sources = verilator(), setting(project, "sources")
    quiet = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD"]
    command = [tool.path, "--lint-only", *quiet, "--top-module", *setting(project, "top")]
    run_tool(
        [*command, *more, *sources],
        cwd=project / "ip" / "src",
        log=log,
        timeout_s=120,
        env=tool.env,
    )


def test_the_sources_are_a_design(shared: Project, tmp_path: Path) -> None:
    lint(shared.project, tmp_path / "lint")
    folder = shared.project / "ip" / "src"
    packed = {*setting(shared.project, "sources"), *setting(shared.project, "tables")}
    assert packed == {path.name for path in folder.iterdir()}


# --- with Vivado --------------------------------------------------------------------------------


def test_a_bitstream_and_its_report(
    project: Project, on_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("bitstream") == 0
    report = project.report("bitstream")
    assert (report["stage"], report["model"], report["board"]) == ("bitstream", "small", "pynq_z2")
    assert report["tool"] == "Vivado 2022.2"
    fold = project.report("fold")
    slowest = {x["name"]: x["cycles"] for x in report["layers"] if x["cycles"] is not None}
    for node in fold["nodes"]:
        assert slowest[node["layer"]] >= node["cycles"]
    for unit in ("lut", "ff", "dsp", "bram36"):
        assert sum(layer[unit] for layer in report["layers"]) == report["total"][unit]
    assert (report["wns"], report["clock_mhz"]) == (0.412, 100.0)
    made = {path.name for path in project.bitstream.iterdir()}
    assert made == {*FILES, "reports", "finn", "report.json", "manifest.json"}
    said = capsys.readouterr().out
    assert f"Vivado 2022.2: {on_path}" in said
    assert "AXI shell" in said
    on_path.unlink()  # what is there already needs no Vivado
    assert project.run("bitstream") == 0


def test_a_build_that_failed_goes_on(project: Project, tools: Path, on_path: Path) -> None:
    trace = tools / "trace"
    install(tools, Behaviour(fail={"route_design": "[Route 35-9] no"}), sys.executable)
    assert project.run("bitstream") != 0
    install(tools, Behaviour(trace=str(trace)), sys.executable)
    assert project.run("bitstream") == 0
    calls = [line.split()[0] for line in trace.read_text().splitlines()]
    assert "route_design" in calls
    assert "synth_design" not in calls
    assert on_path.is_file()


def test_timing_that_is_not_met(
    project: Project, tools: Path, on_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tools, Behaviour(setup=-0.75), sys.executable)
    assert project.run("bitstream") != 0
    said = capsys.readouterr().err
    assert "timing is not met: the worst setup slack is -0.75 ns at 100 MHz" in said
    assert "--set hardware.clock_mhz=93" in said
    assert not project.bitstream.exists()
    assert on_path.is_file()


# --- without it ---------------------------------------------------------------------------------


def error(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_without_vivado_it_says_what_to_do(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("bitstream") != 0
    said = error(capsys)
    assert "there is no Vivado, which makes bitstreams for PYNQ-Z2" in said
    assert (
        f"in {project.project}, on a machine that has Vivado 2022.2 or newer: sh build.sh" in said
    )
    model = project.root / "models" / "small"
    assert f"make bitstream MODEL={model} BOARD=pynq_z2 BITSTREAM=<its output>" in said
    assert "open tools" not in said
    assert (project.project / "build.sh").is_file()


def test_a_board_with_open_tools_is_named(
    project: Project,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (BOARDS / "pynq_z2.toml").read_text().partition("[vivado]")[0]
    (tmp_path / "ulx3s.toml").write_text(f'toolchain = "open"\n{text}')
    monkeypatch.setattr(bitstream, "open_tools_hint", partial(open_tools_hint, tmp_path))
    assert project.run("bitstream") != 0
    hint = "make bitstream BOARD=ulx3s   (builds a real bitstream, with open tools)"
    assert hint in error(capsys)


def test_a_path_that_is_none(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run("bitstream", "bitstream.vivado=/nowhere/vivado") != 0
    assert "bitstream.vivado = /nowhere/vivado" in error(capsys)


def test_made_elsewhere(
    project: Project, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = shutil.copytree(project.project, tmp_path / "elsewhere")
    install(tools, Behaviour(), sys.executable)
    env = {"PATH": f"{tools}:/usr/bin:/bin"}
    command = ["sh", elsewhere / "build.sh"]
    subprocess.run(command, env=env, check=True, timeout=60, stdout=subprocess.DEVNULL)
    shutil.rmtree(tools)
    output = elsewhere / "output"
    assert project.run("bitstream", f"bitstream.made={output}") == 0
    for name in FILES:
        assert (project.bitstream / name).read_bytes() == (output / name).read_bytes()
    assert project.report("bitstream")["total"]["lut"] > 0
    (output / "accelerator.bit").write_bytes(b"another")
    assert project.run("bitstream", f"bitstream.made={output}") != 0
    assert "bitstream_sha256 is" in error(capsys)


# --- other cores --------------------------------------------------------------------------------


def test_a_core_that_vitis_hls_makes(project: Project, tools: Path, on_path: Path) -> None:
    made = tools / "made"
    made_by_hls(made)
    vitis = tools / "vitis_hls"
    vitis.write_text(f"#!/bin/sh\n[ -f accelerator.cpp ] && cp -r '{made}/hls/hls_project' .\n")
    vitis.chmod(0o755)
    assert project.run("bitstream", "hardware.backend=hls") == 0
    report = project.report("bitstream")
    assert (report["backend"], report["layers"][-1]["name"]) == ("hls", "processing system and DMA")
    assert setting(project.project, "tables") == []
    core = tools / "core.v"
    core.write_text(hls_module(project.project))
    lint(project.project, tools / "lint", str(core))
    assert on_path.is_file()


def hls_module(project: Path) -> str:
    """The module of Vitis HLS, as far as the adapter knows it."""
    adapter = (project / "ip" / "src" / "accelerator.v").read_text()
    ports = re.findall(r"^    \.(\w+)\(", adapter, flags=re.MULTILINE)
    listed = ", ".join(
        f"{'output' if port.startswith('m_') ^ port.endswith('TREADY') else 'input'} {port}"
        for port in ports
    )
    return f"module {TOP} ({listed});\nendmodule\n"


def test_a_core_that_finn_makes(
    project: Project, on_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("vivado-project", "hardware.backend=finn") == 0
    description = json.loads((project.project / "project.json").read_text())
    assert (description["backend"], description["layers"]) == ("finn", [])
    assert {"build.py", "model.onnx"} <= {x.name for x in (project.project / "finn").iterdir()}
    assert project.run("bitstream", "hardware.backend=finn") != 0
    assert "vitis_hls or vitis-run not found on PATH" in error(capsys)
    assert on_path.is_file()
