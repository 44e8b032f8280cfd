"""The AXI shell in cocotb, with cocotbext-axi's masters at its interfaces."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.core.paths import PROJECT_ROOT
from pipeline.verify.rungs import RTL_CACHE
from pipeline.verify.verilated import Program, build

cocotb_tools = pytest.importorskip(
    "cocotb_tools", reason="cocotb is not installed: make test installs it"
)
find_libpython = pytest.importorskip("find_libpython")
if find_libpython.find_libpython() is None:
    pytest.skip(
        "cocotb needs libpython as a shared library: apt install libpython3.11",
        allow_module_level=True,
    )

from cocotb_tools import config  # noqa: E402
from cocotb_tools.runner import get_runner  # noqa: E402

from tests.hw import shell_scenarios as scenarios  # noqa: E402

KERNELS = PROJECT_ROOT / "hw" / "rtl"
MODULES = ("axi_lite_registers", "frame_buffer", "stream_fifo", "label_queue", "accelerator_axi")
SEED = 7


def simulator(folder: Path, sources: list[Path]) -> Path:
    """The shell with these sources around the checksum core, for cocotb."""
    library = config.libs_dir
    flags = (
        *("--vpi", "--public-flat-rw", "--assert", "--prefix", "Vtop"),
        *("-o", "Vaccelerator_axi"),
        *("-LDFLAGS", f"-Wl,-rpath,{library} -L{library} -lcocotbvpi_verilator"),
        *(f"-GBeats={scenarios.BEATS}", f"-GClasses={scenarios.CLASSES}"),
        *(f"-GCredits={scenarios.CREDITS}", f"-GHash=256'h{scenarios.HASH:064x}"),
    )
    core = Path(__file__).with_name("checksum_core.sv")
    harness = config.share_dir / "lib" / "verilator" / "verilator.cpp"
    program = Program("accelerator_axi", (core, *sources), harness, {}, flags)
    shutil.copy(build(program, RTL_CACHE).path, folder / "accelerator_axi")
    return folder


def failures(folder: Path, scenario: str = "") -> set[str]:
    """Runs the scenarios whose name has `scenario` in it; the names of those that failed."""
    print(f"seed {SEED}")
    results = folder / "results.xml"
    # how the runner ends where a scenario fails, and where an assertion stops the simulator
    with suppress(SystemExit, RuntimeError):
        get_runner("verilator").test(
            test_module="tests.hw.shell_scenarios",
            hdl_toplevel="accelerator_axi",
            hdl_toplevel_lang="verilog",
            build_dir=folder,
            test_dir=folder,
            results_xml=str(results),
            test_filter=scenario or None,
            seed=SEED,
            log_file=folder / "scenarios.log",
        )
    cases = ElementTree.parse(results).findall(".//testcase")
    assert cases, (folder / "scenarios.log").read_text()
    return {
        case.attrib["name"]
        for case in cases
        if len(case.findall("failure") or case.findall("error"))
    }


def test_every_scenario(tmp_path: Path) -> None:
    sources = [KERNELS / f"{name}.sv" for name in MODULES]
    assert failures(simulator(tmp_path, sources)) == set()


@dataclass(frozen=True)
class Fault:
    """A fault in a module, and a scenario that has to fail because of it."""

    module: str
    old: str
    new: str
    scenario: str


FAULTS = (
    Fault(
        "frame_buffer",
        "(entry_o && !entry_good_o) ? start_q : next(write_q)",
        "next(write_q)",
        "packets_of_any_length_never_mix",
    ),
    Fault(
        "frame_buffer",
        "if (long_frame_o) skipping_q <= 1'b1;",
        "if (1'b0) skipping_q <= 1'b1;",
        "packets_of_any_length_never_mix",
    ),
    Fault(
        "frame_buffer",
        "entry_last_o   = s_axis_tlast || last_frame",
        "entry_last_o   = s_axis_tlast",
        "packets_of_any_length_never_mix",
    ),
    Fault(
        "frame_buffer",
        "(first_beat && frame_q == '0) ? packet_frames_i : packet_q",
        "packet_frames_i",
        "the_packet_length_is_taken_at_its_first_beat",
    ),
    Fault(
        "frame_buffer",
        "parameter int unsigned Slots = 2",
        "parameter int unsigned Slots = 1",
        "frames_follow_each_other_without_a_gap",
    ),
    Fault(
        "label_queue",
        "inside_q != CountBits'(Credits)",
        "1'b1",
        "the_input_waits_while_no_label_leaves",
    ),
    Fault(
        "label_queue",
        "entry_valid && (!good || label_valid)",
        "entry_valid && label_valid",
        "a_dropped_frame_needs_no_core",
    ),
    Fault(
        "accelerator_axi",
        "buffer_ready && run_n_q",
        "buffer_ready",
        "no_beat_is_lost_in_a_soft_reset",
    ),
    Fault(
        "accelerator_axi",
        "    .ap_rst_n(run_n_q)",
        "    .ap_rst_n(aresetn)",
        "a_soft_reset_forgets_all_frames",
    ),
    Fault(
        "accelerator_axi",
        "5'h19:        read_data = cycles_high_q;",
        "5'h19:        read_data = cycles_q[63:32];",
        "cycles_run_while_a_frame_is_inside",
    ),
    Fault(
        "axi_lite_registers",
        "&& (!s_axi_rvalid || s_axi_rready)",
        "",
        "registers_answer_while_frames_run",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.module}: {fault.new}")
def test_a_planted_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    sources = [KERNELS / f"{name}.sv" for name in MODULES]
    for index, source in enumerate(sources):
        if source.stem == fault.module:
            text = source.read_text()
            assert text.count(fault.old) == 1
            sources[index] = tmp_path / source.name
            sources[index].write_text(text.replace(fault.old, fault.new))
    failed = failures(simulator(tmp_path, sources), fault.scenario)
    assert failed, "the scenario passes all the same"
