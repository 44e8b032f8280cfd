"""Each modulation is what its name says, seen from its samples."""

import numpy as np
import pytest
from scipy.signal import hilbert

from pipeline.radio.channel import unit_power
from pipeline.radio.modulations import (
    CONSTELLATIONS,
    FRAME,
    LEAD_IN,
    MODULATIONS,
    MODULATORS,
    SAMPLES_PER_SYMBOL,
    SOURCES,
    message,
)

FRAMES = 48
SYMBOL_CLASSES = list(CONSTELLATIONS)
POINTS = {"OOK": 2, "8PSK": 8, "32QAM": 32, "128QAM": 128, "256QAM": 256, "128APSK": 128}


def modulated(name: str, seed: int = 3) -> np.ndarray:
    return MODULATORS[name](FRAMES, np.random.default_rng(seed))


def power_within(signal: np.ndarray, low: float, high: float) -> float:
    """Share of the power between two frequencies, in cycles per sample."""
    window = np.hanning(signal.shape[1])
    power = np.mean(np.abs(np.fft.fft(signal * window, axis=1)) ** 2, axis=0)
    frequency = np.fft.fftfreq(signal.shape[1])
    return float(power[(frequency >= low) & (frequency <= high)].sum() / power.sum())


def test_the_order_is_that_of_radioml() -> None:
    assert len(MODULATIONS) == 24
    assert MODULATIONS[0] == "OOK"
    assert MODULATIONS.index("16APSK") == 8
    assert MODULATIONS[-4:] == ("AM-DSB-SC", "FM", "GMSK", "OQPSK")


@pytest.mark.parametrize("name", MODULATIONS)
def test_a_modulator_gives_finite_frames_that_depend_on_its_stream(name: str) -> None:
    signal = modulated(name)
    assert signal.shape == (FRAMES, LEAD_IN + FRAME)
    assert signal.dtype == np.complex64
    assert np.isfinite(signal).all()
    assert (signal == modulated(name)).all()
    assert (signal != modulated(name, seed=4)).any()
    assert len(np.unique(signal[:, 0])) == FRAMES


@pytest.mark.parametrize("name", SYMBOL_CLASSES)
def test_a_pulse_occupies_its_band_and_fills_it(name: str) -> None:
    signal = modulated(name)
    signal = signal - signal.mean(axis=1, keepdims=True)
    edge = (1 + SOURCES.roll_off[1]) / (2 * SAMPLES_PER_SYMBOL)
    assert power_within(signal, -edge, edge) > 0.99
    assert power_within(signal, -edge / 2, edge / 2) < 0.99


def test_a_signal_off_its_carrier_is_found_out() -> None:
    edge = (1 + SOURCES.roll_off[1]) / (2 * SAMPLES_PER_SYMBOL)
    moved = modulated("QPSK") * np.exp(2j * np.pi * 0.08 * np.arange(LEAD_IN + FRAME))
    assert power_within(moved, -edge, edge) < 0.9


@pytest.mark.parametrize(("name", "count"), POINTS.items())
def test_a_constellation_has_its_number_of_distinct_points(name: str, count: int) -> None:
    assert len(np.unique(np.round(CONSTELLATIONS[name], 4))) == count


@pytest.mark.parametrize("name", ["GMSK", "FM"])
def test_frequency_modulation_has_a_constant_envelope(name: str) -> None:
    assert np.ptp(np.abs(modulated(name))) < 1e-5


def test_double_sideband_stays_on_one_axis_around_its_carriers() -> None:
    low, high = SOURCES.intermediate
    edge = SOURCES.message_band[1] + 0.003  # and what the window spreads
    for name in ("AM-DSB-SC", "AM-DSB-WC"):
        signal = modulated(name)
        assert (signal.imag == 0).all()
        assert power_within(signal, low - edge, high + edge) == pytest.approx(0.5, abs=0.01)


def test_the_suppressed_carrier_swings_further() -> None:
    """The envelope's spread over its mean, from the quadrature of the tone it rides on."""
    spreads = []
    for name in ("AM-DSB-WC", "AM-DSB-SC"):
        envelope = np.abs(hilbert(modulated(name).real, axis=1))[:, 100:-100]
        spreads.append(np.mean(envelope.std(axis=1) / envelope.mean(axis=1)))
    assert spreads[0] < 0.05
    assert spreads[1] > 0.2


def test_a_single_sideband_is_the_upper_one() -> None:
    for name in ("AM-SSB-SC", "AM-SSB-WC"):
        signal = modulated(name)
        sideband = signal - signal.mean(axis=1, keepdims=True)
        assert power_within(sideband, -0.5, -0.004) < 0.01
        assert power_within(np.conj(sideband), -0.5, -0.004) > 0.15
        assert abs(signal.mean()) > 0.5


def test_frequency_modulation_stays_near_its_carrier_on_either_side() -> None:
    signal = modulated("FM")
    frequency = np.angle(signal[:, 1:] * np.conj(signal[:, :-1])) / (2 * np.pi)
    side = np.sign(frequency.mean(axis=1))
    assert 0 < np.mean(side > 0) < 1
    middle = np.abs(frequency.mean(axis=1))
    assert (middle > SOURCES.intermediate[0] - 0.01).all()
    assert (middle < SOURCES.intermediate[1] + 0.01).all()
    assert (np.ptp(frequency, axis=1) > 1e-3).all()


def test_oqpsk_has_four_phases_and_gaps_between_them() -> None:
    signal = unit_power(modulated("OQPSK"))
    on_air = np.abs(signal) > 0.9
    assert 0.6 < on_air.mean() < 0.9
    assert np.mean(np.abs(signal) < 0.5) > 0.05
    fourth = signal[on_air] ** 4
    assert np.mean(np.abs(np.angle(-fourth)) < 0.5) > 0.8
    later = np.abs(signal.real).mean(axis=0) - np.abs(signal.imag).mean(axis=0)
    assert np.abs(later).max() < 0.5  # symbol timing is drawn for each frame


def test_messages_are_bandlimited_and_swing_by_what_is_drawn() -> None:
    messages = message(200, np.random.default_rng(5))
    assert np.abs(messages.mean(axis=1)).max() < 1e-6
    low, high = SOURCES.message_swing
    swing = messages.std(axis=1)
    assert low <= swing.min() < low + 0.02
    assert high - 0.02 < swing.max() <= high
    assert power_within(messages, -SOURCES.message_band[1], SOURCES.message_band[1]) > 0.999
