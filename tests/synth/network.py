"""A network of two dense layers as codegen leaves it, and `fold` beside it."""

import json
import random
from pathlib import Path

from pipeline.codegen import rtl
from pipeline.codegen.nodes import NodeHdl, NodeStream
from pipeline.codegen.rtl import TopStream
from pipeline.codegen.shell import shell
from pipeline.core.paths import PROJECT_ROOT
from pipeline.dataflow.kernel import Kernel, wrapper_text

KERNELS = PROJECT_ROOT / "hw" / "rtl"
INPUTS, HIDDEN, CLASSES, BITS, ACCUMULATOR = 8, 8, 4, 4, 12


def fifo(number: int, bits: int) -> NodeHdl:
    kernel = Kernel("stream_fifo", {"Bits": bits, "Depth": 4}, {})
    layer = f"dense{min(number, 1)}"
    return node(f"StreamFIFO_rtl_{number}", kernel, (bits, bits), bits, layer)


def unit(number: int, width: int, height: int, in_bits: int, seed: int) -> NodeHdl:
    """Two rows of two columns at once."""
    rng, name = random.Random(seed), f"DenseMVAU_rtl_{number}"
    table = f"{name}_weights.mem"
    words = [f"{rng.getrandbits(16):04x}" for _ in range(width * height // 4)]
    parameters = {
        "MatrixWidth": width,
        "MatrixHeight": height,
        "Pe": 2,
        "Simd": 2,
        "InBits": in_bits,
        "InSigned": 1,
        "WeightBits": BITS,
        "AccBits": ACCUMULATOR,
        "WeightFile": table,
    }
    kernel = Kernel("matrix_vector_unit", parameters, {table: "\n".join(words) + "\n"})
    widths = 2 * in_bits, 2 * ACCUMULATOR
    return node(name, kernel, widths, ACCUMULATOR, f"dense{number}")


def node(name: str, kernel: Kernel, widths: tuple[int, int], bits: int, layer: str) -> NodeHdl:
    return NodeHdl(
        name,
        *widths,
        in_elements=2,
        kernels=(kernel.module,),
        sources={f"{name}.v": wrapper_text(name, kernel, *widths)},
        tables=kernel.tables,
        output=NodeStream(bits, True, widths[1] // bits, 4, ""),
        cells={layer: {"": name}},
    )


def nodes(seeds: tuple[int, int]) -> list[NodeHdl]:
    parameters = {"Labels": CLASSES, "Pe": 2, "Bits": ACCUMULATOR, "Signed": 1}
    label = Kernel("label_select", parameters, {})
    return [
        fifo(0, 2 * BITS),
        unit(0, INPUTS, HIDDEN, BITS, seeds[0]),
        fifo(1, 2 * ACCUMULATOR),
        unit(1, HIDDEN, CLASSES, ACCUMULATOR, seeds[1]),
        fifo(2, 2 * ACCUMULATOR),
        node("LabelSelect_rtl_0", label, (2 * ACCUMULATOR, 8), 8, "dense1"),
        fifo(3, 8),
    ]


def generate(folder: Path, seeds: tuple[int, int] = (1, 2)) -> dict[str, Path]:
    """Folders `codegen` and `fold`, as the stage gets them."""
    own = nodes(seeds)
    entering = TopStream("input", "s_axis", BITS, True, 2, INPUTS // 2, "input")
    files = rtl.accelerator(own, entering, KERNELS, b"")
    inputs = {name: folder / name for name in ("codegen", "fold")}
    write(inputs["codegen"] / "rtl", files)
    design = rtl.load_design(inputs["codegen"] / "rtl")
    write(inputs["codegen"] / "shell", shell(design, files, CLASSES, KERNELS))
    layers = [{"layer": f"dense{i}", "cycles": 16 - 8 * i} for i in range(2)]
    write(inputs["fold"], {"report.json": json.dumps({"folded": layers, "run": []}).encode()})
    return inputs


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
