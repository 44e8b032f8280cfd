"""A run of the zero-skipping engine between two AXI4-Streams, in Verilator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.codegen.zeros import KERNELS
from pipeline.codegen.zeros_run import Tap, run_files, taps
from pipeline.core.paths import PROJECT_ROOT
from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.zeros.convolution import Convolution, convolution, width
from pipeline.verify.rtlsim import (
    Design,
    Simulation,
    Simulator,
    Stalls,
    Stream,
    build_simulator,
    simulate,
)
from pipeline.verify.rungs import RTL_CACHE

SHIFT = 16
"""Of the lines that random thresholds lie on."""
HARDWARE = PROJECT_ROOT / "hw" / "rtl"


@dataclass(frozen=True)
class Shape:
    """A layer to be made at random; bits, low: of its output's codes."""

    outputs: int
    kernel: int = 3
    padding: int = 1
    pool: int = 2
    weight_bits: int = 4
    bits: int = 4
    low: int = 0
    share: float = 0.3


def random_layers(shapes: Sequence[Shape], codes: Codes, channels: int, seed: int) -> list[Layer]:
    """Sparse layers whose thresholds lie on lines, as BatchNorm makes them."""
    rng, layers = np.random.default_rng(seed), []
    for number, shape in enumerate(shapes):
        low = -(2 ** (shape.weight_bits - 1))
        size = (shape.outputs, shape.kernel, channels)
        weights = np.where(rng.random(size) < shape.share, rng.integers(low, -low, size), 0)
        weights[0, 0, 0] = -low - 1  # of every layer at least one
        levels = 2**shape.bits - 1
        spread = np.abs(weights).sum(axis=(1, 2)) * max(abs(codes.low), codes.high) + 1
        factor = np.maximum(1, (2 * levels / spread * 2**SHIFT).astype(np.int64))
        term = (rng.normal(levels / 2, 1, shape.outputs) * 2**SHIFT).astype(np.int64)
        reached = np.arange(1, levels + 1) << SHIFT
        thresholds = -((term[:, None] - reached) // factor[:, None])
        output = Codes(shape.low, shape.low + levels)
        layers.append(
            Layer(
                name=f"layer{number}",
                boundary=f"boundary{number}",
                weights=weights,
                weight_bits=shape.weight_bits,
                padding=shape.padding,
                thresholds=thresholds,
                bias=None,
                pool=shape.pool,
                output=output,
            )
        )
        channels, codes = shape.outputs, output
    return layers


def traced(layers: Sequence[Layer], codes: np.ndarray) -> dict[str, np.ndarray]:
    """Codes (frames, positions, channels) of every boundary, by the integer model."""
    found = {}
    for layer in layers:
        codes = layer.pooled(layer.quantized(layer.accumulators(codes)))
        found[layer.boundary] = codes
    return found


@dataclass(frozen=True)
class Bench:
    simulator: Simulator
    plans: tuple[Convolution, ...]
    folder: Path

    def run(self, codes: np.ndarray, stalls: str, seed: int, scratch: Path) -> Simulation:
        print(f"stalls {stalls}, seed {seed}")
        place = scratch / stalls.replace(" ", "-")
        place.mkdir()
        flat = codes.reshape(len(codes), -1)
        return simulate(
            self.simulator,
            flat,
            stalls=Stalls.parse(stalls),
            seed=seed,
            tables=self.folder,
            scratch=place,
        )


def planned(
    layers: Sequence[Layer], codes: Codes, positions: int, cycles: int
) -> list[Convolution]:
    """The layers' plans, each as slow as the pools before it allow."""
    plans = []
    for layer in layers:
        plans.append(convolution(layer, codes, positions, cycles))
        positions, cycles, codes = plans[-1].output_positions, cycles * layer.pool, layer.output
    return plans


def bench(plans: Sequence[Convolution], folder: Path, kernels: Path = HARDWARE) -> Bench:
    """The simulator of a run, its files in `folder`; kernels: the folder of our modules."""
    files = run_files(plans, "run") | {"top.sv": _top(plans).encode()}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sources = [kernels / name for name in KERNELS]
    sources += [folder / name for name in files if name.endswith(".sv")]
    first, last = plans[0], plans[-1]
    design = Design(
        top="top",
        sources=tuple(sources),
        tables={name: len(text.split()) for name, text in files.items() if name.endswith(".mem")},
        input=_stream("input", "s_axis", first.codes, first.channels, first.positions),
        output=_stream("output", "m_axis", last.output, last.outputs, last.output_positions),
        inner=tuple(
            _stream(x.boundary, x.signal, x.codes, x.elements, x.words) for x in taps(plans)
        ),
    )
    return Bench(build_simulator(design, RTL_CACHE), tuple(plans), folder)


def _stream(name: str, signal: str, codes: Codes, elements: int, words: int) -> Stream:
    return Stream(name, signal, width(codes), codes.signed, elements, words, name)


def _top(plans: Sequence[Convolution]) -> str:
    """Ports and nets under the names that the harness wants."""
    first, last = plans[0], plans[-1]
    shown = taps(plans)
    nets = "".join(
        f"  wire [{_bits(x) - 1}:0] {x.signal}_tdata;\n  wire {x.signal}_tvalid;\n"
        f"  wire {x.signal}_tready = 1'b1;\n"
        for x in shown
    )
    ports = "".join(
        f"    .{x.signal}_TDATA({x.signal}_tdata), .{x.signal}_TVALID({x.signal}_tvalid),\n"
        for x in shown
    )
    entering = -(-first.channels * width(first.codes) // 8) * 8
    return f"""module top (
  input wire ap_clk, input wire ap_rst_n,
  input wire [{entering - 1}:0] s_axis_tdata, input wire s_axis_tvalid, output wire s_axis_tready,
  output wire [{_bits(shown[-1]) - 1}:0] m_axis_tdata, output wire m_axis_tvalid,
  input wire m_axis_tready
);
{nets}
  run dut (
    .ap_clk(ap_clk), .ap_rst_n(ap_rst_n),
{ports}    .in0_V_TDATA(s_axis_tdata), .in0_V_TVALID(s_axis_tvalid), .in0_V_TREADY(s_axis_tready),
    .out0_V_TDATA(m_axis_tdata), .out0_V_TVALID(m_axis_tvalid), .out0_V_TREADY(m_axis_tready)
  );
  wire [31:0] unused = {last.outputs};
endmodule
"""


def _bits(tap: Tap) -> int:
    return -(-tap.elements * width(tap.codes) // 8) * 8
