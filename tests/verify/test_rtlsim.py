"""The simulator: hangs are named, missing and extra words found, stalls change nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.config import Config
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.tools import ToolError
from pipeline.verify.rtlsim import (
    Design,
    Simulation,
    Simulator,
    Stalls,
    Stream,
    build_simulator,
    simulate,
)

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
        tables={"offset.mem": 1},
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


def run(simulator: Simulator, folder: Path, stalls: str = "none", seed: int = 1) -> Simulation:
    scratch = folder / f"run-{stalls}-{seed}"
    scratch.mkdir(exist_ok=True)
    return simulate(
        simulator,
        FRAMES,
        stalls=Stalls.parse(stalls),
        seed=seed,
        tables=folder,
        scratch=scratch,
    )


def test_streams_are_recorded_and_cycles_counted(passing: Simulator, tmp_path: Path) -> None:
    result = run(passing, tmp_path)
    assert np.array_equal(result.values["inner"], FRAMES + 3)
    assert np.array_equal(result.values["output"], FRAMES + 3)
    assert (result.latency, result.interval) == (WORDS - 1, WORDS)


@pytest.mark.parametrize("stalls", ["random 30", "bursts", "stop", "full", "reset"])
def test_stalls_cost_cycles_and_change_no_value(
    stalls: str, passing: Simulator, tmp_path: Path
) -> None:
    free = run(passing, tmp_path)
    seeds = (1, 1, 2, 3, 4)
    stalled = [run(passing, tmp_path, stalls, seed) for seed in seeds]
    assert stalled[0].cycles == stalled[1].cycles
    if stalls not in ("stop", "full"):  # whenever they are, they cost this design the same
        assert len({result.cycles for result in stalled}) > 1
    assert all(result.cycles > free.cycles for result in stalled)
    for result, seed in zip(stalled, seeds, strict=True):
        assert (str(result.stalls), result.seed) == (stalls.replace("30", "30 %"), seed)
        for name in ("inner", "output"):
            assert np.array_equal(result.values[name], free.values[name])


@pytest.mark.parametrize("cycles", [4, 7, 9])
def test_paced_words_enter_evenly(cycles: int, passing: Simulator, tmp_path: Path) -> None:
    result = simulate(
        passing,
        FRAMES,
        stalls=Stalls("paced", cycles=cycles),
        seed=1,
        tables=tmp_path,
        scratch=tmp_path,
    )
    assert result.interval == cycles
    assert result.latency == -(-(WORDS - 1) * cycles // WORDS)
    assert np.array_equal(result.values["output"], FRAMES + 3)


def test_stalls_are_read_and_written_as_text() -> None:
    texts = Config.from_dict({}).verify.stalls.split(",")
    found = [Stalls.parse(text) for text in texts]
    assert found[:3] == [Stalls(), Stalls("random", 25), Stalls("bursts")]
    assert [str(s) for s in found] == ["none", "random 25 %", "bursts", "stop", "full", "reset"]


def test_stalls_that_the_harness_does_not_know_are_refused(
    passing: Simulator, tmp_path: Path
) -> None:
    with pytest.raises(ToolError, match="exit code 2"):
        run(passing, tmp_path, "bursting")


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
    for stalls, shown in (("none", "none"), ("random 30", "random 30 %"), ("full", "full")):
        with pytest.raises(VerificationFailed, match=f"{message}.*; stalls {shown}, seed 1"):
            run(simulator, tmp_path, stalls)


LOSE = (  # a register that forgets its word where nobody takes it for ten cycles
    "logic [3:0] waiting; logic full; logic [7:0] kept;"
    "assign m_axis_tvalid = full; assign stream1_tready = !full || m_axis_tready;"
    "always_ff @(posedge ap_clk) begin"
    "  waiting <= (full && !m_axis_tready) ? waiting + 1'b1 : '0;"
    "  if (!ap_rst_n) full <= 1'b0; else if (stream1_tready) full <= stream1_tvalid;"
    "  else if (waiting == 10) full <= 1'b0;"
    "end"
)
KEEP = (  # counts the words of a frame, and goes on counting after a reset
    "logic [1:0] place = '0;"
    "always_ff @(posedge ap_clk) if (stream1_tvalid && stream1_tready) place <= place + 1'b1;"
    "assign m_axis_tvalid = stream1_tvalid; assign stream1_tready = m_axis_tready;"
)
LEAVE = (  # a register whose word a reset does not take away
    "logic full = 1'b0;"
    "assign m_axis_tvalid = full; assign stream1_tready = !full || m_axis_tready;"
    "always_ff @(posedge ap_clk) if (stream1_tready) full <= stream1_tvalid && ap_rst_n;"
)


@pytest.mark.parametrize("stalls", ["bursts", "stop", "full"])
def test_a_word_lost_under_back_pressure_is_noticed(
    stalls: str, tmp_path: Path, cache: Path
) -> None:
    simulator = build_simulator(make_design(tmp_path, LOSE), cache)
    run(simulator, tmp_path)
    with pytest.raises(VerificationFailed, match=f"stream the output .*; stalls {stalls}, seed 1"):
        run(simulator, tmp_path, stalls)


def test_state_kept_over_a_reset_is_noticed(tmp_path: Path, cache: Path) -> None:
    design = make_design(tmp_path, KEEP)
    source = design.sources[0]
    source.write_text(
        source.read_text().replace("m_axis_tdata = stream1", "m_axis_tdata = place + stream1")
    )
    simulator = build_simulator(design, cache)
    expected = FRAMES + 3 + np.arange(WORDS)
    assert np.array_equal(run(simulator, tmp_path).values["output"], expected)
    assert np.array_equal(run(simulator, tmp_path, "full").values["output"], expected)
    for seed in range(1, 9):
        assert kept_state_shows(simulator, tmp_path, seed, expected)


def kept_state_shows(
    simulator: Simulator, folder: Path, seed: int, expected: NDArray[np.int64]
) -> bool:
    """Whether another output is found after the last of the resets, or after one before."""
    try:
        return (run(simulator, folder, "reset", seed).values["output"] != expected).any()
    except VerificationFailed as failure:
        return "stream the output carries other words after one reset" in str(failure)


def test_a_word_from_before_a_reset_is_noticed(tmp_path: Path, cache: Path) -> None:
    simulator = build_simulator(make_design(tmp_path, LEAVE), cache)
    run(simulator, tmp_path, "full")
    with pytest.raises(VerificationFailed, match="41 words, 40 expected; stalls reset"):
        run(simulator, tmp_path, "reset")


def test_words_left_at_the_input_are_noticed(tmp_path: Path, cache: Path) -> None:
    design = make_design(tmp_path, STUCK.replace("passed < 6", "passed < 40"))
    design = replace(design, input=replace(design.input, words=WORDS + 1))
    frames = np.zeros((10, WORDS + 1), np.int64)
    with pytest.raises(VerificationFailed, match="the design took 40 of 50 input words"):
        simulate(
            build_simulator(design, cache),
            frames,
            stalls=Stalls(),
            seed=1,
            tables=tmp_path,
            scratch=tmp_path,
        )


def test_a_missing_table_is_named(passing: Simulator, tmp_path: Path) -> None:
    (tmp_path / "offset.mem").unlink()
    with pytest.raises(UserError, match=r"the table offset\.mem is missing"):
        run(passing, tmp_path)


def test_a_table_of_another_length_is_not_computed_with(passing: Simulator, tmp_path: Path) -> None:
    (tmp_path / "offset.mem").write_text("03 04\n")
    with pytest.raises(UserError, match=r"the table offset\.mem has 2 words, not 1"):
        run(passing, tmp_path)


def test_no_frames_prove_nothing(passing: Simulator, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match="0 frames"):
        simulate(passing, FRAMES[:0], stalls=Stalls(), seed=1, tables=tmp_path, scratch=tmp_path)


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
