"""A network in PyTorch, frozen: integers, what they were derived from, and their certificate."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow import integer_model
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.certificate import (
    NOTHING_MOVED,
    Certificate,
    Moved,
    canonicalise,
    certify,
    has_power_of_two_scales,
)
from pipeline.network.chain import Chain
from pipeline.network.freezing import Frozen, float32_codes, float64_codes, freeze_chain
from pipeline.network.source import write_norms


def freeze_network(model: nn.Sequential, positions: int) -> tuple[Frozen, Certificate]:
    """The integers of `model`, whose frames have `positions` samples, and their certificate.

    A network that can be certified is canonicalised: `model` is left with the BatchNorm that the
    integers belong to.  The integers are then those of float32, in every order of evaluation;
    otherwise those of float64 (DESIGN 4).
    Raises VerificationFailed where canonicalising has changed an integer.
    """
    chain, moved = read_brevitas(model, positions), NOTHING_MOVED
    if has_power_of_two_scales(chain):
        frozen, moved = _canonical(model, chain)
        certificate = certify(frozen.chain, frozen.model, moved)
        if certificate.certified:
            return frozen, certificate
        write_norms(model, chain)
    return freeze_graph(chain, replace(NOTHING_MOVED, without_margin=moved.without_margin))


def _canonical(model: nn.Sequential, chain: Chain) -> tuple[Frozen, Moved]:
    """The integers of `model` in float32, after its BatchNorm has been canonicalised."""
    before = freeze_chain(chain, float32_codes)
    moved_chain, moved = canonicalise(chain, before.model)
    write_norms(model, moved_chain)
    frozen = freeze_chain(read_brevitas(model, chain.positions), float32_codes)
    if changed := integer_model.difference(before.model, frozen.model):
        raise VerificationFailed(f"canonicalising BatchNorm changed integers: {changed}")
    return frozen, moved


def freeze_graph(chain: Chain, moved: Moved = NOTHING_MOVED) -> tuple[Frozen, Certificate]:
    """The integers of a chain that is taken as it is, and their certificate.

    They are those of float64, which for a chain that is certified are those of float32.
    """
    frozen = freeze_chain(chain, float64_codes)
    return frozen, certify(chain, frozen.model, moved)
