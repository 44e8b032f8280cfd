"""From a transmitted signal to the frame a receiver stores: echoes, oscillator, noise, level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pipeline.radio.modulations import LEAD_IN, SAMPLES_PER_SYMBOL, ComplexArray


@dataclass(frozen=True)
class ChannelParameters:
    """What the channel does to a frame. Sources are named as in `pipeline.radio.modulations`."""

    delay_spread: float = 0.0
    """Symbols over which the power of echoes falls to 1/e; 0 is a single path. [OShea18] has 0.5, 1
    and 2."""
    rician_factor: float = 2.0
    """Power of the direct path over that of all echoes together, where there are echoes. By choice:
    a direct path that is seen, but disturbed."""

    carrier_offset_sigma: float = 1e-4
    """[fit] Standard deviation of the carrier offset, cycles per sample. The phase is uniform."""
    snr_slope: float = 2.0
    snr_offset_db: float = 2.0
    """[fit] A frame labelled x dB has x * slope + offset: as if x were 10 log10 of the ratio of
    amplitudes to the noise of one of the two components. The accuracy of a network trained on the
    real set then rises over the label as it does on the real set."""


CHANNEL = ChannelParameters()


def receive(
    signal: ComplexArray,
    snr_db: NDArray[np.floating],
    rng: np.random.Generator,
    channel: ChannelParameters = CHANNEL,
) -> ComplexArray:
    """``signal`` (n, LEAD_IN + FRAME) at a label ``snr_db`` (n,) as frames (n, FRAME).

    Each frame is brought to power 1 before its noise is added, so that this is at its own SNR.
    """
    faded = fade(signal, channel, rng)[:, LEAD_IN:]
    rotated = rotate(unit_power(faded), channel, rng)
    actual_db = channel.snr_slope * np.asarray(snr_db) + channel.snr_offset_db
    return unit_deviation(add_noise(rotated, actual_db, rng))


def fade(
    signal: ComplexArray, channel: ChannelParameters, rng: np.random.Generator
) -> ComplexArray:
    """Add echoes of each frame (n, samples) that stand still while it lasts.

    One echo a sample of delay, up to LEAD_IN; independent complex Gaussian amplitudes (Rayleigh
    fading), their power falling exponentially with the delay.
    """
    if channel.delay_spread == 0:
        return signal
    delay = np.arange(1, LEAD_IN + 1)
    power = np.exp(-delay / (channel.delay_spread * SAMPLES_PER_SYMBOL))
    power *= 0.5 / channel.rician_factor / power.sum()  # a half for each component
    gains = rng.standard_normal((len(signal), LEAD_IN, 2)) * np.sqrt(power)[:, None]
    paths = np.ones((len(signal), LEAD_IN + 1), np.complex64)
    paths[:, 1:] = gains[..., 0] + 1j * gains[..., 1]
    size = fft.next_fast_len(signal.shape[1] + LEAD_IN)
    spectrum = fft.fft(signal, size, axis=1) * fft.fft(paths, size, axis=1)
    faded: ComplexArray = fft.ifft(spectrum, axis=1)[:, : signal.shape[1]].astype(np.complex64)
    return faded


def unit_power(signal: ComplexArray) -> ComplexArray:
    """Each frame divided by its root mean square."""
    power = np.mean(np.abs(signal) ** 2, axis=1, keepdims=True)
    scaled: ComplexArray = (signal / np.sqrt(power)).astype(np.complex64)
    return scaled


def rotate(
    signal: ComplexArray, channel: ChannelParameters, rng: np.random.Generator
) -> ComplexArray:
    """A carrier offset and a starting phase, drawn for each frame."""
    frames, samples = signal.shape
    offset = rng.normal(0.0, channel.carrier_offset_sigma, (frames, 1))
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
