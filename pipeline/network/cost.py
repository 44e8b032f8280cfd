"""The ITU challenge's cost of a network: bit operations and weight bits, zeros discounted.

ITU AI/ML in 5G challenge, problem statement PS-007: the cost is the mean of both quantities,
each relative to the 8-bit VGG10 baseline's.  qonnx counts them from the exported graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qonnx.util.inference_cost import inference_cost
from torch import nn

from pipeline.network.vgg10 import NetworkShape
from pipeline.network.widths import CONV_BLOCKS

BASELINE_BIT_OPERATIONS = 807_699_904
BASELINE_WEIGHT_BITS = 1_244_936


@dataclass(frozen=True)
class Cost:
    """Of one frame: bit operations (multiply-accumulates times both widths), weight bits,
    nonzero and all weights by layer, and the challenge's normalised cost."""

    bit_operations: int
    weight_bits: int
    nonzeros: dict[str, int]
    weights: dict[str, int]

    @property
    def normalised(self) -> float:
        """0.5 for each of the two quantities relative to the baseline."""
        operations = self.bit_operations / BASELINE_BIT_OPERATIONS
        return 0.5 * operations + 0.5 * self.weight_bits / BASELINE_WEIGHT_BITS


def cost_of(graph: Path, nonzeros: dict[str, int], weights: dict[str, int]) -> Cost:
    """Cost of an exported QONNX file by qonnx's own analysis, discounting zero weights."""
    total = inference_cost(str(graph), discount_sparsity=True)["total_cost"]
    return Cost(int(total["total_bops"]), int(total["total_mem_w_bits"]), nonzeros, weights)


def counted_cost(model: nn.Module, network: NetworkShape) -> Cost:
    """The same cost of a VGG10 in PyTorch, counted from its weights' codes, without an export."""
    nonzeros, weights, operations = {}, {}, 0
    layers = [(name, m) for name, m in model.named_children() if hasattr(m, "quant_weight")]
    for i, (name, layer) in enumerate(layers):
        codes = layer.quant_weight().int()
        nonzeros[name], weights[name] = int(codes.count_nonzero()), codes.numel()
        positions = network.frame_length >> i if i < CONV_BLOCKS else 1
        bits = network.activation_bits if i else network.input_bits
        operations += nonzeros[name] * positions * bits * network.weight_bits
    weight_bits = sum(nonzeros.values()) * network.weight_bits
    return Cost(operations, weight_bits, nonzeros, weights)
