"""A small VGG10 with weights and statistics as training leaves them, for tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.core.config import Config, Network
from pipeline.network.frozen import freeze_network
from pipeline.network.light import LightPath
from pipeline.network.shipped import METRICS, WEIGHTS, ship
from pipeline.network.vgg10 import build_vgg10, initialise

LENGTH = 128
SMALL = {"filters": 4, "dense": 8, "frame_length": LENGTH, "classes": 5}


def small_network(**keys: Any) -> Network:
    """The `[network]` section of a small VGG10."""
    return Config.from_dict({"network": {**SMALL, **keys}}).network


def noise_frames(count: int, seed: int = 3) -> np.ndarray:
    """Frames (count, LENGTH, 2) float32, some of which saturate the input."""
    rng = np.random.default_rng(seed)
    loudness = rng.uniform(0.2, 3, (count, 1, 1))
    return (loudness * rng.standard_normal((count, LENGTH, 2))).astype(np.float32)


def settled(network: Network, seed: int = 7) -> nn.Sequential:
    """A network in evaluation mode after some steps; BatchNorm of both signs, one gamma zero."""
    model = build_vgg10(network).train()
    initialise(model, seed)
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    frames = torch.from_numpy(noise_frames(64))
    labels = torch.randint(0, network.classes, (64,), generator=rng)
    for _ in range(8):
        optimizer.zero_grad()
        nn.functional.cross_entropy(_logits(model, network, frames), labels).backward()
        optimizer.step()
    for norm in (module for module in model if isinstance(module, nn.BatchNorm1d)):
        with torch.no_grad():
            norm.weight[1] *= -1
            norm.weight[2] = 0
    return model.eval()


def _logits(model: nn.Sequential, network: Network, frames: torch.Tensor) -> torch.Tensor:
    if network.scales == "power_of_two":
        return LightPath(model)(frames)
    logits = model(frames.transpose(1, 2))
    return getattr(logits, "value", logits)


def ship_small(model_dir: Path, **keys: Any) -> None:
    """A model's folder with `model.toml` and the weights of a settled small network."""
    trained = model_dir / "trained"
    trained.mkdir(parents=True)
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**SMALL, **keys}.items()]
    (model_dir / "model.toml").write_text("\n".join(["[network]", *lines, ""]))
    model = settled(small_network(**keys))
    torch.save(model.state_dict(), trained / WEIGHTS)
    (trained / METRICS).write_text("{}")
    ship(trained, model_dir, freeze_network(model, LENGTH)[1].text())
