"""The light path is the network that is shipped: equal codes at every layer, in float32.

In training the network has whatever BatchNorm the optimizer found; what is compared here is what
`freeze` makes of it (`canonicalise`), for which codes do not depend on the order of float32 sums.
"""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.config import load_config
from pipeline.core.errors import VerificationFailed
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.certificate import canonicalise
from pipeline.network.chain import Chain
from pipeline.network.freezing import float32_codes, freeze_chain
from pipeline.network.light import LightPath
from pipeline.network.source import load_own_network, write_norms
from pipeline.network.vgg10 import CONV_BLOCKS, DENSE_BLOCKS
from pipeline.radio.synthetic import sample_frames
from pipeline.verify.compare import LayerResult, compare, require_equal
from pipeline.verify.pytorch import float32_boundaries
from tests.conftest import ROOT

FOLDER = ROOT / "models" / "vgg10_w4a4"
FRAMES, BATCH, SEED = 1000, 100, 11


@pytest.fixture(scope="module")
def shipped() -> nn.Sequential:
    """The shipped network as `freeze` leaves it."""
    config = load_config(FOLDER)
    model = load_own_network(config, FOLDER / "weights.pt")
    chain = read_brevitas(model, config.network.frame_length)
    moved, _ = canonicalise(chain, freeze_chain(chain, float32_codes).model)
    write_norms(model, moved)
    return model


def chain_of(model: nn.Sequential) -> Chain:
    return read_brevitas(model, load_config(FOLDER).network.frame_length)


@torch.no_grad()
def light_boundaries(
    model: nn.Sequential, chain: Chain, frames: np.ndarray
) -> dict[str, np.ndarray]:
    """As `float32_boundaries`, but computed by the light path."""
    path, real = LightPath(model), {}
    x = path.input_values(torch.from_numpy(frames))
    for i in range(CONV_BLOCKS):
        x = real[f"pool{i}"] = path.conv_block(i, x)
    x = x.flatten(1)
    for i in range(CONV_BLOCKS, CONV_BLOCKS + DENSE_BLOCKS):
        x = path.dense_block(i, x)
        real[f"act{i}"] = getattr(x, "value", x)
    real[f"dense{CONV_BLOCKS + DENSE_BLOCKS}"] = path(torch.from_numpy(frames))
    return {name: _codes(values, step(chain, name)) for name, values in real.items()}


def step(chain: Chain, boundary: str) -> float:
    """The value of one integer step: that of the quantizer, or of the logits' accumulator."""
    (index,) = (i for i, block in enumerate(chain.blocks) if block.boundary == boundary)
    activation = chain.blocks[index].activation
    return float(activation.scale if activation else chain.accumulator_scale(index)[0])


def _codes(values: torch.Tensor, scale: float) -> np.ndarray:
    """(frames, channels[, 1, positions]) values as (frames, positions, channels) codes."""
    streamed = values.double().reshape(*values.shape[:2], -1).transpose(1, 2).numpy()
    codes = np.rint(streamed / scale)
    assert (codes * scale == streamed).all(), "a value is no whole number of steps"
    return codes.astype(np.int64)


def results(
    expected: nn.Sequential, actual: nn.Sequential, frames: np.ndarray
) -> Iterator[LayerResult]:
    """Each batch, layer by layer: `expected` by Brevitas, `actual` by the light path."""
    chain = chain_of(expected)
    for start in range(0, len(frames), BATCH):
        batch = frames[start : start + BATCH]
        wanted = float32_boundaries(expected, chain, batch)
        found = light_boundaries(actual, chain, batch)
        assert list(found) == list(wanted) == [block.boundary for block in chain.blocks]
        for name, codes in wanted.items():
            result = compare(name, codes, found[name])
            first = result.first and replace(result.first, frame=start + result.first.frame)
            yield replace(result, first=first)


@pytest.mark.slow
def test_the_light_path_has_the_codes_of_the_shipped_network(shipped: nn.Sequential) -> None:
    """On 1,000 frames of all classes and SNRs, with `==`; what differs first would be named.

    The network is canonicalised as in `freeze`. As trained, too, the codes of these frames were
    found to be equal, but there a sum may lie within a rounding error of a threshold.
    """
    frames, _, _ = sample_frames(FRAMES, SEED)
    compared = list(results(shipped, shipped, frames))
    require_equal(compared)
    assert len(compared) == FRAMES // BATCH * (CONV_BLOCKS + DENSE_BLOCKS + 1)
    positions = sum(1024 >> i for i in range(1, CONV_BLOCKS + 1))
    values = sum(result.values for result in compared)
    assert values == FRAMES * (64 * positions + DENSE_BLOCKS * 128 + 24)


@pytest.mark.parametrize(
    ("weight", "boundary"),
    [("conv0", "pool0"), ("conv4", "pool4"), ("dense7", "act7"), ("dense9", "dense9")],
)
def test_a_changed_weight_is_found_at_its_layer(
    shipped: nn.Sequential, weight: str, boundary: str
) -> None:
    """The weights of a layer's output with their signs turned: all scales stay as they are."""
    changed = copy.deepcopy(shipped)
    weights = getattr(changed, weight).weight
    with torch.no_grad():
        weights[weights.abs().flatten(1).sum(dim=1).argmax()] *= -1
    frames, _, _ = sample_frames(8, SEED)
    compared = list(results(shipped, changed, frames))
    differing = [result.name for result in compared if result.mismatches]
    assert differing[0] == boundary
    with pytest.raises(VerificationFailed, match=f"first: layer {boundary}, frame "):
        require_equal(compared)
