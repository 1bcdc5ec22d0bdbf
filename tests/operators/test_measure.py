from __future__ import annotations

import json
import subprocess
import time

import numpy as np
import pyloudnorm
import pytest

from operators.measure import FLOOR_DB, energy_ratio_db, loudness_lufs, measure, peak_dbfs


def breathing_noise(channels: int, sample_rate: int, seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose level moves by 40 dB, so that the relative gate has work to do: `float32[C, T]`."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = np.random.default_rng(seed).standard_normal((channels, len(time)))
    return (0.1 * noise * (0.01 + np.abs(np.sin(time))) ** 2).astype(np.float32)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_loudness_agrees_with_pyloudnorm(sample_rate: int, channels: int) -> None:
    samples = breathing_noise(channels, sample_rate, 7.0)
    theirs = pyloudnorm.Meter(sample_rate, filter_class="DeMan").integrated_loudness(samples.T)
    assert loudness_lufs(samples, sample_rate) == pytest.approx(theirs, abs=1e-3)


def test_loudness_of_surround_agrees_with_ffmpeg() -> None:
    samples = breathing_noise(6, 48000, 7.0)
    command = "ffmpeg -nostats -f f32le -ar 48000 -channel_layout 5.1 -i - -af ebur128=framelog=verbose -f null -"
    log = subprocess.run(command.split(), input=samples.T.tobytes(), capture_output=True, check=True).stderr.decode()
    theirs = float(log.split("Integrated loudness:")[1].split("I:")[1].split("LUFS")[0])
    assert loudness_lufs(samples, 48000) == pytest.approx(theirs, abs=0.06)  # ffmpeg prints one decimal


def test_the_reference_tone_of_the_recommendation_reads_its_level() -> None:
    seconds = np.arange(20 * 48000) / 48000
    tone = (10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * seconds)).astype(np.float32)
    assert loudness_lufs(np.stack([tone, tone]), 48000) == pytest.approx(-23.0, abs=0.1)  # EBU Tech 3341, case 1


def test_too_short_and_too_quiet_are_none() -> None:
    samples = breathing_noise(1, 32000, 2.0)
    assert loudness_lufs(samples[:, : int(0.39 * 32000)], 32000) is None
    assert loudness_lufs(samples[:, : int(0.41 * 32000)], 32000) is not None
    assert loudness_lufs(samples * 1e-5, 32000) is None
    assert loudness_lufs(np.zeros((2, 0), np.float32), 32000) is None


def test_levels_of_silence_are_finite_numbers_or_none() -> None:
    silence, noise = np.zeros((2, 32000), np.float32), breathing_noise(2, 32000, 1.0)
    assert peak_dbfs(silence) == peak_dbfs(silence[:, :0]) == FLOOR_DB
    assert energy_ratio_db(silence, noise) == FLOOR_DB
    assert energy_ratio_db(noise, silence) is None
    measures = measure(silence, silence, 32000)
    assert (measures.peak_dbfs, measures.loudness_lufs, measures.energy_ratio_db) == (FLOOR_DB, None, None)
    json.dumps(measures.__dict__, allow_nan=False)


def test_peak_and_energy_ratio_are_decibels() -> None:
    noise = breathing_noise(2, 32000, 2.0)
    assert energy_ratio_db(noise / 2, noise) == pytest.approx(-6.0206, abs=1e-3)
    assert peak_dbfs(-noise / np.abs(noise).max()) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["stem", "mixture"])
def test_nan_and_infinity_are_refused(bad: float, where: str) -> None:
    signals = {"stem": np.zeros((1, 32000), np.float32), "mixture": np.ones((1, 32000), np.float32)}
    signals[where][0, 7] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        measure(signals["stem"], signals["mixture"], 32000)


def test_a_minute_of_stereo_is_measured_in_tens_of_milliseconds() -> None:
    samples = breathing_noise(2, 32000, 60.0)
    taken = []
    for _ in range(3):
        begin = time.process_time()
        measure(samples, samples, 32000)
        taken.append(time.process_time() - begin)
    assert min(taken) < 0.12  # 32 ms on an idle core; the limit allows for a busy machine
