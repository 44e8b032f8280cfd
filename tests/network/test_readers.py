"""Both readers see the same network, also one that is not VGG10."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pipeline.core.config import Config
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.chain import Block, Chain
from pipeline.network.checkpoint import load_weights
from pipeline.network.qonnx_reader import load_qonnx, read_qonnx
from pipeline.network.vgg10 import build_vgg10
from pipeline.stages.export import export_network
from tests.network.exported import KINDS, exported, network
from tests.small import LENGTH

NAMES = ("name", "boundary")


def differing_fields(one: Chain, other: Chain) -> list[str]:
    """Block and field, for all that differs but the names, which a graph does not know."""
    differing = [] if one.input == other.input else ["input"]
    for mine, theirs in zip(one.blocks, other.blocks, strict=True):
        differing += [f"{mine.name}.{f}" for f in _fields() if not _same(mine, theirs, f)]
    return differing


def _fields() -> list[str]:
    return [field.name for field in fields(Block) if field.name not in NAMES]


def _same(one: Block, other: Block, field: str) -> bool:
    a, b = getattr(one, field), getattr(other, field)
    if field == "norm" and a is not None and b is not None:
        return all(np.array_equal(getattr(a, x.name), getattr(b, x.name)) for x in fields(a))
    return np.array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_both_readers_see_the_same_network(kind: str, tmp_path: Path) -> None:
    chain = read_brevitas(network(kind), LENGTH)
    read = read_qonnx(load_qonnx(exported(kind, tmp_path)), "network.onnx")
    assert (chain.positions, chain.channels) == (read.positions, read.channels) == (LENGTH, 2)
    assert differing_fields(chain, read) == []
    assert (chain.blocks[-1].bias is None) == (kind == "other")
    normed = [block for block in chain.blocks if block.norm is not None]
    assert {int(np.sign(g)) for block in normed for g in block.norm.gamma} == {-1, 0, 1}


def test_a_changed_weight_is_a_difference(tmp_path: Path) -> None:
    path = exported("power of two", tmp_path)
    model = onnx.load(path)
    weight = next(x for x in model.graph.initializer if len(x.dims) == 3 and x.dims[1] == 4)
    values = numpy_helper.to_array(weight).copy()
    values[0, 0, 0] = values.max() if values[0, 0, 0] < 0 else values.min()
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)
    read = read_qonnx(load_qonnx(path), "network.onnx")
    chain = read_brevitas(network("power of two"), LENGTH)
    assert [x.split(".")[1] for x in differing_fields(chain, read)] == ["weights"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "bits"), [("amc_team_vgg10_w4a4_imp.pth", 4), ("itu_baseline_vgg10_w8a8.pth", 8)]
)
def test_published_networks_are_read_alike(
    file: str, bits: int, networks: Path, tmp_path: Path
) -> None:
    kinds = ("input_bits", "weight_bits", "activation_bits")
    keys = {"scales": "float", **dict.fromkeys(kinds, bits)}
    model = build_vgg10(Config.from_dict({"network": keys}).network)
    load_weights(model, networks / file)
    export_network(model.eval(), (1, 2, 1024), tmp_path / "network.onnx")
    read = read_qonnx(load_qonnx(tmp_path / "network.onnx"), file)
    assert differing_fields(read_brevitas(model, 1024), read) == []
