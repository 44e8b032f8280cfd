"""The channel: carrier, noise and level."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.radio.channel import (
    CHANNEL,
    add_noise,
    fade,
    receive,
    rotate,
    unit_deviation,
    unit_power,
)
from pipeline.radio.modulations import FRAME, LEAD_IN, SAMPLES_PER_SYMBOL

FRAMES = 64


def carrier() -> np.ndarray:
    """A signal of power 1 that is known in full."""
    tone = np.exp(2j * np.pi * 0.01 * np.arange(LEAD_IN + FRAME)).astype(np.complex64)
    return np.tile(tone, (FRAMES, 1))


def noise_db(noisy: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean(np.abs(noisy - carrier()) ** 2)))


@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 30.0])
def test_noise_has_the_power_that_is_asked_for(snr_db: float) -> None:
    noisy = add_noise(carrier(), np.full(FRAMES, snr_db), np.random.default_rng(1))
    assert abs(noise_db(noisy) - snr_db) < 0.1


def test_noise_of_twice_the_power_is_found_out() -> None:
    noisy = add_noise(carrier(), np.full(FRAMES, 7.0), np.random.default_rng(1))
    assert abs(noise_db(noisy) - 10.0) > 2


def test_every_frame_gets_its_own_noise_level() -> None:
    noisy = add_noise(carrier(), np.linspace(-20, 30, FRAMES), np.random.default_rng(1))
    power = np.mean(np.abs(noisy - carrier()) ** 2, axis=1)
    assert (power[:-5] > power[5:]).all()


def test_rotation_keeps_magnitudes_and_draws_phase_and_offset() -> None:
    turned = rotate(carrier(), CHANNEL, np.random.default_rng(2)) / carrier()
    assert np.ptp(np.abs(turned)) < 1e-5
    offset = np.angle(np.mean(turned[:, 1:] * np.conj(turned[:, :-1]), axis=1)) / (2 * np.pi)
    assert 0.5 < np.std(offset) / CHANNEL.carrier_offset_sigma < 2
    assert np.ptp(np.angle(turned[:, 0])) > 5  # of 2 pi


def test_levels() -> None:
    signal = carrier() * 7 + 3
    assert np.mean(np.abs(unit_power(signal)) ** 2, axis=1) == pytest.approx(np.ones(FRAMES))
    assert np.std(unit_deviation(signal), axis=1) == pytest.approx(np.ones(FRAMES), rel=1e-5)


@pytest.mark.parametrize("snr_db", [-20.0, 30.0])
def test_received_frames_have_deviation_one_at_every_snr(snr_db: float) -> None:
    rng = np.random.default_rng(3)
    received = receive(carrier() * 100, np.full(FRAMES, snr_db), rng)
    assert received.dtype == np.complex64
    assert received.shape == (FRAMES, FRAME)
    assert np.std(received, axis=1) == pytest.approx(np.ones(FRAMES), rel=1e-4)


@pytest.mark.parametrize("label_db", [-10.0, 0.0, 20.0])
def test_a_label_stands_for_its_signal_to_noise_ratio(label_db: float) -> None:
    """Signal and noise share a frame of deviation 1: the signal's share follows from the ratio.

    The carrier's offset takes a few percent of what is found at its nominal frequency.
    """
    received = receive(carrier(), np.full(FRAMES, label_db), np.random.default_rng(4))
    actual = CHANNEL.snr_slope * label_db + CHANNEL.snr_offset_db
    tone = np.abs(np.mean(received * np.conj(carrier()[:, LEAD_IN:]), axis=1)) ** 2
    expected = 1 / (1 + 10 ** (-actual / 10))
    assert np.mean(tone) == pytest.approx(expected, abs=0.05)


def test_without_a_delay_spread_nothing_fades() -> None:
    assert (fade(carrier(), CHANNEL, np.random.default_rng(5)) == carrier()).all()


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_echoes_have_their_share_of_the_power_and_die_away(spread: float) -> None:
    """An impulse comes back as the direct path and its echoes."""
    impulse = np.zeros((4000, LEAD_IN + FRAME), np.complex64)
    impulse[:, 7] = 1
    channel = replace(CHANNEL, delay_spread=spread)
    power = np.abs(fade(impulse, channel, np.random.default_rng(6))) ** 2
    assert np.allclose(power[:, :7], 0)
    assert np.allclose(power[:, 7], 1, rtol=1e-4)
    echoes = power[:, 8 : 8 + LEAD_IN].mean(axis=0)
    assert np.allclose(power[:, 8 + LEAD_IN :], 0)
    assert echoes.sum() == pytest.approx(1 / channel.rician_factor, rel=0.05)
    steps = round(spread * SAMPLES_PER_SYMBOL)
    assert echoes[:steps].sum() / echoes[steps : 2 * steps].sum() == pytest.approx(np.e, rel=0.15)
