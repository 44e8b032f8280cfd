"""The Tcl of `hw/vivado`, run as it is by a Tcl interpreter with a model of Vivado's commands."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("tkinter", reason="Python has no Tcl interpreter: apt install python3-tk")

from pipeline.boards.board import load_board
from pipeline.boards.vivado import DIGEST, DONE, OUTPUT, STEPS
from pipeline.core.atomic import sha256_file
from tests.boards import golden
from tests.boards.behaviour import Behaviour
from tests.boards.fake_vivado import FakeVivado
from tests.boards.script_faults import FAULTS
from tests.boards.small_project import BOARDS, files_of, made_by_hls, target, write

ADDRESSES = {"zynq7": (0x4040_0000, 0x43C0_0000), "zynqmp": (0xA000_0000, 0xA001_0000)}
PROCESSING = {
    "zynq7": ("M_AXI_GP0", "S_AXI_HP0", "FCLK_CLK0", "M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK"),
    "zynqmp": (
        *("M_AXI_HPM0_FPD", "S_AXI_HP0_FPD"),
        *("pl_clk0", "maxihpm0_fpd_aclk", "saxihp0_fpd_aclk"),
    ),
}
DDR = {"zynq7": "ps/S_AXI_HP0/HP0_DDR_LOWOCM", "zynqmp": "ps/SAXIGP2/HP0_DDR_LOW"}


class Run:
    """A build of a project's folder by one process."""

    def __init__(self, folder: Path, behaviour: Behaviour | None = None) -> None:
        self.lines: list[str] = []
        self.vivado = FakeVivado(behaviour or Behaviour(), self._hear)
        self.code = self.vivado.source(folder / "build.tcl")

    def _hear(self, text: str) -> None:
        self.lines += text.splitlines()

    @property
    def marks(self) -> list[str]:
        """What is said of the steps, without their numbers."""
        return [re.sub(r"AMCFLOW step \d/7 ", "", x) for x in self.lines if "AMCFLOW step" in x]

    @property
    def failure(self) -> str:
        """The last mark, of a step that failed."""
        assert self.code == 1
        assert " failed: " in self.marks[-1]
        return self.marks[-1]

    def told(self, command: str) -> list[str]:
        """The calls of one command."""
        return [call for call in self.vivado.calls if call.split()[0] == command]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project for the PYNQ-Z2."""
    return write(tmp_path / "project", files_of(target()))


# --- what is built ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", golden.CALLS)
def test_all_that_vivado_is_told_to_do(name: str, tmp_path: Path) -> None:
    assert golden.calls(name, tmp_path / "project") == golden.read(name)


@pytest.mark.parametrize("board", BOARDS)
def test_the_block_design_is_the_one_of_the_driver(board: str, tmp_path: Path) -> None:
    run = Run(write(tmp_path / "project", files_of(target(board))))
    assert run.code == 0
    design, family = run.vivado.design, load_board(board).vivado.family
    master, memory, clock, *clocks = PROCESSING[family]
    assert {name: cell.kind.vlnv.rsplit(":", 1)[0] for name, cell in design.cells.items()} == {
        "ps": f"xilinx.com:ip:{'processing_system7' if family == 'zynq7' else 'zynq_ultra_ps_e'}",
        "reset": "xilinx.com:ip:proc_sys_reset",
        "control": "xilinx.com:ip:smartconnect",
        "memory": "xilinx.com:ip:smartconnect",
        "accelerator": "amcflow:amcflow:accelerator",
        "dma": "xilinx.com:ip:axi_dma",
    }
    assert set(design.links) == {
        (f"ps/{master}", "control/S00_AXI"),
        ("control/M00_AXI", "dma/S_AXI_LITE"),
        ("control/M01_AXI", "accelerator/s_axi"),
        ("dma/M_AXI_MM2S", "memory/S00_AXI"),
        ("dma/M_AXI_S2MM", "memory/S01_AXI"),
        ("memory/M00_AXI", f"ps/{memory}"),
        ("dma/M_AXIS_MM2S", "accelerator/s_axis"),
        ("accelerator/m_axis", "dma/S_AXIS_S2MM"),
    }
    of_dma = {f"dma/{name}_aclk" for name in ("s_axi_lite", "m_axi_mm2s", "m_axi_s2mm")}
    others = {"reset/slowest_sync_clk", "control/aclk", "memory/aclk", "accelerator/aclk"}
    assert design.nets[f"ps/{clock}"] == of_dma | others | {f"ps/{name}" for name in clocks}
    assert len(design.nets) == 3
    dma, accelerator = ADDRESSES[family]
    size = design.segments()[DDR[family]].bytes
    assert design.addresses == {
        ("ps/Data", "dma/S_AXI_LITE/Reg"): (dma, 65536),
        ("ps/Data", "accelerator/s_axi/reg0"): (accelerator, 65536),
        ("dma/Data_MM2S", DDR[family]): (0, size),
        ("dma/Data_S2MM", DDR[family]): (0, size),
    }


@pytest.mark.parametrize("board", BOARDS)
def test_the_dma_is_simple_and_as_wide_as_what_it_is_connected_to(
    board: str, tmp_path: Path
) -> None:
    what = target(board)
    run = Run(write(tmp_path / "project", files_of(what)))
    found = run.vivado.design.cells["dma"].properties
    bits = str(what.vivado.dma_width)
    assert found["c_include_sg"] == "0"
    assert found["c_sg_length_width"] == "26"
    assert found["c_m_axi_mm2s_data_width"] == found["c_m_axi_s2mm_data_width"] == bits
    ports = run.vivado.design.cells["ps"].shape.interfaces
    assert [x.bits for name, x in ports.items() if "HP0" in name and x.mode == "slave"] == [
        int(bits)
    ]


@pytest.mark.parametrize(("beat", "label"), [(1, 1), (2, 1), (2, 2)])
def test_streams_are_as_wide_as_the_shell(beat: int, label: int, tmp_path: Path) -> None:
    what = target()
    what = replace(what, shell=replace(what.shell, beat_bytes=beat, label_bytes=label))
    files = files_of(what)
    top = files["ip/src/amcflow.v"].decode()
    top = top.replace("[7:0] s_axis_tdata", f"[{8 * beat - 1}:0] s_axis_tdata")
    top = top.replace("[7:0] m_axis_tdata", f"[{8 * label - 1}:0] m_axis_tdata")
    run = Run(write(tmp_path / "project", files | {"ip/src/amcflow.v": top.encode()}))
    assert run.code == 0
    bits = {name: i.bits for name, i in run.vivado.design.interfaces().items() if i.bus == "axis"}
    assert bits["dma/M_AXIS_MM2S"] == bits["accelerator/s_axis"] == 8 * beat
    assert bits["dma/S_AXIS_S2MM"] == bits["accelerator/m_axis"] == 8 * label


@pytest.mark.parametrize(
    ("board", "asked", "made"),
    [("pynq_z2", 100, 100.0), ("pynq_z2", 150, 142.857143), ("zcu104", 100, 99.999)],
)
def test_results_say_what_they_are(board: str, asked: float, made: float, tmp_path: Path) -> None:
    what = target(board, clock_mhz=asked)
    folder = write(tmp_path / "project", files_of(what))
    assert Run(folder, Behaviour(version="2023.1.1")).code == 0
    output = folder / OUTPUT
    bitstream = output / "accelerator.bit"
    assert (output / "accelerator.hwh").is_file()
    assert json.loads((output / "accelerator.json").read_text()) == {
        "model": "small",
        "hash": what.shell.hash,
        "board": board,
        "part": what.board.part,
        "backend": "rtl",
        "project": (folder / DIGEST).read_text().strip(),
        "bitstream_sha256": sha256_file(bitstream),
        "tool": "Vivado 2023.1.1",
        "clock_mhz": made,
    }


@pytest.mark.parametrize("board", ["pynq_z2", "zcu104"])
def test_the_newest_board_files_are_used_and_said(board: str, tmp_path: Path) -> None:
    name = load_board(board).vivado.board_part
    boards = (f"{name}:1.2", f"{name}:1.10", "another.com:board:part0:1.0")
    run = Run(write(tmp_path / "project", files_of(target(board))), Behaviour(boards=boards))
    assert run.code == 0
    assert run.vivado.design.cells["ps"].properties["preset"] == f"{name}:1.10"
    assert f"AMCFLOW note: board files {name}:1.10" in run.lines


def test_without_board_files_it_says_so_and_uses_our_own(folder: Path) -> None:
    run = Run(folder)
    (note,) = [line for line in run.lines if line.startswith("AMCFLOW note: ")]
    assert note == (
        "AMCFLOW note: no files of the board tul.com.tw:pynq-z2:part0 are installed; "
        "the processing system is configured from hw/boards"
    )
    properties = run.vivado.design.cells["ps"].properties
    assert properties["PCW_CRYSTAL_PERIPHERAL_FREQMHZ"] == "50"
    assert run.vivado.design.addresses["dma/Data_MM2S", DDR["zynq7"]] == (0, 512 << 20)


def test_vitis_hls_verilog_stands_before_the_shell(tmp_path: Path) -> None:
    folder = write(tmp_path / "project", files_of(target("pynq_z2", "hls")))
    assert "no Verilog of Vitis HLS in" in Run(folder).failure
    made_by_hls(folder)
    run = Run(folder)
    assert run.code == 0
    files = [x.split()[1] for x in run.told("ipx::add_file") if "synthesis" in x]
    assert files[:2] == ["src/accelerator_hls.v", "src/accelerator.v"]
    assert files[-2:] == ["src/amcflow.v", "src/accelerator_hls_rom.dat"]


# --- resuming -----------------------------------------------------------------------------------


FIRST_COMMANDS = {
    "package_ip": "ipx::create_core",
    "block_design": "create_project",
    "synthesize": "synth_design",
    "place": "opt_design",
    "route": "route_design",
    "report": "report_power",
    "bitstream": "write_bitstream",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_build_goes_on_with_the_step_that_was_not_finished(step: str, folder: Path) -> None:
    broken = Run(folder, Behaviour(fail={FIRST_COMMANDS[step]: "[Common 17-1] out of luck"}))
    assert broken.failure.startswith(f"{step} failed: ")
    place = STEPS.index(step)
    assert sorted(path.name for path in (folder / DONE).glob("*")) == sorted(STEPS[:place])
    run = Run(folder)
    assert run.code == 0
    assert run.marks[:place] == [f"{name} was done before" for name in STEPS[:place]]
    assert run.marks[place] == f"{step} begins"
    for name in STEPS[:place]:
        assert run.told(FIRST_COMMANDS[name]) == []
    assert (folder / OUTPUT / "accelerator.json").is_file()


def test_a_finished_build_does_nothing(folder: Path) -> None:
    Run(folder)
    again = Run(folder)
    assert again.code == 0
    assert again.marks == [f"{name} was done before" for name in STEPS]
    assert len(again.vivado.calls) == 2  # its version, and the part


def test_marks_of_other_sources_do_not_count(folder: Path) -> None:
    Run(folder)
    write(folder, files_of(target(clock_mhz=90)))
    run = Run(folder)
    assert run.marks[0] == "package_ip begins"
    assert "was done before" not in " ".join(run.marks)
    assert run.code == 0


def test_a_kill_between_a_step_and_its_mark_repeats_the_step(folder: Path) -> None:
    Run(folder)
    (folder / DONE / "route").unlink()
    (folder / DONE / ".route").write_text("half a mark")
    run = Run(folder)
    assert run.code == 0
    assert "route begins" in run.marks
    assert "place was done before" in run.marks


def test_a_build_that_is_started_from_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert Run(folder).code == 0
    assert Path.cwd() == Path("/")


# --- failing ------------------------------------------------------------------------------------


def test_a_missed_setup_time_is_an_error_with_its_path_and_no_bitstream(folder: Path) -> None:
    run = Run(folder, Behaviour(setup=-0.432))
    assert run.failure == "report failed: timing is not met: the worst setup slack is -0.432 ns"
    assert run.told("phys_opt_design") == ["phys_opt_design"] * 2  # once more after routing
    assert (
        "Slack (VIOLATED) :        -0.432ns"
        in (folder / OUTPUT / "reports" / "worst_path.rpt").read_text()
    )
    assert run.told("write_bitstream") == []
    assert not (folder / OUTPUT / "accelerator.bit").exists()
    assert Run(folder, Behaviour(setup=-0.432)).failure == run.failure


def test_a_missed_hold_time_is_an_error_too(folder: Path) -> None:
    run = Run(folder, Behaviour(hold=-0.02))
    assert run.failure == "report failed: timing is not met: the worst hold slack is -0.02 ns"


@pytest.mark.parametrize(
    ("behaviour", "slack"),
    [(Behaviour(paths=False), "none"), (Behaviour(setup=float("inf")), "inf")],
)
def test_a_design_without_a_clock_has_no_slack(
    behaviour: Behaviour, slack: str, folder: Path
) -> None:
    failure = Run(folder, behaviour).failure
    assert failure == f"route failed: the clock is not constrained: the worst slack is {slack}"


def test_an_older_vivado(folder: Path) -> None:
    run = Run(folder, Behaviour(version="2022.1"))
    assert (run.code, run.marks) == (1, [])
    assert "Vivado 2022.1 is older than 2022.2" in " ".join(run.lines)


@pytest.mark.parametrize("version", ["2022.2", "2022.2.2_AR0012", "2023.1", "2024.2", "2030.1"])
def test_a_vivado_that_is_new_enough(version: str, folder: Path) -> None:
    assert Run(folder, Behaviour(version=version)).code == 0


def test_a_vivado_without_the_part(folder: Path) -> None:
    run = Run(folder, Behaviour(parts=("xczu*",)))
    assert run.code == 1
    assert "this Vivado does not have the part xc7z020clg400-1" in " ".join(run.lines)


# --- planted faults -----------------------------------------------------------------------------


def plant(folder: Path, file: str, old: str, new: str) -> Path:
    """The same project with one change in a script."""
    broken = shutil.copytree(folder, folder.with_name("broken"), dirs_exist_ok=True)
    script = broken / "tcl" / file
    text = script.read_text()
    assert text.count(old) >= 1, old
    script.write_text(text.replace(old, new, 1))
    return broken


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_end_the_build(fault: str, folder: Path) -> None:
    *change, message = FAULTS[fault]
    run = Run(plant(folder, *change))
    assert message in run.failure
    assert not (folder.with_name("broken") / OUTPUT / "accelerator.json").exists()


def spoil_table(folder: Path) -> None:
    (folder / "ip" / "src" / "weights.mem").unlink()


def spoil_source(folder: Path) -> None:
    (folder / "ip" / "src" / "accelerator.sv").unlink()


def spoil_top(folder: Path) -> None:
    top = folder / "ip" / "src" / "amcflow.v"
    top.write_text(top.read_text().replace("s_axis_tlast", "s_axis_tend"))


def spoil_settings(folder: Path) -> None:
    file = folder / "settings.tcl"
    file.write_text(file.read_text().replace("::settings(ps)", "::settings(sp)"))


SPOILT: dict[Callable[[Path], None], str] = {
    spoil_table: "package_ip failed: src/weights.mem is not there",
    spoil_source: "package_ip failed: src/accelerator.sv is not there",
    spoil_top: "package_ip failed: port s_axis_tlast of amcflow: there should be one",
    spoil_settings: "block_design failed: settings.tcl has no ps",
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_folder_that_is_not_whole_is_found_out(
    spoil: Callable[[Path], None], folder: Path
) -> None:
    spoil(folder)
    assert SPOILT[spoil] in Run(folder).failure


def test_an_unread_table_would_only_be_a_warning_without_our_setting(folder: Path) -> None:
    """So the model of Vivado is no stricter than Vivado itself."""
    broken = plant(folder, "synthesize.tcl", "    cd [in_root ip src]\n", "")
    script = broken / "tcl" / "synthesize.tcl"
    script.write_text(script.read_text().replace("-new_severity ERROR", "-limit 9"))
    run = Run(broken)
    assert run.code == 0
    assert any(line.startswith("CRITICAL WARNING: [Synth 8-4445]") for line in run.lines)
