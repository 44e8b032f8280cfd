"""Our kernels as FINN operators.

FINN's abstract operators (MVAU, Pool, ElementwiseAdd, LabelSelect) describe what a layer
computes; each class here is an RTL back end of one of them, built on a module of `hw/rtl`.
They live in FINN's own RTL domain under names of their own, so a graph that holds them is still
a FINN graph, and stock FINN's back ends stay available beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from pipeline.dataflow import finn_shim  # noqa: F401  (before FINN's operators)
from pipeline.dataflow.tables import rows_of_words, table_text

from finn.custom_op.fpgadataflow import register_custom_op as register_abstract  # isort: skip
from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd  # isort: skip
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp  # isort: skip
from finn.custom_op.fpgadataflow.labelselect import LabelSelect  # isort: skip
from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU  # isort: skip
from finn.custom_op.fpgadataflow.rtl import register_custom_op as register_rtl  # isort: skip
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend  # isort: skip
from finn.custom_op.fpgadataflow.streamingfifo import StreamingFIFO  # isort: skip


@dataclass(frozen=True)
class Kernel:
    """An instance of a module of `hw/rtl`: its parameters and the tables it loads."""

    module: str
    parameters: Mapping[str, int | str]
    tables: Mapping[str, str]


class OwnKernel(RTLBackend):
    """What our back ends share: a wrapper with FINN's port names around one kernel.

    A back end derives from its abstract operator first, whose Python execution stays its
    reference, then from this class.
    """

    def kernel(self, model: ModelWrapper) -> Kernel:
        """The instance that computes this node."""
        raise NotImplementedError

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        kernel, folder = self.kernel(model), Path(self.get_nodeattr("code_gen_dir_ipgen"))
        name = self.onnx_node.name
        widths = self.get_instream_width_padded(), self.get_outstream_width_padded()
        (folder / f"{name}.v").write_text(wrapper_text(name, kernel, *widths))
        for table, text in kernel.tables.items():
            (folder / table).write_text(text)
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """The wrapper; its kernel is a file of `hw/rtl`, which codegen adds."""
        folder = self.get_nodeattr("code_gen_dir_ipgen") + "/" if abspath else ""
        return [f"{folder}{self.onnx_node.name}.v"]

    def code_generation_ipi(self) -> list[str]:
        """Vivado takes our nodes as part of the whole top, never one by one."""
        return []


def wrapper_text(name: str, kernel: Kernel, in_bits: int, out_bits: int) -> str:
    """A module `name` with FINN's ports around one kernel."""
    parameters = ",\n".join(f"    .{k}({_literal(v)})" for k, v in kernel.parameters.items())
    return f"""module {name} (
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire [{in_bits - 1}:0] in0_V_TDATA,
  input  wire in0_V_TVALID,
  output wire in0_V_TREADY,
  output wire [{out_bits - 1}:0] out0_V_TDATA,
  output wire out0_V_TVALID,
  input  wire out0_V_TREADY
);
  {kernel.module} #(
{parameters}
  ) kernel (
    .ap_clk(ap_clk),
    .ap_rst_n(ap_rst_n),
    .in0_V_TDATA(in0_V_TDATA),
    .in0_V_TVALID(in0_V_TVALID),
    .in0_V_TREADY(in0_V_TREADY),
    .out0_V_TDATA(out0_V_TDATA),
    .out0_V_TVALID(out0_V_TVALID),
    .out0_V_TREADY(out0_V_TREADY)
  );
endmodule
"""


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _signed(datatype: Any) -> int:
    return int(datatype.signed())


@register_rtl
class DenseMVAU_rtl(MVAU, OwnKernel):  # noqa: N801  (FINN finds back ends by this suffix)
    """Folded matrix-vector unit with constant weights (`hw/rtl/matrix_vector_unit.sv`)."""

    def get_instream_width(self, ind: int = 0) -> int:
        """The weights are inside: only the activations arrive as a stream."""
        return MVAU.get_instream_width(self, ind) if ind == 0 else 0

    def kernel(self, model: ModelWrapper) -> Kernel:
        pe, simd = self.get_nodeattr("PE"), self.get_nodeattr("SIMD")
        weight, data = self.get_input_datatype(1), self.get_input_datatype(0)
        table = f"{self.onnx_node.name}_weights.mem"
        matrix = model.get_initializer(self.onnx_node.input[1]).astype(np.int64)
        parameters: dict[str, int | str] = {
            "MatrixWidth": self.get_nodeattr("MW"),
            "MatrixHeight": self.get_nodeattr("MH"),
            "Pe": pe,
            "Simd": simd,
            "InBits": data.bitwidth(),
            "InSigned": _signed(data),
            "WeightBits": weight.bitwidth(),
            "AccBits": self.get_output_datatype().bitwidth(),
            "WeightFile": table,
        }
        text = table_text(folded_weights(matrix, pe, simd), weight.bitwidth())
        return Kernel("matrix_vector_unit", parameters, {table: text})


def folded_weights(matrix: NDArray[np.int64], pe: int, simd: int) -> NDArray[np.int64]:
    """FINN's weight matrix (MW, MH) as the words of the unit's memory, (words, PE * SIMD).

    Word `neuron fold * synapse folds + synapse fold`; within a word the synapse runs fastest.
    """
    mw, mh = matrix.shape
    folded = matrix.T.reshape(mh // pe, pe, mw // simd, simd)
    return folded.transpose(0, 2, 1, 3).reshape(-1, pe * simd)


@register_abstract
class MaxPool1D(HWCustomOp):
    """Max-pool over consecutive positions, kernel = stride: it needs no sliding window.

    Input (1, positions, 1, channels), output (1, positions // Kernel, 1, channels).
    """

    def get_nodeattr_types(self) -> dict[str, Any]:
        attributes = dict(super().get_nodeattr_types())
        attributes.update(
            {
                "Channels": ("i", True, 0),
                "PE": ("i", True, 1),
                "Kernel": ("i", True, 0),
                "Positions": ("i", True, 0),
                "dataType": ("s", True, ""),
            }
        )
        return attributes

    def get_input_datatype(self, ind: int = 0) -> Any:
        return DataType[self.get_nodeattr("dataType")]

    get_output_datatype = get_input_datatype

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        return (1, self.get_nodeattr("Positions"), 1, self.get_nodeattr("Channels"))

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        kept = self.get_nodeattr("Positions") // self.get_nodeattr("Kernel")
        return (1, kept, 1, self.get_nodeattr("Channels"))

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        return self._folded(self.get_normal_input_shape(ind))

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        return self._folded(self.get_normal_output_shape(ind))

    def _folded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        pe = self.get_nodeattr("PE")
        return (*shape[:-1], shape[-1] // pe, pe)

    def get_instream_width(self, ind: int = 0) -> int:
        return self.get_input_datatype().bitwidth() * self.get_nodeattr("PE")

    get_outstream_width = get_instream_width

    def get_exp_cycles(self) -> int:
        return int(np.prod(self.get_folded_input_shape()[:-1]))

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        datatype = model.get_tensor_datatype(self.onnx_node.input[0])
        self.set_nodeattr("dataType", datatype.name)
        model.set_tensor_datatype(self.onnx_node.output[0], datatype)

    def execute_node(self, context: dict[str, NDArray], graph: Any) -> None:
        data = context[self.onnx_node.input[0]]
        kernel = self.get_nodeattr("Kernel")
        _, kept, _, channels = self.get_normal_output_shape()
        windows = data.reshape(-1, channels)[: kept * kernel].reshape(kept, kernel, channels)
        output = windows.max(axis=1).reshape(self.get_normal_output_shape())
        context[self.onnx_node.output[0]] = output.astype(np.float32)


@register_rtl
class MaxPool1D_rtl(MaxPool1D, OwnKernel):  # noqa: N801
    """`hw/rtl/max_pool.sv`."""

    def kernel(self, model: ModelWrapper) -> Kernel:
        data = self.get_input_datatype()
        parameters = {
            "Channels": self.get_nodeattr("Channels"),
            "Pe": self.get_nodeattr("PE"),
            "Bits": data.bitwidth(),
            "Signed": _signed(data),
            "Kernel": self.get_nodeattr("Kernel"),
            "Positions": self.get_nodeattr("Positions"),
        }
        return Kernel("max_pool", parameters, {})


@register_rtl
class BiasAdd_rtl(ElementwiseAdd, OwnKernel):  # noqa: N801
    """Adds a constant per channel (`hw/rtl/bias_add.sv`)."""

    def get_instream_width(self, ind: int = 0) -> int:
        return ElementwiseAdd.get_instream_width(self, ind) if ind == 0 else 0

    def kernel(self, model: ModelWrapper) -> Kernel:
        data, result = self.get_input_datatype(0), self.get_output_datatype()
        pe, channels = self.get_nodeattr("PE"), self.get_normal_output_shape()[-1]
        table = f"{self.onnx_node.name}_bias.mem"
        bias = model.get_initializer(self.onnx_node.input[1]).astype(np.int64).reshape(-1)
        bits = result.bitwidth()
        parameters: dict[str, int | str] = {
            "Channels": channels,
            "Pe": pe,
            "InBits": data.bitwidth(),
            "InSigned": _signed(data),
            "OutBits": bits,
            "BiasFile": table,
        }
        text = table_text(rows_of_words(np.broadcast_to(bias, (channels,)), pe), bits)
        return Kernel("bias_add", parameters, {table: text})


@register_rtl
class LabelSelect_rtl(LabelSelect, OwnKernel):  # noqa: N801
    """Index of the largest logit, ties to the lowest (`hw/rtl/label_select.sv`)."""

    def kernel(self, model: ModelWrapper) -> Kernel:
        data = self.get_input_datatype()
        parameters = {
            "Labels": self.get_nodeattr("Labels"),
            "Pe": self.get_nodeattr("PE"),
            "Bits": data.bitwidth(),
            "Signed": _signed(data),
        }
        return Kernel("label_select", parameters, {})


@register_rtl
class StreamFIFO_rtl(StreamingFIFO, OwnKernel):  # noqa: N801
    """`hw/rtl/stream_fifo.sv`."""

    def kernel(self, model: ModelWrapper) -> Kernel:
        parameters = {
            "Bits": self.get_instream_width_padded(),
            "Depth": self.get_nodeattr("depth"),
        }
        return Kernel("stream_fifo", parameters, {})


BACK_ENDS = {
    "MVAU": "DenseMVAU_rtl",
    "MaxPool1D": "MaxPool1D_rtl",
    "ElementwiseAdd": "BiasAdd_rtl",
    "LabelSelect": "LabelSelect_rtl",
    "StreamingFIFO": "StreamFIFO_rtl",
}
"""Our back end of each abstract operator that has one."""
