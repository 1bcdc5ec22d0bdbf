"""Varied clips: the same for the same seed, the truth of mixtures stays true, rooms ring and narrow lines end."""

from __future__ import annotations

import numpy as np
import pytest

from model.training.variation import Places, room, varied_crop, vary

RATE = 32_000
EVERYWHERE = Places(RATE, room_share=1.0, narrow_share=1.0)
ROOMS = Places(RATE, room_share=1.0)
NARROW = Places(RATE, narrow_share=1.0)


def noise(samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def power_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def octave_db(sound: np.ndarray, hertz: float) -> float:
    """Mean power from `hertz` to twice as much."""
    spectrum = np.abs(np.fft.rfft(sound))
    bins = np.fft.rfftfreq(len(sound), 1 / RATE)
    return power_db(spectrum[(bins >= hertz) & (bins < 2 * hertz)])


@pytest.mark.parametrize("places", [None, EVERYWHERE])
@pytest.mark.parametrize("length", [30, 1000, 8000])
def test_same_seed_same_bytes_and_another_seed_another_variation(length: int, places: Places | None) -> None:
    clip = noise(length)
    first, again, other = (varied_crop(clip, 2000, np.random.default_rng(seed), places) for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes()
    assert first.shape == (2000,)
    assert first.dtype == np.float32
    assert not np.array_equal(first, other)


def test_a_variation_stays_within_a_few_db_and_finite_and_leaves_its_input_untouched() -> None:
    clip = noise(8000)
    before = clip.copy()
    for seed in range(40):
        varied = vary(clip, np.random.default_rng(seed), EVERYWHERE if seed % 2 else None)
        assert np.isfinite(varied).all()
        assert 8000 / 1.14 < len(varied) < 8000 / 0.87 + seed % 2 * RATE  # a room rings on
        assert abs(power_db(varied) - power_db(clip)) < 13
    assert np.array_equal(clip, before)


@pytest.mark.parametrize("places", [None, EVERYWHERE])
def test_the_variation_of_a_sum_is_the_sum_of_the_variations(places: Places | None) -> None:
    one, other = noise(8000, 1), noise(8000, 2)
    for seed in range(8):
        parts = [vary(clip, np.random.default_rng(seed), places) for clip in (one, other)]
        assert np.allclose(vary(one + other, np.random.default_rng(seed), places), sum(parts), atol=2e-5)


def test_the_answer_of_a_room_begins_with_the_sound_decays_and_grows_dull() -> None:
    dulled = []
    for seed in range(20):
        response = room(RATE, np.random.default_rng(seed))
        assert response[0] == 1.0
        early, middle, late = np.array_split(response[1:], 3)
        assert power_db(early) > power_db(middle) + 5 > power_db(late) + 10
        tilts = [octave_db(part, 6000) - octave_db(part, 500) for part in (early, late)]
        dulled.append(tilts[0] - tilts[1])
    assert np.mean(dulled) > 3


def test_in_a_room_a_sound_rings_on() -> None:
    clip = np.zeros(RATE, np.float32)
    clip[:1000] = noise(1000)
    for seed in range(10):
        anywhere, ringing = (vary(clip, np.random.default_rng(seed), places)[2000:6000] for places in (None, ROOMS))
        assert power_db(ringing) > power_db(anywhere) + 15


def test_a_short_clip_is_not_cut_off_while_the_room_rings() -> None:
    clip = noise(4000)
    for seed in range(10):
        heard = varied_crop(clip, 5 * RATE, np.random.default_rng(seed), ROOMS)
        end = int(np.flatnonzero(heard)[-1])
        assert np.abs(heard[end - 100 : end]).max() < 0.03 * np.abs(heard).max()


def test_over_a_narrow_line_the_highest_frequencies_are_missing_and_no_others() -> None:
    clip = noise(RATE)
    for seed in range(10):
        narrow = vary(clip, np.random.default_rng(seed), NARROW)
        for octave in (125, 500, 1000):
            assert abs(octave_db(narrow, octave) - octave_db(clip, octave)) < 13  # an equaliser may have been passed
        spectrum = np.abs(np.fft.rfft(narrow))
        hertz = np.fft.rfftfreq(len(narrow), 1 / RATE)
        assert power_db(spectrum[hertz > 14_000]) < power_db(spectrum[hertz < 2_000]) - 40
