"""Our kernels as FINN operators.

FINN's abstract operators (MVAU, Thresholding, LabelSelect ...) describe what a layer computes and
how its streams are cut; each class here is an RTL back end of one of them, built on a module of
`hw/rtl`.  They live in FINN's own RTL domain under names of their own, so a graph that holds them
is still a FINN graph, and stock FINN's back ends stay available beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from pipeline.dataflow import finn_shim  # noqa: F401  (before FINN's operators)
from pipeline.dataflow.integer_model import Codes, Integers
from pipeline.dataflow.kernel import Kernel, OwnKernel
from pipeline.dataflow.tables import rows_of_words, table_text

from finn.custom_op.fpgadataflow import register_custom_op as register_abstract  # isort: skip
from finn.custom_op.fpgadataflow.convolutioninputgenerator import ConvolutionInputGenerator  # isort: skip
from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd  # isort: skip
from finn.custom_op.fpgadataflow.fmpadding import FMPadding  # isort: skip
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp  # isort: skip
from finn.custom_op.fpgadataflow.labelselect import LabelSelect  # isort: skip
from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU  # isort: skip
from finn.custom_op.fpgadataflow.rtl import register_custom_op as register_rtl  # isort: skip
from finn.custom_op.fpgadataflow.streamingdatawidthconverter import (  # isort: skip
    StreamingDataWidthConverter,
)
from finn.custom_op.fpgadataflow.streamingfifo import StreamingFIFO  # isort: skip
from finn.custom_op.fpgadataflow.thresholding import Thresholding  # isort: skip


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


def folded_weights(matrix: Integers, pe: int, simd: int) -> Integers:
    """FINN's weight matrix (MW, MH) as the words of the unit's memory, (words, PE * SIMD).

    Word `neuron fold * synapse folds + synapse fold`; within a word the synapse runs fastest.
    """
    mw, mh = matrix.shape
    folded = matrix.T.reshape(mh // pe, pe, mw // simd, simd)
    return folded.transpose(0, 2, 1, 3).reshape(-1, pe * simd)


@register_rtl
class FramePadding_rtl(FMPadding, OwnKernel):  # noqa: N801
    """Zeros around each frame (`hw/rtl/frame_padding.sv`)."""

    def kernel(self, model: ModelWrapper) -> Kernel:
        simd = self.get_nodeattr("SIMD")
        before, left, after, right = self.get_nodeattr("Padding")
        positions = along_frame(self.get_nodeattr("ImgDim"))
        assert left == right == 0, f"{self.onnx_node.name}: zeros beside the frame"
        parameters = {
            "Bits": self.get_instream_width(),
            "Folds": self.get_nodeattr("NumChannels") // simd,
            "Positions": positions,
            "Before": before,
            "After": after,
        }
        return Kernel("frame_padding", parameters, {})


@register_rtl
class SlidingWindow_rtl(ConvolutionInputGenerator, OwnKernel):  # noqa: N801
    """The windows of a convolution, tap by tap (`hw/rtl/sliding_window.sv`)."""

    def use_parallel_window_output(self) -> bool:
        """FINN asks its back ends whether all taps leave in one word."""
        return False

    def kernel(self, model: ModelWrapper) -> Kernel:
        for unknown in ("depthwise", "parallel_window", "dynamic_mode"):
            assert not self.get_nodeattr(unknown), f"{self.onnx_node.name}: {unknown}"
        parameters = {
            "Bits": self.get_instream_width(),
            "Folds": self.get_nodeattr("IFMChannels") // self.get_nodeattr("SIMD"),
            "Positions": along_frame(self.get_nodeattr("IFMDim")),
            "Kernel": along_frame(self.get_nodeattr("ConvKernelDim")),
            "Stride": self.get_nodeattr("Stride")[0],
            "Dilation": self.get_nodeattr("Dilation")[0],
        }
        return Kernel("sliding_window", parameters, {})


def along_frame(size: Sequence[int]) -> int:
    """The first of an operator's two dimensions: of 1-D signals FINN's second one is 1."""
    along, across = size
    assert across == 1, f"an image of {along} x {across}, not a frame"
    return along


@register_rtl
class Thresholds_rtl(Thresholding, OwnKernel):  # noqa: N801
    """Codes of accumulators (`hw/rtl/thresholds.sv`)."""

    def kernel(self, model: ModelWrapper) -> Kernel:
        channels, pe = self.get_nodeattr("NumChannels"), self.get_nodeattr("PE")
        data, codes = self.get_input_datatype(0), self.get_output_datatype()
        entering = Codes(int(data.min()), int(data.max()))
        steps = model.get_initializer(self.onnx_node.input[1]).astype(np.int64)
        full = full_thresholds(np.broadcast_to(steps, (channels, steps.shape[-1])), entering)
        stages = full.shape[1].bit_length()
        held = Codes(min(int(full.min()), -1 if entering.signed else 0), int(full.max()))
        tables = search_tables(full, pe, held.bits, self.onnx_node.name)
        parameters: dict[str, int | str] = {
            "Channels": channels,
            "Pe": pe,
            "InBits": data.bitwidth(),
            "Signed": _signed(data),
            "ThresholdBits": held.bits,
            "Stages": stages,
            "OutBits": codes.bitwidth(),
            "Low": self.get_nodeattr("ActVal"),
            "TablePrefix": self.onnx_node.name,
        }
        return Kernel("thresholds", parameters, tables)


def full_thresholds(steps: Integers, entering: Codes) -> Integers:
    """(channels, 2^n - 1) thresholds for (channels, levels), both ascending: what no code of
    `entering` tells apart is moved to its ends, and one that is never reached fills up."""
    never = entering.high + 1
    count = (1 << steps.shape[1].bit_length()) - 1
    missing = ((0, 0), (0, count - steps.shape[1]))
    return np.pad(np.clip(steps, entering.low, never), missing, constant_values=never)


def search_tables(thresholds: Integers, pe: int, bits: int, prefix: str) -> dict[str, str]:
    """The files of `hw/rtl/thresholds.sv` for (channels, 2^n - 1) thresholds, by name."""
    tables, stages = {}, thresholds.shape[1].bit_length()
    for lane in range(pe):
        for stage in range(stages):
            half = 1 << (stages - 1 - stage)
            words = thresholds[lane::pe, half - 1 :: 2 * half].reshape(-1, 1)
            tables[f"{prefix}_lane{lane}_stage{stage}.mem"] = table_text(words, bits)
    return tables


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
class WidthConverter_rtl(StreamingDataWidthConverter, OwnKernel):  # noqa: N801
    """The same elements in words of another width (`hw/rtl/width_converter.sv`)."""

    def kernel(self, model: ModelWrapper) -> Kernel:
        parameters = {
            "InBits": self.get_nodeattr("inWidth"),
            "OutBits": self.get_nodeattr("outWidth"),
        }
        return Kernel("width_converter", parameters, {})


@register_rtl
class StreamFIFO_rtl(StreamingFIFO, OwnKernel):  # noqa: N801
    """`hw/rtl/stream_fifo.sv`."""

    def kernel(self, model: ModelWrapper) -> Kernel:
        parameters = {
            "Bits": self.get_instream_width_padded(),
            "Depth": self.get_nodeattr("depth"),
        }
        return Kernel("stream_fifo", parameters, {})


ZERO_SKIPPING = "ZeroSkipping_rtl"
"""Of a run of layers (`pipeline/dataflow/zeros/operator.py`)."""

BACK_ENDS = {
    "FMPadding": "FramePadding_rtl",
    "ConvolutionInputGenerator": "SlidingWindow_rtl",
    "MVAU": "DenseMVAU_rtl",
    "Thresholding": "Thresholds_rtl",
    "MaxPool1D": "MaxPool1D_rtl",
    "ElementwiseAdd": "BiasAdd_rtl",
    "LabelSelect": "LabelSelect_rtl",
    "StreamingDataWidthConverter": "WidthConverter_rtl",
    "StreamingFIFO": "StreamFIFO_rtl",
}
"""Our back end of each abstract operator."""
