"""Mixtures: the level that was asked for, the declipping rule, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.mixing import lively_crop, mix_at_snr


def noise(samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def power_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64))))


@settings(max_examples=50, deadline=None)
@given(st.floats(-30, 30), st.floats(0.001, 0.5), st.floats(0.001, 0.5), st.integers(0, 1000))
def test_the_snr_is_exact_and_the_parts_add_up(snr_db: float, target: float, other: float, seed: int) -> None:
    a, b, mixture = mix_at_snr(noise(4000, seed, target), noise(4000, seed + 1, other), snr_db)
    assert power_db(a) - power_db(b) == pytest.approx(snr_db, abs=1e-3)
    assert np.allclose(a + b, mixture, atol=1e-6)
    assert np.abs(mixture).max() <= 1.0
    assert a.dtype == b.dtype == mixture.dtype == np.float32


def test_a_mixture_above_full_scale_is_turned_down_to_nine_tenths_and_no_other() -> None:
    loud, quiet = noise(4000, 1, 0.9), noise(4000, 2, 0.05)
    target, _, mixture = mix_at_snr(loud, loud[::-1], 0.0)
    assert np.abs(mixture).max() == pytest.approx(0.9, abs=1e-6)
    assert power_db(target) < power_db(loud)
    target, _, mixture = mix_at_snr(quiet, quiet[::-1], 0.0)
    assert np.abs(mixture).max() < 0.9
    assert np.array_equal(target, quiet)


def test_a_silent_noise_stays_silent_and_the_target_as_it_was() -> None:
    target = noise(1000)
    kept, silence, mixture = mix_at_snr(target, np.zeros(1000, np.float32), 10.0)
    assert not silence.any()
    assert np.array_equal(kept, target)
    assert np.array_equal(mixture, target)


def test_mixing_leaves_its_inputs_untouched() -> None:
    target, other = noise(1000, 0, 0.9), noise(1000, 1, 0.9)
    before = target.copy(), other.copy()
    mix_at_snr(target, other, 0.0)
    lively_crop(target, 100, np.random.default_rng(0))[:] = 7.0
    assert np.array_equal(target, before[0])
    assert np.array_equal(other, before[1])


@pytest.mark.parametrize("length", [1, 500, 999, 1000, 1001, 5000])
def test_a_crop_has_the_length_asked_for_and_is_a_piece_of_the_clip(length: int) -> None:
    ramp = np.arange(1, length + 1, dtype=np.float32)
    crop = lively_crop(ramp, 1000, np.random.default_rng(length))
    assert crop.shape == (1000,)
    sounding = crop[crop > 0]
    assert len(sounding) == min(length, 1000)
    assert (np.diff(sounding) == 1).all()


def test_a_crop_looks_for_the_sound() -> None:
    clip = np.zeros(20_000, np.float32)
    clip[9000:11_000] = noise(2000)
    found = [lively_crop(clip, 4000, np.random.default_rng(seed)).any() for seed in range(200)]
    one_try = [lively_crop(clip, 4000, np.random.default_rng(seed), tries=1).any() for seed in range(200)]
    assert np.mean(found) > np.mean(one_try) + 0.15
