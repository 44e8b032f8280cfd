"""Structured pruning: whole filters and neurons leave, and the layers become smaller."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.network.widths import CONV_BLOCKS, DENSE_BLOCKS

LEAST_OUTPUTS = 2
"""What a layer keeps in any case."""

StateDict = Mapping[str, Tensor]
LAYERS = tuple(f"conv{i}" for i in range(CONV_BLOCKS)) + tuple(
    f"dense{i}" for i in range(CONV_BLOCKS, CONV_BLOCKS + DENSE_BLOCKS)
)
"""The layers that can shrink, in order; the last one has an output a class."""
LAST_LAYER = f"dense{CONV_BLOCKS + DENSE_BLOCKS}"


def kept_outputs(state: StateDict, share: float) -> dict[str, Tensor]:
    """Which outputs of each layer stay when ``share`` of all outputs go (at least one does).

    Those go whose weights are smallest: by the mean magnitude of an output's weights over the
    layer's, since layers differ in scale (L1, as for single weights). Ascending indices, by layer;
    all of them where no layer has an output to spare.
    """
    norms = {name: _norms(state[f"{name}.weight"]) for name in LAYERS}
    count = max(1, round(share * sum(len(values) for values in norms.values())))
    candidates = sorted(
        (float(value), name, index)
        for name, values in norms.items()
        for index, value in enumerate(values)
    )
    gone: dict[str, set[int]] = {name: set() for name in LAYERS}
    for _, name, index in candidates:
        if sum(map(len, gone.values())) == count:
            break
        if len(norms[name]) - len(gone[name]) > LEAST_OUTPUTS:
            gone[name].add(index)
    return {
        name: torch.tensor([i for i in range(len(norms[name])) if i not in gone[name]])
        for name in LAYERS
    }


def _norms(weight: Tensor) -> Tensor:
    magnitudes = weight.detach().abs().flatten(1).mean(dim=1)
    return magnitudes / magnitudes.mean()


def shrink(state: StateDict, kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict, with named keys, of the network without the outputs that are not ``kept``."""
    result = dict(state)
    before = ""
    for name in (*LAYERS, LAST_LAYER):
        weight = state[f"{name}.weight"]
        if before:
            weight = weight[:, _columns(kept[before], len(state[f"{before}.weight"]), weight)]
        if name in kept:
            weight = weight[kept[name]]
            norm = name.replace("conv", "norm").replace("dense", "norm")
            for key in (key for key in state if key.startswith(f"{norm}.") and state[key].ndim):
                result[key] = state[key][kept[name]].clone()
        result[f"{name}.weight"] = weight.clone()
        before = name
    return result


def _columns(kept: Tensor, outputs: int, weight: Tensor) -> Tensor:
    """The inputs of ``weight`` that come from the ``kept`` of a layer's ``outputs``.

    A flattened layer has all positions of one output side by side.
    """
    positions = weight.shape[1] // outputs
    return (kept[:, None] * positions + torch.arange(positions)).flatten()
