"""The simulator: hangs are named, missing and extra words found, stalls change nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.tools import ToolError
from pipeline.verify.rtlsim import Design, Simulation, Simulator, Stream, build_simulator, simulate

WORDS = 4
FRAMES = np.arange(10 * WORDS).reshape(10, WORDS)

TOP = """
module top (
  input  logic ap_clk, ap_rst_n,
  input  logic [7:0] s_axis_tdata, input logic s_axis_tvalid, output logic s_axis_tready,
  output logic [7:0] m_axis_tdata, output logic m_axis_tvalid, input logic m_axis_tready
);
  logic [7:0] stream1_tdata;
  logic stream1_tvalid, stream1_tready;
  logic [7:0] offset[1];
  logic [15:0] passed, sent;
  initial $readmemh("offset.mem", offset, 0, 0);

  assign stream1_tdata = s_axis_tdata + offset[0];
  assign stream1_tvalid = s_axis_tvalid;
  assign s_axis_tready = stream1_tready;

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) {passed, sent} <= '0;
    else begin
      if (stream1_tvalid && stream1_tready) passed <= passed + 1'b1;
      if (m_axis_tvalid && m_axis_tready) sent <= sent + 1'b1;
    end
  end
  assign m_axis_tdata = stream1_tdata;
  BEHAVIOUR
endmodule
"""

PASS = "assign m_axis_tvalid = stream1_tvalid; assign stream1_tready = m_axis_tready;"
STUCK = (
    "assign m_axis_tvalid = stream1_tvalid && passed < 6;"
    "assign stream1_tready = m_axis_tready && passed < 6;"
)
DROP = (
    "assign m_axis_tvalid = stream1_tvalid && passed != 7;"
    "assign stream1_tready = m_axis_tready || passed == 7;"
)
TWICE = (
    "assign m_axis_tvalid = stream1_tvalid || (sent == 40);assign stream1_tready = m_axis_tready;"
)


def make_design(folder: Path, behaviour: str) -> Design:
    source = folder / "top.sv"
    source.write_text(TOP.replace("BEHAVIOUR", behaviour))
    (folder / "offset.mem").write_text("03\n")
    inner = Stream("the inner stream", "stream1", 8, False, 1, WORDS, "inner")
    return Design(
        top="top",
        sources=(source,),
        tables=("offset.mem",),
        input=Stream("input", "s_axis", 8, False, 1, WORDS),
        output=Stream("the output", "m_axis", 8, False, 1, WORDS),
        inner=(inner,),
    )


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulators")


@pytest.fixture
def passing(tmp_path: Path, cache: Path) -> Simulator:
    return build_simulator(make_design(tmp_path, PASS), cache)


def run(simulator: Simulator, folder: Path, stalls: int = 0, seed: int = 1) -> Simulation:
    scratch = folder / f"run-{stalls}-{seed}"
    scratch.mkdir(exist_ok=True)
    return simulate(
        simulator, FRAMES, stall_percent=stalls, seed=seed, tables=folder, scratch=scratch
    )


def test_streams_are_recorded_and_cycles_counted(passing: Simulator, tmp_path: Path) -> None:
    result = run(passing, tmp_path)
    assert np.array_equal(result.values["inner"], FRAMES + 3)
    assert np.array_equal(result.values["output"], FRAMES + 3)
    assert (result.latency, result.interval) == (WORDS - 1, WORDS)


def test_stalls_cost_cycles_and_change_no_value(passing: Simulator, tmp_path: Path) -> None:
    free = run(passing, tmp_path)
    stalled = [run(passing, tmp_path, 30, seed) for seed in (1, 1, 2)]
    assert stalled[0].cycles == stalled[1].cycles != stalled[2].cycles
    assert all(result.cycles > free.cycles for result in stalled)
    for result in stalled:
        assert np.array_equal(result.values["inner"], free.values["inner"])


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (STUCK, "stream the inner stream offers a word that nobody takes after 6 of 40 words"),
        (DROP, "stream the output is starved after 39 of 40 words"),
        (TWICE, "the output has 41 words, 40 expected"),
    ],
)
def test_what_goes_wrong_is_named(
    behaviour: str, message: str, tmp_path: Path, cache: Path
) -> None:
    simulator = build_simulator(make_design(tmp_path, behaviour), cache)
    for stalls in (0, 30):
        with pytest.raises(VerificationFailed, match=message):
            run(simulator, tmp_path, stalls)


def test_words_left_at_the_input_are_noticed(tmp_path: Path, cache: Path) -> None:
    design = make_design(tmp_path, STUCK.replace("passed < 6", "passed < 40"))
    design = replace(design, input=replace(design.input, words=WORDS + 1))
    frames = np.zeros((10, WORDS + 1), np.int64)
    with pytest.raises(VerificationFailed, match="the design took 40 of 50 input words"):
        simulate(
            build_simulator(design, cache),
            frames,
            stall_percent=0,
            seed=1,
            tables=tmp_path,
            scratch=tmp_path,
        )


def test_a_missing_table_is_named(passing: Simulator, tmp_path: Path) -> None:
    (tmp_path / "offset.mem").unlink()
    with pytest.raises(UserError, match=r"the table offset\.mem is missing"):
        run(passing, tmp_path)


def test_a_table_of_another_length_is_not_computed_with(passing: Simulator, tmp_path: Path) -> None:
    (tmp_path / "offset.mem").write_text("")
    with pytest.raises(VerificationFailed, match="the simulator complained"):
        run(passing, tmp_path)


def test_no_frames_prove_nothing(passing: Simulator, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match="0 frames"):
        simulate(passing, FRAMES[:0], stall_percent=0, seed=1, tables=tmp_path, scratch=tmp_path)


def test_another_table_needs_no_other_simulator(
    passing: Simulator, tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "offset.mem").write_text("04\n")
    again = build_simulator(passing.design, cache)
    assert not again.built
    assert np.array_equal(run(again, tmp_path).values["output"], FRAMES + 4)


def test_other_hdl_is_another_simulator(passing: Simulator, tmp_path: Path, cache: Path) -> None:
    other = make_design(tmp_path, PASS.replace("stream1_tvalid;", "stream1_tvalid && 1'b1;"))
    assert build_simulator(other, cache).built
    assert not build_simulator(other, cache).built
    inner = replace(other.inner[0], bits=16)
    assert build_simulator(replace(other, inner=(inner,)), cache).binary != passing.binary


def test_hdl_that_does_not_compile_leaves_its_log(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ToolError, match="syntax error") as raised:
        build_simulator(make_design(tmp_path, "nonsense"), cache)
    assert "top.sv" in raised.value.log.read_text()
    assert not list(cache.glob(".*"))
