"""Where a network comes from, and what `freeze` writes back into it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.core.atomic import sha256_file
from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.chain import Block, Chain
from pipeline.network.source import Source, find_source, load_network, write_norms
from tests.network.exported import network
from tests.small import LENGTH, SMALL, settled, ship_small, small_network


def config(**export: str) -> Config:
    return Config.from_dict({"network": SMALL, "export": export})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A graph, a checkpoint, and the folder of a training."""
    found = {"qonnx": tmp_path / "network.onnx", "checkpoint": tmp_path / "network.pth"}
    for path in found.values():
        path.write_bytes(b"not read here")
    return {**found, "train": tmp_path / "train"}


def test_a_given_file_comes_before_training_before_what_is_shipped(
    files: dict[str, Path], tmp_path: Path
) -> None:
    graph, checkpoint = files["qonnx"], files["checkpoint"]
    trained = {"prune": tmp_path / "prune"}
    ship_small(tmp_path / "model")
    given, one = config(qonnx=str(graph)), config(checkpoint=str(checkpoint))
    model_dir = tmp_path / "model"
    assert find_source(given, trained, model_dir) == Source(graph, "qonnx")
    assert find_source(one, trained, model_dir) == Source(checkpoint, "checkpoint")
    newest = Source(tmp_path / "prune" / "weights.pt", "trained")
    assert find_source(config(), trained, model_dir) == newest
    assert find_source(config(), {}, model_dir) == Source(model_dir / "weights.pt", "shipped")


def test_pruned_weights_of_an_earlier_training_are_refused(tmp_path: Path) -> None:
    trained = {name: tmp_path / name for name in ("prune", "train")}
    for folder in trained.values():
        folder.mkdir()
    (trained["train"] / "weights.pt").write_bytes(b"one training")
    record = {"pruning": {"start_sha256": sha256_file(trained["train"] / "weights.pt")}}
    (trained["prune"] / "metrics.json").write_text(json.dumps(record))
    newest = Source(tmp_path / "prune" / "weights.pt", "trained")
    assert find_source(config(), trained, tmp_path) == newest
    (trained["train"] / "weights.pt").write_bytes(b"another training")
    with pytest.raises(UserError, match="those of an earlier training"):
        find_source(config(), trained, tmp_path)
    start = Config.from_dict({"network": SMALL, "prune": {"start": "weights of somewhere else"}})
    assert find_source(start, trained, tmp_path) == newest


@pytest.mark.parametrize("key", ["qonnx", "checkpoint"])
def test_a_file_that_is_not_there_is_named_with_its_key(key: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    with pytest.raises(UserError, match=f"there is no such file: {missing}") as raised:
        find_source(config(**{key: missing}), {}, tmp_path)
    assert raised.value.where == f"export.{key} ({key.upper()}=)"


def test_a_folder_is_no_graph(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        find_source(config(qonnx=str(tmp_path)), {}, tmp_path)


def test_a_model_without_weights_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no weights to compile") as raised:
        find_source(config(), {}, tmp_path)
    assert "CHECKPOINT=" in raised.value.remedy


def test_weights_that_were_changed_since_they_were_shipped_are_refused(tmp_path: Path) -> None:
    ship_small(tmp_path / "model")
    weights = tmp_path / "model" / "weights.pt"
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(UserError, match="not the file that SHA256SUMS lists"):
        find_source(config(), {}, tmp_path / "model")


def test_loaded_weights_are_those_of_the_file(tmp_path: Path) -> None:
    model = network("power of two")
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    loaded = load_network(config(), tmp_path / "weights.pt")
    assert not loaded.training
    assert same_norms(read_brevitas(loaded, LENGTH), read_brevitas(model, LENGTH))
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True)
    )


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = settled(small_network(filters=6))
    torch.save(other.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(UserError, match=r"conv0\.weight.* has shape \(6, 2, 3\), expected \(4,"):
        load_network(config(), tmp_path / "weights.pt")


def test_norms_that_are_written_are_read_back() -> None:
    model = settled(small_network())
    chain = read_brevitas(model, LENGTH)
    moved = replace(chain, blocks=tuple(_other_norm(b) for b in chain.blocks))
    assert not same_norms(chain, moved)
    write_norms(model, moved)
    assert same_norms(read_brevitas(model, LENGTH), moved)


def _other_norm(block: Block) -> Block:
    if block.norm is None:
        return block
    steps = np.arange(len(block.norm.gamma), dtype=np.float32)
    norm = replace(block.norm, gamma=block.norm.gamma + steps, beta=block.norm.beta - steps)
    return replace(block, norm=norm)


def same_norms(one: Chain, other: Chain) -> bool:
    pairs = [(a.norm, b.norm) for a, b in zip(one.blocks, other.blocks, strict=True)]
    return all(
        a is b is None or (np.array_equal(a.gamma, b.gamma) and np.array_equal(a.beta, b.beta))
        for a, b in pairs
    )
