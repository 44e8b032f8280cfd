"""Runs FINN's abstract hardware graph in Python: rung 3 of the ladder."""

from __future__ import annotations

import copy

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.dataflow.lowering import grouped


def run_graph(graph: ModelWrapper, model: IntegerModel, codes: Integers) -> dict[str, Integers]:
    """Streams of every layer, named and shaped like `model.trace`, for (frames, positions,
    channels) input codes; a frame takes some 60 ms."""
    bare = _without_annotations(graph)
    frames = [_run_frame(bare, model, frame) for frame in codes]
    return {name: np.concatenate([f[name] for f in frames]) for name in frames[0]}


def _without_annotations(graph: ModelWrapper) -> ModelWrapper:
    """A copy whose executor does not know the types of tensors: it would round their values.

    That takes two thirds of its time too.
    """
    bare = copy.deepcopy(graph)
    del bare.graph.quantization_annotation[:]
    return bare


def _run_frame(graph: ModelWrapper, model: IntegerModel, frame: Integers) -> dict[str, Integers]:
    (tensor,) = graph.graph.input
    shaped = frame.reshape(graph.get_tensor_shape(tensor.name)).astype(np.float32)
    context = execute_onnx(graph, {tensor.name: shaped}, return_full_exec_context=True)
    streams: dict[str, Integers] = {}
    for layer, nodes in zip(model.layers, grouped(graph), strict=True):
        (unit,) = [n for n in nodes if "MVAU" in n.op_type]
        streams[layer.accumulator_name] = _integers(context[unit.output[0]])
        streams[layer.boundary] = _integers(context[nodes[-1].output[0]])
    streams["label"] = _integers(context[graph.graph.output[0].name])
    return streams


def _integers(values: np.ndarray) -> Integers:
    """(1, positions, channels) from FINN's float tensors, which hold integers."""
    integers = values.astype(np.int64)
    assert (integers == values).all(), "a hardware graph computes integers"
    return integers.reshape(1, -1, values.shape[-1])
