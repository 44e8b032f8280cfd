"""Where a network comes from: somebody's checkpoint or graph, our training, or a shipped model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.core.atomic import sha256_file
from pipeline.core.config import Config
from pipeline.core.errors import UserError
from pipeline.network.chain import Chain
from pipeline.network.checkpoint import (
    load_state_dict_by_position,
    load_weights,
    read_state_dict,
)
from pipeline.network.shipped import METRICS, WEIGHTS, shipped_weights
from pipeline.network.vgg10 import build_vgg10
from pipeline.network.widths import Widths

GRAPH = "network.onnx"


@dataclass(frozen=True)
class Source:
    """file: the weights or the graph; kind: "checkpoint", "qonnx", "trained" or "shipped"."""

    file: Path
    kind: str

    def describe(self) -> str:
        return f"{self.kind} {self.file}"


def find_source(config: Config, trained: Mapping[str, Path], model_dir: Path) -> Source:
    """The first there is of QONNX=, CHECKPOINT=, our trained weights, the model's own weights.

    `trained` maps stages that write weights, newest first, to their folders.
    Raises UserError where there is none, where the shipped file is not the one its sums list, or
    where the pruned weights are not those of the present training.
    """
    if config.export.qonnx:
        return Source(_existing(config.export.qonnx, "export.qonnx (QONNX=)"), "qonnx")
    if config.export.checkpoint:
        file = _existing(config.export.checkpoint, "export.checkpoint (CHECKPOINT=)")
        return Source(file, "checkpoint")
    if trained:
        return Source(newest(config, trained) / WEIGHTS, "trained")
    return Source(shipped_weights(model_dir), "shipped")


def newest(config: Config, trained: Mapping[str, Path]) -> Path:
    """The first folder of `trained`, which are those of stages that write weights, newest first.

    Raises UserError where that holds pruned weights, but not of the present training.
    """
    if {"prune", "train"} <= trained.keys() and not config.prune.start:
        _check_lineage(trained["prune"], trained["train"])
    return next(iter(trained.values()))


def _check_lineage(pruned: Path, trained: Path) -> None:
    metrics = json.loads((pruned / METRICS).read_text(encoding="utf-8"))
    if metrics["pruning"]["start_sha256"] != sha256_file(trained / WEIGHTS):
        raise UserError(
            "the pruned weights are those of an earlier training",
            str(pruned),
            "make prune, or delete that folder to compile the network unpruned",
        )


def _existing(path: str, key: str) -> Path:
    if not Path(path).is_file():
        raise UserError(f"there is no such file: {path}", key, "check the path")
    return Path(path)


def load_network(config: Config, weights: Path) -> nn.Sequential:
    """The configured network in evaluation mode with the weights of a file.

    Raises UserError where the file is of a network of another shape.
    """
    model = build_vgg10(config.network)
    load_weights(model, weights)
    return model.eval()


def load_own_network(config: Config, weights: Path) -> nn.Sequential:
    """As `load_network`, but with layers as wide as our own pruning has left them."""
    state = read_state_dict(weights)
    try:
        model = build_vgg10(config.network, Widths.of_state(state))
    except KeyError:
        return load_network(config, weights)  # which says what is missing
    load_state_dict_by_position(model, state, weights)
    return model.eval()


@torch.no_grad()
def write_norms(model: nn.Sequential, chain: Chain) -> None:
    """Puts the BatchNorm parameters of `chain` into `model`, where each follows its layer."""
    modules = dict(model.named_children())
    paths = list(modules)
    for block in chain.blocks:
        if block.norm is None:
            continue
        norm = modules[paths[paths.index(block.name) + 1]]
        norm.weight.copy_(torch.from_numpy(np.ascontiguousarray(block.norm.gamma)))
        norm.bias.copy_(torch.from_numpy(np.ascontiguousarray(block.norm.beta)))
