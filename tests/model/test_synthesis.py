"""Procedural sounds: exact length and level, reproducible, never twice the same, and different from each other."""

from __future__ import annotations

import numpy as np
import pytest

from model.synthesis import GENERATORS, PEAK, SYNTHESIS_CAPTIONS, synthesise

HELD_OUT = """airplane boiling_water car_horn cat church_bells clock_alarm coughing cow crickets crow door_wood_creaks
drinking_sipping fireworks frog hand_saw hen horse_gallop keyboard_typing laughing owl pig seagulls sheep singing_bowl
siren slide_projector thunderstorm train typewriter washing_machine wind_chimes wolf woodpecker""".split()


def draw(label: str, seed: int, seconds: float = 2.0, sample_rate: int = 16_000) -> np.ndarray:
    return synthesise(label, seconds, sample_rate, np.random.default_rng(seed))


def test_there_are_captions_for_every_generator() -> None:
    assert len(GENERATORS) >= 20
    assert set(GENERATORS) == set(SYNTHESIS_CAPTIONS)
    assert all(len(set(captions)) >= 2 for captions in SYNTHESIS_CAPTIONS.values())


def test_no_label_is_held_out() -> None:
    assert not set(GENERATORS) & set(HELD_OUT)


@pytest.mark.parametrize("label", sorted(GENERATORS))
def test_a_draw_has_the_length_and_the_peak_it_promises(label: str) -> None:
    for seed, seconds, sample_rate in [(0, 0.5, 16_000), (1, 1.2345, 44_100), (2, 3.0, 32_000), (3, 2.0, 8_000)]:
        sound = draw(label, seed, seconds, sample_rate)
        assert sound.shape == (round(seconds * sample_rate),)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() == pytest.approx(PEAK, abs=1e-6)
        assert abs(sound.mean()) < 0.01


@pytest.mark.parametrize("label", sorted(GENERATORS))
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_sound(label: str) -> None:
    first = draw(label, 5)
    assert first.tobytes() == draw(label, 5).tobytes()
    other = draw(label, 6)
    assert abs(np.dot(first, other)) < 0.9 * np.linalg.norm(first) * np.linalg.norm(other)


def test_about_half_of_the_draws_of_a_sustained_sound_have_gaps() -> None:
    def has_gap(sound: np.ndarray) -> bool:
        level = np.sqrt(np.square(sound.reshape(-1, 1600)).mean(1))
        return bool((level < 0.02 * level.max()).any())

    with_gaps = sum(
        has_gap(draw(label, seed, 6.0)) for label in ("vacuum_cleaner", "rain", "engine") for seed in range(10)
    )
    assert 9 <= with_gaps <= 21


def test_sounds_of_different_kinds_differ_in_their_spectra() -> None:
    def centroid(label: str) -> float:
        power = sum(np.square(np.abs(np.fft.rfft(draw(label, seed, 4.0, 32_000)))) for seed in range(3))
        return float((power * np.fft.rfftfreq(128_000, 1 / 32_000)).sum() / power.sum())

    order = ["bass_drum", "engine", "flute", "rain", "hi_hat"]
    centroids = [centroid(label) for label in order]
    assert centroids == sorted(centroids)


def test_an_unknown_label_and_too_short_a_draw_are_explained() -> None:
    with pytest.raises(ValueError, match="no generator for label = 'siren'; known are acoustic_guitar"):
        draw("siren", 0)
    with pytest.raises(ValueError, match=r"seconds = 0.1 is too short"):
        draw("dog", 0, 0.1)
