"""The cost of the published networks is the published one."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from pipeline.core.config import Config
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.checkpoint import load_weights
from pipeline.network.cost import Cost, cost_of, counted_cost
from pipeline.network.vgg10 import build_vgg10
from pipeline.stages.export import export_network
from tests.network.exported import exported
from tests.small import LENGTH, settled, small_network

NONZEROS = {  # of the weights that the A(MC) Team left
    "conv0": 194,
    "conv1": 1290,
    "conv2": 1419,
    "conv3": 1278,
    "conv4": 1141,
    "conv5": 1217,
    "conv6": 1257,
    "dense7": 6267,
    "dense8": 1854,
    "dense9": 1101,
}
PUBLISHED = {
    "amc_team_vgg10_w4a4_imp.pth": (4, 24_436_576, 68_072, "0.042467"),
    "itu_baseline_vgg10_w8a8.pth": (8, 807_699_904, 1_244_936, "1.000000"),
}


@pytest.mark.slow
@pytest.mark.parametrize("file", PUBLISHED)
def test_published_networks_cost_what_was_published(
    file: str, networks: Path, tmp_path: Path
) -> None:
    bits, operations, weight_bits, normalised = PUBLISHED[file]
    kinds = ("input_bits", "weight_bits", "activation_bits")
    keys = {"scales": "float", **dict.fromkeys(kinds, bits)}
    model = build_vgg10(Config.from_dict({"network": keys}).network)
    load_weights(model, networks / file)
    export_network(model.eval(), (1, 2, 1024), tmp_path / "network.onnx")
    cost = cost_of(tmp_path / "network.onnx", {}, {})
    assert (cost.bit_operations, cost.weight_bits) == (operations, weight_bits)
    assert f"{cost.normalised:.6f}" == normalised
    counted = counted_cost(model, Config.from_dict({"network": keys}).network)
    assert (counted.bit_operations, counted.weight_bits) == (operations, weight_bits)
    blocks = read_brevitas(model, 1024).blocks
    nonzeros = {block.name: int(np.count_nonzero(block.weights)) for block in blocks}
    assert sum(nonzeros.values()) * bits == weight_bits
    if bits == 4:
        assert nonzeros == NONZEROS


def test_the_normalised_cost_is_the_mean_of_both_shares() -> None:
    assert Cost(807_699_904, 0, {}, {}).normalised == 0.5
    assert Cost(0, 1_244_936, {}, {}).normalised == 0.5


def test_a_pruned_weight_costs_nothing(tmp_path: Path) -> None:
    """One weight of layer 2, which is used at every position of its frame."""
    before = cost_of(exported("power of two", tmp_path), {}, {})
    model = onnx.load(tmp_path / "network.onnx")
    weight = [x for x in model.graph.initializer if list(x.dims) == [4, 4, 3]][1]
    values = numpy_helper.to_array(weight).copy()
    channel = np.unravel_index(np.argmax(abs(values)), values.shape)
    values[channel] = 0
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, tmp_path / "network.onnx")
    after = cost_of(tmp_path / "network.onnx", {}, {})
    assert before.weight_bits - after.weight_bits == 4
    assert before.bit_operations - after.bit_operations == 4 * 4 * (LENGTH // 4)


@pytest.mark.parametrize("bits", [(4, 4, 4), (8, 3, 5)])
def test_counting_weights_gives_the_cost_of_the_exported_graph(
    bits: tuple[int, int, int], tmp_path: Path
) -> None:
    keys = dict(zip(("input_bits", "weight_bits", "activation_bits"), bits, strict=True))
    network = small_network(**keys)
    model = settled(network)
    with torch.no_grad():
        model.conv2.weight[:, 1:] = 0
    export_network(model, (1, 2, LENGTH), tmp_path / "network.onnx")
    counted = counted_cost(model, network)
    assert cost_of(tmp_path / "network.onnx", counted.nonzeros, counted.weights) == counted
    assert counted.nonzeros["conv2"] <= counted.weights["conv2"] / 4
