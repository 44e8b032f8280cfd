"""One kernel of `hw/rtl` between two AXI4-Streams in Verilator."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.codegen import rtl
from pipeline.codegen.nodes import NodeHdl, NodeStream
from pipeline.core.paths import PROJECT_ROOT
from pipeline.dataflow.kernel import Kernel, wrapper_text
from pipeline.verify.rtlsim import Simulation, Simulator, Stalls, build_simulator, simulate
from pipeline.verify.rungs import RTL_CACHE, read_design
from pipeline.verify.streams import word_bytes

KERNELS = PROJECT_ROOT / "hw" / "rtl"
SEED = 20
STALLED = ("random 40", "bursts", "stop", "full", "reset")


@dataclass(frozen=True)
class Words:
    """A stream: bits and sign of an element, elements of a word, words of a frame."""

    bits: int
    signed: bool
    elements: int
    words: int

    @property
    def padded(self) -> int:
        return 8 * word_bytes(self.bits, self.elements)

    @property
    def low(self) -> int:
        return -(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return self.low + 2**self.bits - 1

    def random(self, frames: int, seed: int = SEED) -> np.ndarray:
        """(frames, words * elements), a fifth of the values at the ends of the range."""
        rng = np.random.default_rng(seed)
        shape = (frames, self.words * self.elements)
        values = rng.integers(self.low, self.high + 1, shape)
        ends = rng.choice([self.low, self.high], shape)
        return np.where(rng.random(shape) < 0.2, ends, values)


@dataclass(frozen=True)
class Bench:
    """A built simulator of one kernel and the folder that holds its tables."""

    simulator: Simulator
    folder: Path

    def run(self, frames: np.ndarray, stalls: str = "none", seed: int = SEED) -> Simulation:
        """The simulation of frames (n, values); stalls and seed are printed."""
        print(f"stalls {stalls}, seed {seed}")
        scratch = self.folder / f"run-{stalls}-{seed}"
        scratch.mkdir(exist_ok=True)
        return simulate(
            self.simulator,
            frames,
            stalls=Stalls.parse(stalls),
            seed=seed,
            tables=self.folder,
            scratch=scratch,
        )

    def outputs(self, frames: np.ndarray) -> np.ndarray:
        return self.run(frames).values["output"]


def bench(folder: Path, kernel: Kernel, into: Words, out: Words) -> Bench:
    """Writes wrapper, top and tables of `kernel` into `folder` and builds its simulator."""
    node = NodeHdl(
        name="kernel_node",
        in_bits=into.padded,
        out_bits=out.padded,
        in_elements=into.elements,
        kernels=(kernel.module,),
        sources={"kernel_node.v": wrapper_text("kernel_node", kernel, into.padded, out.padded)},
        tables=kernel.tables,
        output=NodeStream(out.bits, out.signed, out.elements, out.words, "output"),
        cells={"kernel": {"": "kernel_node"}},
    )
    entering = rtl.TopStream(
        "input", "s_axis", into.bits, into.signed, into.elements, into.words, "input"
    )
    for name, content in rtl.accelerator([node], entering, KERNELS, b"").items():
        (folder / name).write_bytes(content)
    return Bench(build_simulator(read_design(folder), RTL_CACHE), folder)
