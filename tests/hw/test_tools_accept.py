"""Verilator without a warning, and Yosys with its slang front end, take every kernel."""

import sys
from pathlib import Path

import pytest

from pipeline.codegen.zeros_dense import SOURCES
from pipeline.core.tools import ToolError, run_tool, verilator
from tests.hw.bench import KERNELS

NAMES = sorted(path.stem for path in KERNELS.glob("*.sv"))

TABLES = {
    "matrix_vector_unit": {"weights.mem": 4},
    "bias_add": {"bias.mem": 4},
    "requantizer": {"requantizer.mem": 1},
    "sparse_engine": {"program.mem": 16, "quantizer.mem": 3, "values.mem": 5},
    "sparse_sequencer": {"program.mem": 16},
    "threshold_search": {"thresholds0.mem": 4, "thresholds1.mem": 8},
    "thresholds": {f"thresholds_lane{p}_stage{s}.mem": 2 << s for p in (0, 1) for s in (0, 1)},
}
"""The tables that a kernel loads with its default parameters, and the words in them."""

STUB = Path(__file__).with_name("checksum_core.sv")
QUEUE = ("stream_fifo", "label_queue")
PARTS = {
    "label_queue": QUEUE,
    "accelerator_axi": ("axi_lite_registers", "frame_buffer", *QUEUE, "accelerator_axi"),
    "accumulator_sum": ("ternary_adder", "accumulator_sum"),
    "sparse_engine": SOURCES,
}
"""The modules that one needs, in compile order, and itself."""


def sources(name: str) -> list[Path]:
    """What a module of `hw/rtl` is compiled from; the shell's core is a stub."""
    core = [STUB] if name == "accelerator_axi" else []
    return core + [KERNELS / f"{part}.sv" for part in PARTS.get(name, (name,))]


IN_A_DSP = ("scaled_quantizer",)
"""Kernels all of whose registers are those of a multiplier."""

SYNTHESIS = """
from pyosys import libyosys as ys
design = ys.Design()
for command in (
    "read_slang --ignore-assertions --top {name} {paths}",
    "hierarchy -check -top {name}",
    "proc",
    "opt",
    "check -assert",
    "select -assert-none t:$dlatch t:$adlatch",
    "synth_xilinx -family xc7 -top {name}",
    "select -assert-min 1 t:{register}",
):
    ys.run_pass(command, design)
"""


def lint(paths: list[Path], folder: Path) -> None:
    """Of the last of these, the others being what it needs."""
    tool = verilator()
    command = [tool.path, "--lint-only", "-Wall", "--top-module", paths[-1].stem, *paths]
    run_tool(command, cwd=folder, log=folder / "lint.log", timeout_s=60, env=tool.env)


@pytest.mark.parametrize("name", NAMES)
def test_verilator_warns_of_nothing(name: str, tmp_path: Path) -> None:
    lint(sources(name), tmp_path)


def test_a_width_that_does_not_fit_is_warned_of(tmp_path: Path) -> None:
    text = (KERNELS / "label_select.sv").read_text()
    assert "FoldBits'(Folds - 1)" in text
    (tmp_path / "label_select.sv").write_text(text.replace("FoldBits'(Folds - 1)", "Folds - 1"))
    with pytest.raises(ToolError, match="WIDTH"):
        lint([tmp_path / "label_select.sv"], tmp_path)


def synthesise(paths: list[Path], folder: Path) -> None:
    """The last of these, the others being what it needs."""
    script = folder / "synthesise.py"
    listed = " ".join(map(str, paths))
    name = paths[-1].stem
    register = "DSP48E1" if name in IN_A_DSP else "FDRE"
    script.write_text(SYNTHESIS.format(name=name, paths=listed, register=register))
    command = [sys.executable, script]
    run_tool(command, cwd=folder, log=folder / "yosys.log", timeout_s=300)


@pytest.mark.parametrize("name", NAMES)
def test_yosys_makes_registers_and_no_latches(name: str, tmp_path: Path) -> None:
    for table, words in TABLES.get(name, {}).items():
        (tmp_path / table).write_text("".join(f"{n:x}\n" for n in range(words)))
    synthesise(sources(name), tmp_path)


def test_a_latch_is_found(tmp_path: Path) -> None:
    """A combinational assignment that is not always made."""
    (tmp_path / "held.sv").write_text(
        "module held (input logic e, d, output logic q);\n  always_latch if (e) q = d;\nendmodule\n"
    )
    with pytest.raises(ToolError, match="dlatch"):
        synthesise([tmp_path / "held.sv"], tmp_path)
