"""The 24 modulations of RadioML 2018.01A as baseband signals, before the channel.

Every modulator returns complex64 (frames, LEAD_IN + FRAME) with all that varies on air drawn at
random: symbols, roll-off and symbol timing, or the message and how deeply it modulates. Signals
are made periodic over PERIOD samples, so that filters and delays are products in the frequency
domain, and samples from the middle are kept.

Sources of constants: [OShea18] T. O'Shea, T. Roy, T. C. Clancy, "Over-the-air deep learning based
radio signal classification", 2018; [fit] values under which networks trained on the real set
recognise the signal best, found by search; [DVB] ring sizes of DVB-S2/S2X constellations.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

ComplexArray = NDArray[np.complex64]
FloatArray = NDArray[np.float64]
Modulator = Callable[[int, np.random.Generator], ComplexArray]

FRAME = 1024
LEAD_IN = 64
"""Samples before a frame, of which it may hold echoes."""
PERIOD = 1536
MESSAGE_PERIOD = 8192
"""Samples after which a message would repeat: many of its slowest swings."""
SAMPLES_PER_SYMBOL = 8
"""[OShea18], and the first zero of the spectra that networks trained on the real set expect."""


@dataclass(frozen=True)
class SourceParameters:
    """What the modulators draw from; pairs are the bounds of uniform distributions.

    Frequencies are in cycles per sample.
    """

    roll_off: tuple[float, float] = (0.3, 0.45)
    """[fit] Raised-cosine pulse (transmit and receive filter together)."""
    gmsk_bt: tuple[float, float] = (0.4, 0.7)
    """[fit] The Gaussian filter's bandwidth times the symbol period."""
    oqpsk_spacing: tuple[float, float] = (15.0, 15.3)
    """[fit] Samples from one bit of OQPSK to the next on the same arm."""
    oqpsk_pulse: tuple[float, float] = (12.8, 13.3)
    """[fit] Samples for which a bit is on air; the rest of its spacing is a gap."""
    oqpsk_flatness: tuple[float, float] = (0.15, 0.28)
    """[fit] Power to which its half-sine is raised: 0 is a square pulse, as saturation makes it."""
    oqpsk_offset: tuple[float, float] = (0.9, 1.2)
    """[fit] Samples by which Q is later than I."""
    message_band: tuple[float, float] = (0.003, 0.008)
    """[fit] Upper edge of the audio."""
    message_swing: tuple[float, float] = (0.25, 0.4)
    """[fit] Standard deviation of the audio over its mean: samples of audio are unipolar, so that
    even a suppressed carrier is there, by as much as the message has a mean."""
    intermediate: tuple[float, float] = (0.0295, 0.034)
    """[fit] DSB and FM arrive on a carrier near 1/32, on either side of the receiver's zero."""
    am_depth: tuple[float, float] = (0.02, 0.1)
    """[fit] Message over carrier in AM-DSB-WC."""
    ssb_depth: tuple[float, float] = (0.2, 0.4)
    """[fit] Sideband over carrier in AM-SSB-WC."""
    ssb_band: tuple[float, float] = (0.25, 0.5)
    """[fit] Upper edge of the sideband of AM-SSB-WC, which is as wide as the receiver."""
    fm_deviation: tuple[float, float] = (0.005, 0.015)
    """[fit] Frequency deviation for a message of 1."""


SOURCES = SourceParameters()

RECEIVE_FILTER_FREQUENCY = (0.0, 0.03, 0.06, 0.1)
RECEIVE_FILTER_GAIN = (0.95, 0.95, 0.7, 0.6)
"""[fit] The fitted spectrum of a symbol divided by the mean raised cosine over `roll_off`."""


def _rings(sizes: list[int], radii: list[float], phases: list[float]) -> ComplexArray:
    """An APSK constellation: ``sizes[i]`` points on radius ``radii[i]``, turned by a phase."""
    turns = [2j * np.pi * np.arange(n) / n + 1j * p for n, p in zip(sizes, phases, strict=True)]
    points = [r * np.exp(turn) for r, turn in zip(radii, turns, strict=True)]
    return np.concatenate(points).astype(np.complex64)


def _psk(order: int) -> ComplexArray:
    return _rings([order], [1.0], [np.pi / order if order == 4 else 0.0])


def _square(side: int) -> ComplexArray:
    levels = np.arange(1 - side, side, 2)
    return (levels[:, None] + 1j * levels[None, :]).ravel().astype(np.complex64)


def _cross(side: int, corner: int) -> ComplexArray:
    """A square of ``side`` levels an axis without ``corner`` x ``corner`` points in each corner."""
    points = _square(side)
    edge = side - 2 * corner
    return points[(abs(points.real) < edge) | (abs(points.imag) < edge)]


def _levels(first: float, count: int) -> ComplexArray:
    """Unipolar amplitudes first, first + 1, ..."""
    return (first + np.arange(count)).astype(np.complex64)


CONSTELLATIONS: dict[str, ComplexArray] = {
    "OOK": _levels(0, 2),
    "4ASK": _levels(0, 4),  # [fit] unipolar
    "8ASK": _levels(0.5, 8),  # [fit] unipolar, zero left out
    "BPSK": _psk(2),
    "QPSK": _psk(4),
    "8PSK": _psk(8),
    "16PSK": _psk(16),
    "32PSK": _psk(32),
    # Ring sizes [DVB], radii and phases [fit].
    "16APSK": _rings([4, 12], [1, 2.709], [0.659, 0.39]),
    "32APSK": _rings([4, 12, 16], [1, 3.163, 6.785], [0.743, 0.072, 0.218]),
    "64APSK": _rings([4, 12, 20, 28], [1, 2.297, 4.135, 6.007], [0.779, 0.459, 0.272, -0.113]),
    "128APSK": _rings(
        [8, 16, 24, 36, 44], [1, 1.091, 2.292, 3.048, 4.571], [-0.088, 0, 0.092, 0.344, -0.432]
    ),
    "16QAM": _square(4),
    "32QAM": _cross(6, 1),
    "64QAM": _square(8),
    "128QAM": _cross(12, 2),
    "256QAM": _square(16),
}
"""Points of the linear modulations with one symbol at a time, in any unit of amplitude."""


def _uniform(bounds: tuple[float, float], frames: int, rng: np.random.Generator) -> FloatArray:
    """One draw a frame, as a column."""
    return rng.uniform(*bounds, (frames, 1))


def raised_cosine(frequency: FloatArray, roll_off: FloatArray) -> FloatArray:
    """|H| at ``frequency`` (cycles per sample) for the symbol rate; the arguments broadcast."""
    x = np.abs(frequency) * SAMPLES_PER_SYMBOL
    phase = np.clip((x - (1 - roll_off) / 2) / roll_off, 0.0, 1.0)
    gain: FloatArray = 0.5 * (1 + np.cos(np.pi * phase))
    return gain


def receive_filter(frequency: FloatArray) -> FloatArray:
    """The receiver's fixed low-pass, |G|."""
    return np.interp(np.abs(frequency), RECEIVE_FILTER_FREQUENCY, RECEIVE_FILTER_GAIN)


def _bins() -> FloatArray:
    """Frequencies of the period's Fourier transform, cycles per sample."""
    return np.asarray(np.fft.fftfreq(PERIOD), np.float64)


def _crop(periods: NDArray[np.complexfloating]) -> ComplexArray:
    """The middle LEAD_IN + FRAME samples of (frames, samples)."""
    start = (periods.shape[1] - LEAD_IN - FRAME) // 2
    return periods[:, start : start + LEAD_IN + FRAME].astype(np.complex64)


def _impulses(symbols: ComplexArray) -> ComplexArray:
    """Spectrum (frames, PERIOD) of symbols spaced SAMPLES_PER_SYMBOL apart: their own, repeated."""
    once: ComplexArray = fft.fft(symbols, axis=1)
    return np.tile(once, (1, SAMPLES_PER_SYMBOL))


def _shape(symbols: ComplexArray, roll_off: FloatArray, delay: FloatArray) -> ComplexArray:
    """Symbols (frames, PERIOD / SAMPLES_PER_SYMBOL) through the pulse, ``delay`` samples later."""
    used = np.flatnonzero(np.abs(_bins()) <= 1 / SAMPLES_PER_SYMBOL)
    frequency = _bins()[used]
    gain = raised_cosine(frequency, roll_off) * receive_filter(frequency)
    spectrum = np.zeros((len(symbols), PERIOD), np.complex64)
    spectrum[:, used] = _impulses(symbols)[:, used] * gain * np.exp(-2j * np.pi * frequency * delay)
    signal: ComplexArray = fft.ifft(spectrum, axis=1)
    return signal


def _draw(points: ComplexArray, frames: int, rng: np.random.Generator) -> ComplexArray:
    """Random symbols for one period a frame."""
    return points[rng.integers(0, len(points), (frames, PERIOD // SAMPLES_PER_SYMBOL))]


def _timing(frames: int, rng: np.random.Generator) -> FloatArray:
    return _uniform((0.0, SAMPLES_PER_SYMBOL), frames, rng)


def _linear(points: ComplexArray) -> Modulator:
    """One symbol of the constellation every SAMPLES_PER_SYMBOL samples."""

    def modulate(frames: int, rng: np.random.Generator) -> ComplexArray:
        symbols = _draw(points, frames, rng)
        return _crop(_shape(symbols, _uniform(SOURCES.roll_off, frames, rng), _timing(frames, rng)))

    return modulate


def _oqpsk(frames: int, rng: np.random.Generator) -> ComplexArray:
    """Nearly square bits with gaps between them on I and, a little later, on Q."""
    spacing, width, flatness, offset = (
        _uniform(bounds, frames, rng)
        for bounds in (
            SOURCES.oqpsk_spacing,
            SOURCES.oqpsk_pulse,
            SOURCES.oqpsk_flatness,
            SOURCES.oqpsk_offset,
        )
    )
    # counted from before the first bit, so that a delayed arm starts with a whole one too
    time = np.arange(LEAD_IN + FRAME) + spacing * (1 + rng.uniform(0.0, 1.0, (frames, 1)))

    def arm(time: FloatArray) -> FloatArray:
        bit = np.floor(time / spacing).astype(np.int64)
        phase = np.minimum((time - bit * spacing) / width, 1.0)
        signs = rng.choice([-1.0, 1.0], (frames, FRAME // SAMPLES_PER_SYMBOL))
        pulse: FloatArray = np.sin(np.pi * phase).clip(0.0) ** flatness
        return np.take_along_axis(signs, bit, axis=1) * pulse

    return (arm(time) + 1j * arm(time - offset)).astype(np.complex64)


def _gmsk(frames: int, rng: np.random.Generator) -> ComplexArray:
    """Continuous phase, a quarter turn a symbol, the frequency pulse filtered by a Gaussian."""
    frequency = _bins()
    bandwidth = _uniform(SOURCES.gmsk_bt, frames, rng) / SAMPLES_PER_SYMBOL
    gaussian = np.exp(-np.log(2) / 2 * (frequency / bandwidth) ** 2)
    pulse = gaussian * np.sinc(frequency * SAMPLES_PER_SYMBOL)
    delay = np.exp(-2j * np.pi * frequency * _timing(frames, rng))
    steps = fft.ifft(_impulses(_draw(_psk(2), frames, rng)) * pulse * delay, axis=1).real
    return _crop(np.exp(0.5j * np.pi * np.cumsum(steps, axis=1)))


def message(frames: int, rng: np.random.Generator) -> FloatArray:
    """What analog modulations carry: audio (frames, MESSAGE_PERIOD) of mean 0.

    A piece of a longer signal: a frame of it has a mean, and does not end as it began. All analog
    classes but AM-SSB-WC draw from this one source, so none is told by its message.
    """
    audio = _band_noise(SOURCES.message_band, frames, rng)
    scaled: FloatArray = audio * _uniform(SOURCES.message_swing, frames, rng)
    return scaled


def _band_noise(edge: tuple[float, float], frames: int, rng: np.random.Generator) -> FloatArray:
    """Real noise (frames, MESSAGE_PERIOD) of power 1 up to a frequency drawn for each frame."""
    frequency = np.fft.rfftfreq(MESSAGE_PERIOD)
    band = (frequency > 0) & (frequency <= _uniform(edge, frames, rng))
    spectrum = (rng.standard_normal(band.shape) + 1j * rng.standard_normal(band.shape)) * band
    noise: FloatArray = fft.irfft(spectrum, MESSAGE_PERIOD, axis=1)
    return noise / np.sqrt(np.mean(noise**2, axis=1, keepdims=True))


def _analytic(real: FloatArray) -> NDArray[np.complex128]:
    """The signal's positive frequencies (upper sideband)."""
    frequency = np.fft.fftfreq(real.shape[1])
    spectrum = fft.fft(real, axis=1) * 2 * (frequency > 0)
    signal: NDArray[np.complex128] = fft.ifft(spectrum, axis=1)
    return signal


def _carrier_phase(frames: int, rng: np.random.Generator) -> FloatArray:
    """Phase of the intermediate carrier, (frames, MESSAGE_PERIOD) radians."""
    side = rng.choice([-1.0, 1.0], (frames, 1))
    frequency = side * _uniform(SOURCES.intermediate, frames, rng)
    start = _uniform((0.0, 2 * np.pi), frames, rng)
    phase: FloatArray = 2 * np.pi * frequency * np.arange(MESSAGE_PERIOD) + start
    return phase


def _am_dsb_sc(frames: int, rng: np.random.Generator) -> ComplexArray:
    return _crop((1 + message(frames, rng)) * np.cos(_carrier_phase(frames, rng)) + 0j)


def _am_dsb_wc(frames: int, rng: np.random.Generator) -> ComplexArray:
    envelope = 1 + _uniform(SOURCES.am_depth, frames, rng) * message(frames, rng)
    return _crop(envelope * np.cos(_carrier_phase(frames, rng)) + 0j)


def _am_ssb_sc(frames: int, rng: np.random.Generator) -> ComplexArray:
    return _crop(1 + _analytic(message(frames, rng)) / np.sqrt(2))


def _am_ssb_wc(frames: int, rng: np.random.Generator) -> ComplexArray:
    sideband = _analytic(_band_noise(SOURCES.ssb_band, frames, rng)) / np.sqrt(2)
    return _crop(1 + _uniform(SOURCES.ssb_depth, frames, rng) * sideband)


def _fm(frames: int, rng: np.random.Generator) -> ComplexArray:
    deviation = _uniform(SOURCES.fm_deviation, frames, rng)
    swing = 2 * np.pi * deviation * np.cumsum(message(frames, rng), axis=1)
    return _crop(np.exp(1j * (_carrier_phase(frames, rng) + swing)))


MODULATORS: dict[str, Modulator] = {
    **{name: _linear(points) for name, points in CONSTELLATIONS.items()},
    "AM-SSB-WC": _am_ssb_wc,
    "AM-SSB-SC": _am_ssb_sc,
    "AM-DSB-WC": _am_dsb_wc,
    "AM-DSB-SC": _am_dsb_sc,
    "FM": _fm,
    "GMSK": _gmsk,
    "OQPSK": _oqpsk,
}
"""Name to modulator, in the order of RadioML's one-hot labels."""

MODULATIONS: tuple[str, ...] = tuple(MODULATORS)
"""Class names; a class's position is its label."""
