"""Each modulation is what its name says, seen from its samples."""

import numpy as np
import pytest

from pipeline.radio.channel import unit_power
from pipeline.radio.modulations import (
    CONSTELLATIONS,
    FRAME,
    MODULATIONS,
    MODULATORS,
    SAMPLES_PER_SYMBOL,
    SOURCES,
    message,
)

FRAMES = 48
SYMBOL_CLASSES = [*CONSTELLATIONS, "OQPSK"]
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
    assert signal.shape == (FRAMES, FRAME)
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
    moved = modulated("QPSK") * np.exp(2j * np.pi * 0.08 * np.arange(FRAME))
    assert power_within(moved, -edge, edge) < 0.9


@pytest.mark.parametrize(("name", "count"), POINTS.items())
def test_a_constellation_has_its_number_of_distinct_points(name: str, count: int) -> None:
    assert len(np.unique(np.round(CONSTELLATIONS[name], 4))) == count


@pytest.mark.parametrize("name", ["GMSK", "FM"])
def test_frequency_modulation_has_a_constant_envelope(name: str) -> None:
    assert np.ptp(np.abs(modulated(name))) < 1e-5


def test_double_sideband_stays_on_one_axis_and_its_carrier_shows() -> None:
    assert (modulated("AM-DSB-SC").imag == 0).all()
    with_carrier = modulated("AM-DSB-WC")
    assert (with_carrier.imag == 0).all()
    assert (with_carrier.real > -1e-6).all()
    assert abs(modulated("AM-DSB-SC").mean()) < 0.05 < with_carrier.mean().real


def test_a_single_sideband_is_the_upper_one() -> None:
    suppressed = modulated("AM-SSB-SC")
    assert power_within(suppressed, -0.5, -0.003) < 0.01
    assert power_within(np.conj(suppressed), -0.5, -0.003) > 0.9
    assert abs(modulated("AM-SSB-WC").mean()) > 0.5


def test_oqpsk_changes_one_axis_at_a_time() -> None:
    """Symbol changes of I and Q are half a symbol apart, so QPSK's passages through 0 are rare."""
    qpsk, oqpsk = (np.abs(unit_power(modulated(name))) for name in ("QPSK", "OQPSK"))
    assert np.mean(oqpsk < 0.3) < 0.1 * np.mean(qpsk < 0.3)


def test_messages_have_peak_one_and_no_mean() -> None:
    messages = message(FRAMES, np.random.default_rng(5))
    assert np.max(np.abs(messages), axis=1) == pytest.approx(np.ones(FRAMES))
    assert np.abs(messages.mean(axis=1)).max() < 1e-6
