"""Inputs, weights and activations have widths of their own, all of which train and freeze."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.config import Config
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.freezing import float32_codes, freeze_chain
from pipeline.network.trainer import Splits, predict
from pipeline.network.training import train
from pipeline.network.vgg10 import build_vgg10, initialise
from tests.network.test_training import CONFIG, LENGTH, TRAIN, VALIDATION, Tones

BITS = [(2, 8, 3, "tensor"), (8, 2, 2, "channel"), (3, 5, 7, "channel"), (6, 3, 8, "tensor")]


@pytest.mark.parametrize("bits", BITS)
def test_a_network_of_any_widths_learns_and_freezes(
    bits: tuple[int, int, int, str], tmp_path: Path
) -> None:
    names = ("input_bits", "weight_bits", "activation_bits", "weight_scale")
    shape = CONFIG.network.model_dump() | dict(zip(names, bits, strict=True))
    config = Config.from_dict({"network": shape, "train": {"epochs": 5, "batch_size": 32}})
    model = build_vgg10(config.network)
    initialise(model, 4)
    plan = config.train.model_copy(update={"learning_rate": 0.01})
    train(model, Splits(Tones(), TRAIN, VALIDATION), plan, tmp_path)
    assert predict(model, Tones(), VALIDATION).correct.mean() > 0.6  # of three classes
    frozen = freeze_chain(read_brevitas(model.eval(), LENGTH), float32_codes).model
    input_bits, weight_bits, activation_bits, _ = bits
    assert (frozen.input.low, frozen.input.high) == (
        -(2 ** (input_bits - 1)),
        2 ** (input_bits - 1) - 1,
    )
    largest = max(int(np.abs(layer.weights).max()) for layer in frozen.layers)
    assert largest == 2 ** (weight_bits - 1) - 1
    codes = np.random.default_rng(1).integers(
        frozen.input.low, frozen.input.high + 1, (8, LENGTH, 2)
    )
    traced = frozen.trace(codes)
    highest = max(
        int(values.max()) for name, values in traced.items() if name.startswith(("act", "pool"))
    )
    assert highest == 2**activation_bits - 1
