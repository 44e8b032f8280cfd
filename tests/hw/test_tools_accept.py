"""Verilator without a warning, and Yosys with its slang front end, take every kernel."""

import sys
from pathlib import Path

import pytest

from pipeline.core.tools import ToolError, run_tool, verilator
from tests.hw.bench import KERNELS

NAMES = sorted(path.stem for path in KERNELS.glob("*.sv"))

TABLES = {"matrix_vector_unit": ("weights.mem", 4), "bias_add": ("bias.mem", 4)}
"""The table that a kernel loads with its default parameters, and the words in it."""

SYNTHESIS = """
from pyosys import libyosys as ys
design = ys.Design()
for command in (
    "read_slang --top {name} {path}",
    "hierarchy -check -top {name}",
    "proc",
    "opt",
    "check -assert",
    "select -assert-none t:$dlatch t:$adlatch",
    "synth_xilinx -family xc7 -top {name}",
    "select -assert-min 1 t:FDRE",
):
    ys.run_pass(command, design)
"""


def lint(path: Path, folder: Path) -> None:
    tool = verilator()
    command = [tool.path, "--lint-only", "-Wall", "--top-module", path.stem, path]
    run_tool(command, cwd=folder, log=folder / "lint.log", timeout_s=60, env=tool.env)


@pytest.mark.parametrize("name", NAMES)
def test_verilator_warns_of_nothing(name: str, tmp_path: Path) -> None:
    lint(KERNELS / f"{name}.sv", tmp_path)


def test_a_width_that_does_not_fit_is_warned_of(tmp_path: Path) -> None:
    text = (KERNELS / "label_select.sv").read_text()
    assert "FoldBits'(Folds - 1)" in text
    (tmp_path / "label_select.sv").write_text(text.replace("FoldBits'(Folds - 1)", "Folds - 1"))
    with pytest.raises(ToolError, match="WIDTH"):
        lint(tmp_path / "label_select.sv", tmp_path)


def synthesise(path: Path, folder: Path) -> None:
    script = folder / "synthesise.py"
    script.write_text(SYNTHESIS.format(name=path.stem, path=path))
    command = [sys.executable, script]
    run_tool(command, cwd=folder, log=folder / "yosys.log", timeout_s=300)


@pytest.mark.parametrize("name", NAMES)
def test_yosys_makes_registers_and_no_latches(name: str, tmp_path: Path) -> None:
    if name in TABLES:
        table, words = TABLES[name]
        (tmp_path / table).write_text("1\n" * words)
    synthesise(KERNELS / f"{name}.sv", tmp_path)


def test_a_latch_is_found(tmp_path: Path) -> None:
    """A combinational assignment that is not always made."""
    (tmp_path / "held.sv").write_text(
        "module held (input logic e, d, output logic q);\n  always_latch if (e) q = d;\nendmodule\n"
    )
    with pytest.raises(ToolError, match="dlatch"):
        synthesise(tmp_path / "held.sv", tmp_path)
