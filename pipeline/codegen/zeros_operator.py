"""A run of layers that skip zeros as one node of FINN's graph.

The node holds the nodes that it takes the place of as a graph of its own: they are its reference
in Python, and what its hardware is made from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.basic import qonnx_make_model

from pipeline.codegen.zeros_run import run_files
from pipeline.dataflow import finn_shim  # noqa: F401  (before FINN's operators)
from pipeline.dataflow.integer_model import Codes
from pipeline.dataflow.kernel import OwnKernel
from pipeline.dataflow.zeros.insertion import LATENCY_IS_FREE, layers_of
from pipeline.dataflow.zeros.run import Arrival, Pace, Planner, Run

from finn.custom_op.fpgadataflow.rtl import register_custom_op as register_rtl  # isort: skip


@register_rtl
class ZeroSkipping_rtl(OwnKernel):  # noqa: N801
    """Convolutions and dense layers without their zeros (`pipeline/dataflow/zeros`).

    body: the nodes in whose place it stands; layers, boundaries: the integer model's names, a pair
    for each layer; group, spacing, cycles, latency: its pace.
    """

    def get_nodeattr_types(self) -> dict[str, Any]:
        attributes = dict(super().get_nodeattr_types())
        attributes.update(
            {
                "body": ("g", True, None),
                "layers": ("strings", True, []),
                "boundaries": ("strings", True, []),
                "group": ("i", True, 1),
                "spacing": ("i", True, 1),
                "cycles": ("ints", False, []),
                "latency": ("i", False, LATENCY_IS_FREE),
            }
        )
        return attributes

    @property
    def body(self) -> ModelWrapper:
        """The replaced nodes as a graph by itself."""
        return ModelWrapper(qonnx_make_model(self.get_nodeattr("body")))

    def run(self) -> Run:
        """The plan of this node."""
        body = self.body
        (tensor,) = body.graph.input
        datatype = body.get_tensor_datatype(tensor.name)
        positions = body.get_tensor_shape(tensor.name)[1]
        names = zip(self.get_nodeattr("layers"), self.get_nodeattr("boundaries"), strict=True)
        layers = layers_of(body, list(names))
        latency = self.get_nodeattr("latency")
        pace = Pace(
            self.get_nodeattr("group"),
            self.get_nodeattr("spacing"),
            tuple(self.get_nodeattr("cycles")),
            None if latency == LATENCY_IS_FREE else latency,
        )
        entering = Codes(int(datatype.min()), int(datatype.max()))
        return Planner(tuple(layers), entering, Arrival(positions, pace.group, pace.spacing)).run(
            pace
        )

    # --- what FINN asks -------------------------------------------------------------------------

    def _graph_type(self, end: Any) -> Any:
        return self.body.get_tensor_datatype(end[0].name)

    def get_input_datatype(self, ind: int = 0) -> Any:
        return self._graph_type(self.get_nodeattr("body").input)

    def get_output_datatype(self, ind: int = 0) -> Any:
        return self._graph_type(self.get_nodeattr("body").output)

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        return _shape(self.get_nodeattr("body").input[0])

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        return _shape(self.get_nodeattr("body").output[0])

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        frames, positions, width, channels = self.get_normal_input_shape()
        group = self.get_nodeattr("group")
        return (frames, positions // group, width, channels * group)

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """A position a beat after a convolution, else a value a beat."""
        shape = self.get_normal_output_shape()
        ends_dense = len(self.get_nodeattr("layers")) > len(self.get_nodeattr("cycles"))
        return (*shape, 1) if ends_dense else (*shape[:-1], 1, shape[-1])

    def get_instream_width(self, ind: int = 0) -> int:
        return self.get_input_datatype().bitwidth() * self.get_folded_input_shape()[-1]

    def get_outstream_width(self, ind: int = 0) -> int:
        return self.get_output_datatype().bitwidth() * self.get_folded_output_shape()[-1]

    def get_exp_cycles(self) -> int:
        beats = self.get_normal_input_shape()[1] // self.get_nodeattr("group")
        return int(beats * self.get_nodeattr("spacing"))

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        model.set_tensor_datatype(self.onnx_node.output[0], self.get_output_datatype())

    def execute_node(self, context: dict[str, NDArray], graph: Any) -> None:
        body = self.body
        (entering,), (leaving,) = body.graph.input, body.graph.output
        found = execute_onnx(body, {entering.name: context[self.onnx_node.input[0]]})
        context[self.onnx_node.output[0]] = found[leaving.name].astype(np.float32)

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        for name, content in run_files(self.run(), self.onnx_node.name).items():
            (folder / name).write_bytes(content)
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
