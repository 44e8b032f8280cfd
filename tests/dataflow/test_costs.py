"""The cost model: what Yosys has found, within the error that is stated; sums and shares."""

import math
from pathlib import Path

import pytest

from pipeline.codegen import zeros_operator  # noqa: F401  (FINN knows it then)
from pipeline.dataflow.accelerator import folded_accelerator, mixed_accelerator
from pipeline.dataflow.choice import FOLDED, SKIPPING, pieces, runs
from pipeline.dataflow.costs import limits
from pipeline.dataflow.costs.cost import Cost, summed
from pipeline.dataflow.costs.estimate import Row, estimate
from pipeline.dataflow.costs.kernels import LIVE_LANES, NONZEROS, kernel_cost
from pipeline.dataflow.costs.memory import blocks, ram_luts, rom_cost, rom_luts
from pipeline.dataflow.costs.options import options
from pipeline.dataflow.zeros.run import Arrival, Planner
from tests.dataflow.lowered import lowered, model_of, prepare

KIND = "power of two"
UNIT = {"InBits": 4, "InSigned": 0, "WeightBits": 4, "AccBits": 12}
MEASURED = [
    (
        "matrix_vector_unit",
        {**UNIT, "MatrixWidth": 36, "MatrixHeight": 12, "Pe": 3, "Simd": 6},
        712,
    ),
    (
        "matrix_vector_unit",
        {**UNIT, "MatrixWidth": 36, "MatrixHeight": 12, "Pe": 1, "Simd": 3},
        288,
    ),
    (
        "matrix_vector_unit",
        {**UNIT, "MatrixWidth": 192, "MatrixHeight": 64, "Pe": 1, "Simd": 32, "AccBits": 11},
        1174,
    ),
    (
        "matrix_vector_unit",
        {
            **{**UNIT, "MatrixWidth": 192, "MatrixHeight": 64, "Pe": 8, "Simd": 64},
            **{LIVE_LANES: 329, NONZEROS: 593},
        },
        7922,
    ),
    (
        "thresholds",
        {"Channels": 64, "Pe": 4, "InBits": 12, "ThresholdBits": 10, "Stages": 4},
        276,
    ),
    ("thresholds", {"Channels": 20, "Pe": 1, "InBits": 14, "ThresholdBits": 13, "Stages": 4}, 140),
    ("sliding_window", {"Bits": 256, "Folds": 1, "Kernel": 3, "Dilation": 1}, 207),
    ("max_pool", {"Channels": 64, "Pe": 4, "Bits": 4}, 61),
    ("stream_fifo", {"Bits": 40, "Depth": 32}, 108),
    ("width_converter", {"InBits": 36, "OutBits": 12}, 28),
    ("bias_add", {"Channels": 24, "Pe": 1, "OutBits": 12}, 27),
    ("label_select", {"Pe": 1, "Bits": 12}, 20),
    ("frame_padding", {}, 19),
]
"""Nodes of vgg10_tiny and vgg10_w4a4_fmp, with the LUT sites that `synth` found for xc7."""


@pytest.mark.parametrize(("module", "parameters", "lut"), MEASURED)
def test_nodes_are_estimated_as_they_were_measured(
    module: str, parameters: dict[str, int], lut: int
) -> None:
    assert kernel_cost(module, parameters).lut == pytest.approx(lut, rel=0.2)


def test_products_of_ten_bits_are_dsps() -> None:
    own = {**UNIT, "MatrixWidth": 36, "MatrixHeight": 12, "Pe": 3, "Simd": 6}
    assert kernel_cost("matrix_vector_unit", own).dsp == 0
    wide = kernel_cost("matrix_vector_unit", {**own, "WeightBits": 5})
    assert wide.dsp == 18
    assert wide.lut < kernel_cost("matrix_vector_unit", own).lut


def test_large_tables_are_blocks() -> None:
    """384 words of 128 bits: two blocks in vgg10_w4a4_fmp; 24 of 2,048 bits: none."""
    assert rom_cost(384, 128) == Cost(bram36=2)
    assert rom_cost(24, 2048) == Cost(lut=rom_luts(24, 2048))
    assert rom_cost(1920, 4).bram36 == 0


@pytest.mark.parametrize(
    ("words", "bits", "found"), [(512, 36, 0.5), (512, 72, 1), (1024, 36, 1), (16384, 1, 0.5)]
)
def test_blocks_have_18_kbit_halves(words: int, bits: int, found: float) -> None:
    assert blocks(words, bits) == found


def test_memory_of_luts() -> None:
    assert (ram_luts(1, 8), ram_luts(31, 40), ram_luts(36, 4)) == (0, 28, 8)
    assert rom_luts(1, 8) == 0
    assert rom_luts(32, 8) == 4


def test_shares_are_of_the_scarce_unit_too() -> None:
    budget = Cost(1000, 10, 0)
    assert Cost(100, 5).share(budget) == pytest.approx(0.6)
    assert Cost(bram36=0.5).share(budget) == math.inf
    assert summed([Cost(1, 2, 3), Cost(4, 5, 6)]) == Cost(5, 7, 9)
    assert Cost(1, 2, 3).times(2) == Cost(2, 4, 6)


# --- networks -----------------------------------------------------------------------------------


@pytest.fixture
def finn(tmp_path: Path) -> None:
    prepare(tmp_path)


@pytest.mark.usefixtures("finn")
def test_every_layer_has_a_row() -> None:
    model, graph = model_of(KIND), lowered(KIND).graph
    own = folded_accelerator(graph, model, 1000)
    rows = list(estimate(own.graph, model.layers, {}))
    assert [row.name for row in rows] == [*(x.name for x in model.layers), "label", "shell"]
    assert all(row.cost.lut > 0 for row in rows)


@pytest.mark.usefixtures("finn")
def test_rows_of_mixed_engines() -> None:
    model = model_of(KIND)
    planner = Planner(model.layers, model.input, Arrival(128, 1, 4))
    own = list(pieces(planner))
    engines = [FOLDED, SKIPPING, SKIPPING, *[FOLDED] * 4, SKIPPING]
    found = runs(planner, own, engines)
    built = mixed_accelerator(lowered(KIND).graph, model, found, 512)
    rows = list(estimate(built.graph, model.layers, found))
    names = [layer.name for layer in model.layers]
    dense = ", ".join(names[7:])
    ends = [f"ends of {names[2]}", f"ends of {names[-1]}"]
    wanted = [*names[:3], ends[0], *names[3:7], dense, ends[1], "label", "shell"]
    assert [row.name for row in rows] == wanted
    assert [row.engine for row in rows if row.name in (*names, dense)] == engines


@pytest.mark.usefixtures("finn")
def test_a_faster_layer_takes_more() -> None:
    """By either engine; layers that come too fast have one of them alone."""
    model = model_of(KIND)

    def at(spacing: int) -> list[dict[str, float]]:
        planner = Planner(model.layers, model.input, Arrival(128, 1, spacing))
        own = list(pieces(planner))
        found = options(lowered(KIND).graph, model, own, 128 * spacing)
        return [{engine: cost.lut for engine, cost in x.costs.items()} for x in found]

    fast, slow = at(1), at(4)
    assert [FOLDED in costs for costs in fast] == [False, False, *[True] * 6]
    assert all(FOLDED in costs for costs in slow)
    for engine in (SKIPPING, FOLDED):
        both = [(f[engine], s[engine]) for f, s in zip(fast, slow, strict=True) if engine in f]
        assert sum(f for f, _ in both) > sum(s for _, s in both)


def test_what_limits_is_named() -> None:
    rows = [Row("one", SKIPPING, Cost(60, 1)), Row("other", FOLDED, Cost(10, 9, 1))]
    found = limits.entry(rows, Cost(100, 5, 10), "a board")
    assert found["limits"] == {"unit": "dsp", "layer": "other", "used": 9}
    assert found["exceeded"] == ["dsp"]
    assert found["percent"] == {"lut": 70, "dsp": 200, "bram36": 10}
    assert found["total"] == {"lut": 70, "dsp": 10, "bram36": 1}
    assert [x["percent"] for x in found["layers"]] == [60, 180]
    assert limits.compared(Cost(1234, 5, 0.5), Cost(2000, 10, 1)) == (
        "1,234 of 2,000 LUT, 5 of 10 DSP, 0.5 of 1 BRAM36"
    )
    assert "2.00 for each" in limits.of_nonzeros("one", 30, 60)
