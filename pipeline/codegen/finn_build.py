"""The accelerator as a build of stock FINN, files in memory.

`codegen/finn` is all that FINN needs: graph, configurations, frames to verify with, and
`build.py` (`hw/finn/build.py`).  On a machine with FINN, Vivado and Vitis HLS,

    python build.py

in that folder makes everything and exits with 0, with 1 where FINN stopped (the last line says in
which step) or with 2 where a tool is missing.  Then `output/bitfile` has `finn-accel.bit` and
`.hwh`, `output/driver` FINN's PYNQ driver, `output/deploy` both, `output/report` the reports.
FINN has shell and driver of its own: neither our AXI shell nor our PYNQ package belongs to them.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from pipeline.boards.board import Board
from pipeline.core.errors import UserError
from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.dataflow.stock_finn import Configuration, folding_config, specialize_config

BUILD = "build.py"
GRAPH = "model.onnx"
FOLDING, STYLES = "folding_config.json", "specialize_layers_config.json"
TARGET = "target.json"
INPUT, OUTPUT = "input.npy", "expected_output.npy"
README = "README.md"

BOARDS = {
    "kv260": "KV260_SOM",
    "pynq_z1": "Pynq-Z1",
    "pynq_z2": "Pynq-Z2",
    "rfsoc2x2": "RFSoC2x2",
    "zcu104": "ZCU104",
}
"""FINN's name of each of our boards that it knows."""


@dataclass(frozen=True)
class Target:
    """What `build.py` reads: FINN's name of the board, and the period of the clock."""

    board: str
    clock_period_ns: float


def finn_board(key: str) -> str:
    """FINN's name of the board `key`.  Raises UserError where FINN does not know it."""
    if key not in BOARDS:
        raise UserError(
            f"FINN has no board {key!r}",
            'hardware.board (BOARD=) with hardware.backend = "finn"',
            f'one of {", ".join(BOARDS)}, or hardware.backend = "rtl"',
        )
    return BOARDS[key]


def project(
    graph: ModelWrapper,
    model: IntegerModel,
    codes: Integers,
    *,
    board: Board,
    target: Target,
    script: bytes,
) -> dict[str, bytes]:
    """All files by name.

    graph: `to_stock`'s, of `model`; codes: (frames, positions, channels) of the frames that FINN's
    simulation is verified with; script: `build.py`.
    """
    styles = specialize_config(graph, board.part, board.dsp)
    folding = folding_config(graph, styles, board.part)
    labels = model.trace(codes)["label"]
    return {
        BUILD: script,
        GRAPH: graph.model.SerializeToString(deterministic=True),
        FOLDING: _json(folding),
        STYLES: _json(styles),
        TARGET: _json(asdict(target)),
        INPUT: _npy(codes, graph.get_tensor_shape(graph.graph.input[0].name)),
        OUTPUT: _npy(labels, graph.get_tensor_shape(graph.graph.output[0].name)),
        README: _readme(model, folding, target).encode(),
    }


def _json(values: object) -> bytes:
    return (json.dumps(values, indent=1) + "\n").encode()


def _npy(values: Integers, shape: list[int]) -> bytes:
    """Frames in FINN's shape (1, ...) of a tensor, all in one array, in the type FINN runs with."""
    buffer = io.BytesIO()
    np.save(buffer, values.reshape(-1, *shape[1:]).astype(np.float32))
    return buffer.getvalue()


def _readme(model: IntegerModel, folding: Configuration, target: Target) -> str:
    codes = model.input
    names = folding.keys() - {"Defaults"}
    in_hls = [name for name in names if "_hls_" in name]
    units = sum(name.startswith("MVAU") for name in in_hls)
    luts = (
        f" {units} of\nthese multiply matrices, in LUTs: the others take the DSPs." if units else ""
    )
    return f"""# The accelerator as a FINN build

For {target.board}, {1e3 / target.clock_period_ns:g} MHz. Where FINN, Vivado and Vitis HLS are:

    python build.py                                   # all: hours
    python build.py step_generate_estimate_reports    # up to this step of FINN's: seconds

With Xilinx/finn: `./run-docker.sh build_custom FOLDER`; with finn-plus: `finn run ./build.py`.
`output` gets reports, stitched IP, bitfile, PYNQ driver and deployment package. FINN simulates the
stitched IP; a label other than expected ends the build.

`{GRAPH}` has FINN's operators only; {len(in_hls)} of {len(names)} are built by Vitis HLS.{luts}
The graph's input are codes, (1, {model.positions}, 1, {model.channels}), not samples:
`clip(rint(sample / {model.input_scale:g}), {codes.low}, {codes.high})`. Its output is the class.
Change PE and SIMD in `{FOLDING}`: a pool's PE is its window's SIMD.
"""
