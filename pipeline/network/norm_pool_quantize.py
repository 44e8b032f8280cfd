"""BatchNorm in training, max-pool and quantizer as one operation, compiled for the CPU at hand.

PyTorch's operators read and write the largest tensors of a step some fifteen times for the three;
norm_pool_quantize.cpp does it in two passes forward and two backward.
"""

import ctypes
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.core.tools import run_tool

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp")
COMPILE_TIMEOUT_S = 120


class NormPoolQuantize(torch.autograd.Function):
    """clip(round(max over pairs of norm(x) / scale), 0, top) * scale, and its gradients.

    As `functional.batch_norm` in training followed by `light.PoolAndQuantize`, up to float32
    rounding. For float32 on the CPU.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, top: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``x`` (N, C, 1, L) with L even, channels last; ``weight`` and ``bias`` (C,).

        Returns the codes times ``scale`` (N, C, 1, L / 2), and the batch's mean and unbiased
        variance (C,).
        """
        n, channels, _, length = x.shape
        x = x.contiguous(memory_format=torch.channels_last)
        rows = n * length
        sums = torch.empty(2, channels, dtype=torch.float64)
        _call("moments", (x,), rows, channels, (), (sums,))
        mean = sums[0] / rows
        variance = (sums[1] / rows - mean * mean).clamp(min=0)
        inverse = (1 / torch.sqrt(variance + eps)).float()
        gain = inverse * weight
        offset = bias - mean.float() * gain
        out = torch.empty(
            (n, channels, 1, length // 2), dtype=x.dtype, memory_format=torch.channels_last
        )
        step = (float(scale), float(top))
        _call("forward", (x,), rows // 2, channels, (gain, offset, *step), (out,))
        ctx.save_for_backward(x, gain, offset, mean.float(), inverse)
        ctx.step = step
        statistics = mean.float(), (variance * rows / max(1, rows - 1)).float()
        ctx.mark_non_differentiable(*statistics)
        return out, *statistics

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        """Gradients for ``x``, ``weight``, ``bias`` and ``scale``."""
        x, *norm = ctx.saved_tensors
        n, channels, _, length = x.shape
        pairs = n * length // 2
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        sums = torch.empty(3, channels, dtype=torch.float64)
        _call("backward_sums", (x, grad), pairs, channels, (*norm, *ctx.step), (sums,))
        shares = (sums[:2] / (2 * pairs)).float()
        grad_x = torch.empty_like(x)
        constants = (*norm, shares[0], shares[1], *ctx.step)
        _call("backward_input", (x, grad), pairs, channels, constants, (grad_x,))
        passed, passed_x, for_scale = sums
        return grad_x, passed_x.float(), passed.float(), for_scale.sum().float(), None, None


def _call(
    name: str,
    inputs: tuple[Tensor, ...],
    rows: int,
    channels: int,
    constants: tuple[Tensor | float, ...],
    outputs: tuple[Tensor, ...],
) -> None:
    """Call a function of the library, all of which take their arguments in this order."""
    threads = torch.get_num_threads()
    getattr(_library(), name)(
        *map(_argument, inputs),
        ctypes.c_long(rows),
        ctypes.c_int(channels),
        ctypes.c_int(threads),
        *map(_argument, (*constants, *outputs)),
    )


def _argument(value: Tensor | float) -> ctypes.c_void_p | ctypes.c_float:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_float(value)


@cache
def _library() -> ctypes.CDLL:
    """The compiled kernels: made anew in each process, since they are for this CPU alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = folder / "norm_pool_quantize.so"
        command = ["g++", *FLAGS, "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
        log = folder / "compile.log"
        run_tool(command, cwd=folder, log=log, timeout_s=COMPILE_TIMEOUT_S, outputs=(library,))
        return ctypes.CDLL(str(library))
