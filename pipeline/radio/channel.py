"""From a transmitted signal to the frame a receiver stores: oscillator, noise, level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.radio.modulations import ComplexArray


@dataclass(frozen=True)
class ChannelParameters:
    """What the channel does to a frame."""

    carrier_offset_sigma: float = 1e-4
    """[fit] Standard deviation of the carrier offset, cycles per sample. The phase is uniform."""
    snr_slope: float = 2.0
    snr_offset_db: float = 3.0
    """[fit] A frame labelled x dB has x * slope + offset: as if x were 10 log10 of the ratio of
    amplitudes to the noise of one of the two components. The accuracy of a network trained on the
    real set then rises over the label as it does on the real set."""


CHANNEL = ChannelParameters()


def receive(
    signal: ComplexArray, snr_db: NDArray[np.floating], rng: np.random.Generator
) -> ComplexArray:
    """``signal`` (n, samples) through an oscillator at a label ``snr_db`` (n,), then level control.

    Each frame is brought to power 1 first, so that its noise is at its own SNR.
    """
    rotated = rotate(unit_power(signal), rng)
    actual_db = CHANNEL.snr_slope * np.asarray(snr_db) + CHANNEL.snr_offset_db
    return unit_deviation(add_noise(rotated, actual_db, rng))


def unit_power(signal: ComplexArray) -> ComplexArray:
    """Each frame divided by its root mean square."""
    power = np.mean(np.abs(signal) ** 2, axis=1, keepdims=True)
    scaled: ComplexArray = (signal / np.sqrt(power)).astype(np.complex64)
    return scaled


def rotate(signal: ComplexArray, rng: np.random.Generator) -> ComplexArray:
    """A carrier offset and a starting phase, drawn for each frame."""
    frames, samples = signal.shape
    offset = rng.normal(0.0, CHANNEL.carrier_offset_sigma, (frames, 1))
    start = rng.uniform(0.0, 1.0, (frames, 1))
    turns = start + offset * np.arange(samples)
    turned: ComplexArray = (signal * np.exp(2j * np.pi * turns)).astype(np.complex64)
    return turned


def add_noise(
    signal: ComplexArray, snr_db: NDArray[np.floating], rng: np.random.Generator
) -> ComplexArray:
    """White complex Gaussian noise of power 10^(-snr/10); the signal's power is taken as 1."""
    sigma = (10 ** (-np.asarray(snr_db) / 20) / np.sqrt(2)).astype(np.float32)[:, None, None]
    noise = rng.standard_normal((*signal.shape, 2), dtype=np.float32) * sigma
    noisy: ComplexArray = signal + noise.view(np.complex64)[..., 0]
    return noisy


def unit_deviation(signal: ComplexArray) -> ComplexArray:
    """Each frame scaled to standard deviation 1.

    The mean stays, as in the real set [fit]: so unipolar signals (OOK, ASK, a carrier) are larger.
    """
    deviation = np.std(signal, axis=1, keepdims=True)
    scaled: ComplexArray = (signal / deviation).astype(np.complex64)
    return scaled
