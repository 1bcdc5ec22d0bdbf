"""Resampling inside the network: tones stay what they are, levels too, and what lies beyond the new band is gone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import soxr
import torch
from torch import Tensor

from model.resample import Resample

RATES = [(32_000, 48_000), (48_000, 32_000), (4000, 48_000), (44_100, 48_000)]
EDGE = 0.01
"""Seconds at both ends in which the silence around a signal is heard."""


def tone(hertz: float, rate: int, seconds: float = 0.5, phase: float = 0.3) -> Tensor:
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return torch.sin(2 * math.pi * hertz * time + phase).float()[None]


def inner(signal: Tensor, rate: int) -> Tensor:
    return signal[..., round(EDGE * rate) : -round(EDGE * rate)]


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("samples", [1, 7, 319, 320, 4801])
def test_the_length_is_that_of_the_same_time_rounded_up(source: int, target: int, samples: int) -> None:
    assert Resample(source, target)(torch.zeros(2, samples)).shape == (2, math.ceil(samples * target / source))


def test_ten_seconds_stay_ten_seconds() -> None:
    assert Resample(32_000, 48_000)(torch.zeros(1, 320_000)).shape == (1, 480_000)


@pytest.mark.parametrize(("source", "target"), RATES)
def test_a_tone_stays_that_tone(source: int, target: int) -> None:
    for share, tolerance in ((0.02, 1e-3), (0.3, 2e-3), (0.6, 5e-3), (0.8, 0.1)):  # of the lower Nyquist frequency
        hertz = share * min(source, target) / 2
        heard, expected = Resample(source, target)(tone(hertz, source)), tone(hertz, target)
        assert float((inner(heard, target) - inner(expected, target)).abs().max()) < tolerance, hertz


@pytest.mark.parametrize(("source", "target"), RATES)
def test_a_constant_keeps_its_level(source: int, target: int) -> None:
    heard = inner(Resample(source, target)(torch.ones(1, source)), target)
    assert float((heard - 1.0).abs().max()) < 1e-3


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    above = Resample(48_000, 32_000)(tone(20_000, 48_000))
    assert float(inner(above, 32_000).abs().max()) < 1e-2


def test_a_signal_does_not_depend_on_its_batch() -> None:
    signals = torch.randn(3, 3200, generator=torch.Generator().manual_seed(0))
    resample = Resample(32_000, 48_000)
    together, alone = resample(signals), torch.cat([resample(row[None]) for row in signals])
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_delay_of_whole_frames_is_a_delay() -> None:
    signal = torch.randn(1, 3200, generator=torch.Generator().manual_seed(1))
    resample = Resample(32_000, 48_000)
    late = resample(torch.cat([torch.zeros(1, 320), signal], dim=1))
    assert torch.allclose(late[:, 480:], resample(signal), atol=1e-6)


def test_in_the_pass_band_it_agrees_with_other_resamplers() -> None:
    """Noise up to 9 kHz; six zero crossings roll off above, where longer filters do not."""
    random = np.random.default_rng(3)
    lowpass = scipy.signal.firwin(511, 9000, fs=32_000)
    noise = scipy.signal.lfilter(lowpass, 1.0, 0.1 * random.standard_normal(32_000)).astype(np.float32)
    ours = Resample(32_000, 48_000)(torch.from_numpy(noise)[None])[0].numpy()
    for theirs in (soxr.resample(noise, 32_000, 48_000, quality="VHQ"), scipy.signal.resample(noise, 48_000)):
        difference = (ours - theirs)[2400:-2400]
        assert np.sqrt(np.mean(difference**2)) < 3e-3 * np.sqrt(np.mean(theirs**2))
    worse = np.interp(np.arange(48_000) * 2 / 3, np.arange(32_000), noise) - ours
    assert np.sqrt(np.mean(worse**2)) > 0.05 * np.sqrt(np.mean(ours**2))  # the noise is one that can tell
