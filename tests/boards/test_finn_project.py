"""A FINN build as a project: FINN is a program here that leaves what FINN would leave."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.boards import finn_project, vivado_run
from pipeline.boards.bitstream import read_bitstream, report
from pipeline.boards.vivado import DIGEST, Description, read_description
from pipeline.core.tools import Tool, ToolError
from tests.boards import fake_reports
from tests.boards.small_project import write

FINN = """import pathlib, sys
print("Running step: step_hw_codegen [1/2]")
place = pathlib.Path("output")
texts = {
    "bitfile/finn-accel.bit": "bits",
    "bitfile/finn-accel.hwh": "<xml/>",
    "report/post_route_timing.rpt": pathlib.Path("timing").read_text(),
    "deploy/driver/driver.py": "FINN's",
}
for name, text in texts.items():
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)
print("Running step: step_deployment_package [2/2]")
sys.exit(int(pathlib.Path("ends").read_text()))
"""


def description() -> Description:
    return Description("small", "ab" * 32, "zcu104", "xczu7ev-ffvc1156-2-e", "finn", 200.0, ())


def folder(tmp_path: Path, ends: int = 0, setup: float = 0.2) -> Path:
    timing = fake_reports.timing("xczu7ev", setup, 0.03, 1.2)
    build = {"build.py": FINN, "ends": str(ends), "timing": timing}
    files = {name: text.encode() for name, text in build.items()}
    return write(tmp_path / "a project", finn_project.project(description(), files))


def vivado(tmp_path: Path, banner: str = "vivado v2023.2 (64-bit)") -> Path:
    program = tmp_path / "bin" / "vivado"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{banner}'\necho 'SW Build 4029153'\n")
    program.chmod(0o755)
    return program


def test_the_project() -> None:
    files = finn_project.project(description(), {"build.py": b"1", "model.onnx": b"2"})
    own = {"build.sh", "README.md", "project.json", "digest"}
    assert files.keys() == own | {"finn/build.py", "finn/model.onnx"}
    assert read_description(files["project.json"].decode()) == description()
    other = finn_project.project(description(), {"build.py": b"1", "model.onnx": b"3"})
    assert files[DIGEST] != other[DIGEST]


@pytest.mark.parametrize(
    ("banner", "tool"),
    [
        ("Vivado v2022.2 (64-bit)", "FINN, Vivado 2022.2"),
        ("vivado v2023.2.1 (64-bit)", "FINN, Vivado 2023.2.1"),
    ],
)
def test_build_sh_makes_what_ours_does(banner: str, tool: str, tmp_path: Path) -> None:
    place, program = folder(tmp_path), vivado(tmp_path, banner)
    env = {"PATH": f"{program.parent}:/usr/bin:/bin", "PYTHON": sys.executable}
    for _ in range(2):
        subprocess.run(
            ["sh", place / "build.sh"],
            cwd=tmp_path,
            env=env,
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )
    identity = read_bitstream(place / "output", description())
    assert (identity.tool, identity.backend, identity.clock_mhz) == (tool, "finn", 200.0)
    assert identity.project == (place / DIGEST).read_text().strip()
    assert (place / "output" / "deploy" / "driver" / "driver.py").read_text() == "FINN's"
    values = report(identity, description(), place / "output" / "reports")
    assert (values["wns"], values["total"], values["layers"]) == (0.2, None, [])


def test_it_is_built_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = folder(tmp_path)
    vivado_run.build(place, Tool(vivado(tmp_path), {}, "2023.2"), description())
    read_bitstream(place / "output", description())
    said = capsys.readouterr().out
    assert said == "FINN: step_hw_codegen [1/2]\nFINN: step_deployment_package [2/2]\n"


@pytest.mark.parametrize("ends", [1, 2])
def test_a_finn_that_stops(ends: int, tmp_path: Path) -> None:
    place = folder(tmp_path, ends)
    with pytest.raises(ToolError, match=f"failed with exit code {ends}") as error:
        vivado_run.build(place, Tool(vivado(tmp_path), {}, "2023.2"), description())
    assert "step_deployment_package" in error.value.where  # the end of the log
    assert not (place / "output").exists()


def test_the_identity_is_json_whatever_the_model_is_called() -> None:
    text = finn_project.build_script(description(), "0" * 64)
    inside = text.partition("<<END\n")[2].partition("END\n")[0]
    assert json.loads(inside)["model"] == "small"
