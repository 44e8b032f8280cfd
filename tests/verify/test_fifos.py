"""FIFO sizes by simulation: what is measured and chosen, and what one too small costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.accelerator import folded_accelerator, mixed_accelerator
from pipeline.dataflow.choice import FOLDED, SKIPPING, pieces, runs
from pipeline.dataflow.fifos import LEAST, Fifo, between_folded, with_depths
from pipeline.dataflow.zeros.run import Arrival, Planner
from pipeline.stages.fifos import KERNELS, Bench
from pipeline.verify.fifos import deep_depths, find_sizes, require_predicted
from pipeline.verify.rtlsim import Design, Simulation, Stalls, Stream, build_simulator, simulate
from tests.dataflow.lowered import lowered, model_of, prepare

KIND = "power of two"
CYCLES = 1000
FIFOS = (Fifo("first", "", 8, 100, 32), Fifo("second", "first", 16, 5, 32))


@dataclass
class Recorded:
    """Stands in for the simulator: intervals in turn, and the same room always."""

    intervals: list[int]
    asked: list[tuple[Mapping[str, int], Stalls]] = field(default_factory=list)

    def simulate(self, depths: Mapping[str, int], stalls: Stalls) -> Simulation:
        self.asked.append((depths, stalls))
        interval = self.intervals[len(self.asked) - 1]
        return Simulation({}, 0, 0, interval, {"first": 7, "second": 1}, 0.0, 1, stalls)


def test_depths_are_the_room_at_the_rate_that_deep_fifos_allow() -> None:
    bench = Recorded([1020, 1020, 1030])
    sizes = find_sizes(FIFOS, 1000, bench.simulate)
    deep, chosen = {"first": 100, "second": 32}, {"first": 7, "second": LEAST}
    assert bench.asked == [
        (deep, Stalls()),
        (deep, Stalls("paced", cycles=1020)),
        (chosen, Stalls()),
    ]
    assert (sizes.depths, sizes.most) == (chosen, {"first": 7, "second": 1})
    assert (sizes.deep_interval, sizes.interval) == (1020, 1030)


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ([1051, 1051, 1000], "with FIFOs of a frame a frame takes 1051 cycles"),
        ([1000, 1000, 1051], "with the FIFOs that were chosen a frame takes 1051 cycles"),
        ([949, 1000, 1000], "with FIFOs of a frame a frame takes 949 cycles"),
    ],
)
def test_another_interval_than_predicted_is_refused(intervals: list[int], message: str) -> None:
    with pytest.raises(VerificationFailed, match=message):
        find_sizes(FIFOS, 1000, Recorded(intervals).simulate)


@pytest.mark.parametrize("interval", [950, 1000, 1050])
def test_five_per_cent_are_allowed(interval: int) -> None:
    require_predicted(interval, 1000, "so")


# --- one FIFO ------------------------------------------------------------------------------------

WORDS = 8
BURSTS = """
module top (
  input  logic ap_clk, ap_rst_n,
  input  logic [7:0] s_axis_tdata, input logic s_axis_tvalid, output logic s_axis_tready,
  output logic [7:0] m_axis_tdata, output logic m_axis_tvalid, input logic m_axis_tready
);
  logic [7:0] stream1_tdata, stream2_tdata;
  logic stream1_tvalid, stream1_tready, stream2_tvalid, stream2_tready;

  // takes eight words, then gives eight
  logic [7:0] kept[8];
  logic [2:0] place;
  logic giving;
  assign s_axis_tready  = !giving;
  assign stream1_tvalid = giving;
  assign stream1_tdata  = kept[place];
  always_ff @(posedge ap_clk) begin
    if (s_axis_tvalid && s_axis_tready) kept[place] <= s_axis_tdata;
    if (!ap_rst_n) {giving, place} <= '0;
    else if ((s_axis_tvalid && s_axis_tready) || (stream1_tvalid && stream1_tready))
      {giving, place} <= {giving, place} + 1'b1;
  end

  stream_fifo #(.Bits(8), .Depth(DEPTH)) buffer (
    .ap_clk, .ap_rst_n,
    .in0_V_TDATA(stream1_tdata), .in0_V_TVALID(stream1_tvalid), .in0_V_TREADY(stream1_tready),
    .out0_V_TDATA(stream2_tdata), .out0_V_TVALID(stream2_tvalid), .out0_V_TREADY(stream2_tready)
  );

  // takes a word in two cycles
  logic rests;
  always_ff @(posedge ap_clk) rests <= ap_rst_n && m_axis_tvalid && m_axis_tready;
  assign m_axis_tdata   = stream2_tdata;
  assign m_axis_tvalid  = stream2_tvalid && !rests;
  assign stream2_tready = m_axis_tready && !rests;
endmodule
"""
"""Both ends need every cycle of the sixteen that a frame takes."""
BUFFER = Fifo("buffer", "", 8, WORDS, 32)


@dataclass(frozen=True)
class Bursts:
    """Simulates BURSTS."""

    folder: Path

    def simulate(self, depths: Mapping[str, int], stalls: Stalls) -> Simulation:
        source = self.folder / "top.sv"
        source.write_text(BURSTS.replace("DEPTH", str(depths["buffer"])))
        design = Design(
            top="top",
            sources=(KERNELS / "stream_fifo.sv", source),
            tables={},
            input=Stream("input", "s_axis", 8, False, 1, WORDS),
            output=Stream("the output", "m_axis", 8, False, 1, WORDS),
            inner=(
                Stream("filled", "stream1", 8, False, 1, WORDS),
                Stream("buffer", "stream2", 8, False, 1, WORDS),
            ),
        )
        return simulate(
            build_simulator(design, self.folder / "cache"),
            np.arange(20 * WORDS).reshape(20, WORDS),
            stalls=stalls,
            seed=1,
            tables=self.folder,
            scratch=self.folder,
        )


def test_a_fifo_has_room_for_what_a_burst_leaves_in_it_and_no_more(tmp_path: Path) -> None:
    bench = Bursts(tmp_path)
    sizes = find_sizes((BUFFER,), 2 * WORDS, bench.simulate)
    assert (sizes.deep_interval, sizes.interval) == (2 * WORDS, 2 * WORDS)
    enough = sizes.depths["buffer"]
    assert LEAST < enough < WORDS
    less = bench.simulate({"buffer": enough - 1}, Stalls())
    assert less.interval > sizes.interval
    assert less.room["buffer"] == enough - 1
    with pytest.raises(VerificationFailed, match=f"so a frame takes {less.interval} cycles"):
        require_predicted(less.interval, 2 * WORDS, "so")


def test_without_a_pause_a_fifo_before_the_slowest_operator_fills(tmp_path: Path) -> None:
    """Why the words are spread: here the output is held back until the design is full."""
    found = Bursts(tmp_path).simulate({"buffer": 11}, Stalls("full"))
    assert found.room["buffer"] == 11


# --- a network ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> ModelWrapper:
    prepare(tmp_path_factory.mktemp("finn"))
    return folded_accelerator(lowered(KIND).graph, model_of(KIND), CYCLES).graph


def test_every_fifo_of_the_folded_engine_has_a_size_to_choose(graph: ModelWrapper) -> None:
    found = between_folded(graph)
    names = [node.name for node in graph.graph.node if node.op_type == "StreamFIFO_rtl"]
    assert [fifo.name for fifo in found] == names
    assert {fifo.depth for fifo in found} == {32}
    assert (found[0].after, found[0].words) == ("", model_of(KIND).positions)
    assert (found[-1].after, found[-1].words) == ("LabelSelect_rtl_0", 1)


def test_a_run_and_what_is_beside_it_stay() -> None:
    arrival = Arrival(model_of(KIND).positions, 1, 4)
    planner = Planner(model_of(KIND).layers, model_of(KIND).input, arrival)
    own = list(pieces(planner))
    engines = [FOLDED, SKIPPING, *(FOLDED for _ in own[2:])]
    found = runs(planner, own, engines)
    graph = mixed_accelerator(lowered(KIND).graph, model_of(KIND), found, 512).graph
    order = [node.name for node in graph.graph.node]
    place = next(i for i, name in enumerate(order) if name.startswith("ZeroSkipping"))
    sized = {fifo.name for fifo in between_folded(graph)}
    beside = {order[place - 1], order[place + 1]}
    assert all(name.startswith("StreamFIFO") for name in beside)
    assert sized == {name for name in order if name.startswith("StreamFIFO")} - beside


def test_a_network_in_one_run_has_none() -> None:
    planner = Planner(
        model_of(KIND).layers, model_of(KIND).input, Arrival(model_of(KIND).positions, 1, 4)
    )
    own = list(pieces(planner))
    found = runs(planner, own, [SKIPPING] * len(own))
    graph = mixed_accelerator(lowered(KIND).graph, model_of(KIND), found, 512).graph
    assert between_folded(graph) == ()


def test_depths_are_set_in_a_copy(graph: ModelWrapper) -> None:
    name = between_folded(graph)[3].name
    depths = {fifo.name: fifo.depth for fifo in between_folded(with_depths(graph, {name: 5}))}
    assert depths.pop(name) == 5
    assert set(depths.values()) == {32}
    assert {fifo.depth for fifo in between_folded(graph)} == {32}


def test_a_network_keeps_the_predicted_interval_with_the_fifos_it_needs(tmp_path: Path) -> None:
    prepare(tmp_path)
    own = folded_accelerator(lowered(KIND).graph, model_of(KIND), CYCLES)
    fifos = between_folded(own.graph)
    sizes = find_sizes(fifos, own.interval, Bench(own.graph, model_of(KIND), tmp_path).simulate)
    deep = deep_depths(fifos)
    assert all(LEAST <= sizes.depths[name] < deep[name] for name in deep)
    assert sum(sizes.depths.values()) < sum(fifo.depth for fifo in fifos)
