"""A small network exported to QONNX, once for all tests that read or change it."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

from pipeline.network.qonnx_reader import load_qonnx
from pipeline.stages.export import export_network
from tests.small import LENGTH, settled, small_network

KINDS = {
    "power of two": {},
    "float": {"scales": "float", "weight_bits": 3, "activation_bits": 5, "input_bits": 8},
}


@cache
def network(kind: str) -> nn.Sequential:
    """The small network of a kind, in evaluation mode; nobody may change it."""
    return settled(small_network(**KINDS[kind]))


@cache
def _exported(kind: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_network(network(kind), (1, 2, LENGTH), path)
        return path.read_bytes()


def exported(kind: str, folder: Path) -> Path:
    """The exported graph of that network as a file of its own."""
    path = folder / "network.onnx"
    path.write_bytes(_exported(kind))
    return path


def graph(kind: str, folder: Path) -> ModelWrapper:
    """The same, cleaned."""
    return load_qonnx(exported(kind, folder))


def random_codes(low: int, high: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Integers in low..high."""
    return torch.randint(low, high + 1, shape, generator=torch.Generator().manual_seed(5))
