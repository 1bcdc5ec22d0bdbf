"""Sounds made in code from a seed: tones, chirps, coloured noise and clicks that come and go over a faint bed, at
levels from a whisper to full scale."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

QUIETEST_DB: Final = -40.0
BED_DB: Final = -60.0
"""Of the noise in the pauses, below the peak: recordings have no digital silence."""


def made_sounds(count: int, seconds: float, sample_rate: int, seed: int) -> Samples:
    """float32[count, T]: sums of two to five parts each, peaks from 0 dBFS (the first) to -40 dBFS (the last)."""
    random = np.random.default_rng([seed, count])
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    makers = (_tone, _chirp, _noise, _clicks)
    rows = []
    for level in np.linspace(0.0, QUIETEST_DB, count):
        sound = 10 ** (BED_DB / 20) * random.standard_normal(time.size)
        for index in random.integers(0, len(makers), size=random.integers(2, 6)):
            part = makers[index](random, time)
            sound += 10 ** (random.uniform(-18.0, 0.0) / 20) * _swell(random, time) * part / np.abs(part).max()
        rows.append(10 ** (level / 20) * sound / np.abs(sound).max())
    return np.asarray(rows, np.float32)


def _tone(random: np.random.Generator, time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    pitch = 2 ** random.uniform(np.log2(60.0), np.log2(2000.0))
    return np.asarray(sum(np.sin(2 * np.pi * k * pitch * time + random.uniform(0, 6.28)) / k for k in range(1, 7)))


def _chirp(random: np.random.Generator, time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = np.sort(random.uniform(80.0, 9000.0, size=2))
    period = random.uniform(0.3, time[-1])
    phase = (time % period) / period
    return np.asarray(np.sin(2 * np.pi * period * (low * phase + (high - low) * phase**2 / 2)))


def _noise(random: np.random.Generator, time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    spectrum = np.fft.rfft(random.standard_normal(time.size))
    tilt = np.arange(1, spectrum.size + 1) ** -random.uniform(0.0, 1.0)
    return np.asarray(np.fft.irfft(spectrum * tilt, time.size))


def _clicks(random: np.random.Generator, time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    clicks = np.zeros_like(time)
    starts = random.integers(0, time.size, size=random.integers(3, 60))
    clicks[starts] = random.uniform(0.3, 1.0, size=starts.size)
    decay = np.exp(-time * random.uniform(20.0, 300.0)) * random.standard_normal(time.size)
    return np.asarray(np.fft.irfft(np.fft.rfft(clicks, 2 * time.size) * np.fft.rfft(decay, 2 * time.size))[: time.size])


def _swell(random: np.random.Generator, time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A gain in [0, 1] with pauses."""
    slow = np.sin(2 * np.pi * random.uniform(0.1, 1.5) * time + random.uniform(0, 6.28))
    return np.asarray(np.clip(0.5 + slow, 0.0, 1.0))
