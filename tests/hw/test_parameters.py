"""Parameters that a kernel cannot work with are refused when a design is elaborated."""

from pathlib import Path

import pytest

from pipeline.core.tools import ToolError, run_tool, verilator
from tests.hw.bank import RTL, Instance, Port, build_bank, yosys

BAD = [
    ("matrix_vector_unit", "Simd", 3, "Simd has to divide MatrixWidth"),
    ("matrix_vector_unit", "Pe", 3, "Pe has to divide MatrixHeight"),
    ("max_pool", "Pe", 3, "Pe has to divide Channels"),
    ("max_pool", "Positions", 1, "a run has to fit into a frame"),
    ("bias_add", "Pe", 3, "Pe has to divide Channels"),
    ("label_select", "Pe", 3, "Pe has to divide Labels"),
    ("stream_fifo", "Depth", 1, "a buffer of less than two words"),
    ("frame_padding", "Positions", 0, "a frame needs positions"),
    ("sliding_window", "Stride", 0, "no parameter can be 0"),
    ("sliding_window", "Positions", 2, "a window has to fit into a frame"),
    ("sliding_window", "Dilation", 5, "a window has to fit into a frame"),
    ("thresholds", "Pe", 3, "Pe has to divide Channels"),
    ("thresholds", "OutBits", 1, "the number of thresholds has to fit into OutBits"),
    ("thresholds", "Stages", 0, "the number of thresholds has to fit into OutBits"),
    ("width_converter", "InBits", 0, "a word needs bits"),
]
"""A module whose other parameters have their defaults, a bad one, and what is said of it."""


@pytest.mark.parametrize(("module", "name", "value", "message"), BAD)
def test_verilator_refuses(
    module: str, name: str, value: int, message: str, tmp_path: Path
) -> None:
    tool = verilator()
    command = [tool.path, "--lint-only", f"-G{name}={value}", RTL / f"{module}.sv"]
    with pytest.raises(ToolError):
        run_tool(command, cwd=tmp_path, log=tmp_path / "lint.log", timeout_s=60, env=tool.env)
    assert f"USERERROR: {RTL / module}.sv" in (log := (tmp_path / "lint.log").read_text())
    assert message in log


@pytest.mark.parametrize(("module", "name", "value", "message"), BAD)
def test_slang_refuses(module: str, name: str, value: int, message: str, tmp_path: Path) -> None:
    command = f"read_slang --top {module} -G {name}={value} {RTL / module}.sv"
    with pytest.raises(ToolError):
        yosys([command], tmp_path)
    assert f"ERROR: $error encountered: {message}" in (tmp_path / "yosys.log").read_text()


def test_a_simulator_is_not_built_with_them(tmp_path: Path) -> None:
    """Other warnings do not end a build."""
    instance = Instance("stream_fifo", {"Bits": 8, "Depth": 1}, Port(8, 1), Port(8, 1))
    with pytest.raises(ToolError, match="USERERROR"):
        build_bank([instance], tmp_path, 1)


def test_slang_refuses_a_table_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ToolError):
        yosys([f"read_slang --top thresholds {RTL / 'thresholds.sv'}"], tmp_path)
    assert "thresholds_lane0_stage0.mem" in (tmp_path / "yosys.log").read_text()
