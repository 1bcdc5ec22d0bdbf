"""Mixtures as each list's authors make them: ratio, length, place of the cut, peak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from model.mixing import Audio
from workflows.evaluation.mixtures import MixingRule, Mixture, Sound
from workflows.evaluation.sounds import mixed_sounds

RATE = 1000
MEAN = MixingRule("", how="mean", sample_rate=RATE, samples=100, repeats=True)


def mixture(folder: Path, target: Audio, noise: Audio, rule: MixingRule, snr_db: float = 0.0) -> Mixture:
    for name, sound in (("target", target), ("noise", noise)):
        soundfile.write(folder / f"{name}.wav", sound, RATE, subtype="FLOAT")
    sounds = [Sound(folder / f"{name}.wav", name, is_centred=rule.how == "mean") for name in ("target", "noise")]
    return Mixture(0, 2, sounds[0], (sounds[1],), rule, "a sound", snr_db=snr_db)


def ramp(samples: int, scale: float = 1e-3) -> Audio:
    return (np.arange(1, samples + 1) * scale).astype(np.float32)


def test_a_ratio_is_kept_and_the_shorter_sound_is_followed_by_silence(tmp_path: Path) -> None:
    mixed = mixed_sounds(mixture(tmp_path, ramp(80), ramp(50), MixingRule(""), snr_db=6.0), RATE)
    assert (len(mixed.target), len(mixed.mixture), mixed.sample_rate) == (80, 80, RATE)
    assert not mixed.rest[50:].any()
    ratio = np.square(mixed.target).sum() / np.square(mixed.rest).sum()
    assert 10 * np.log10(ratio) == pytest.approx(6.0, abs=1e-3)
    assert np.allclose(mixed.mixture, mixed.target + mixed.rest, atol=1e-6)


def test_a_fixed_length_cuts_the_end_and_fills_with_silence(tmp_path: Path) -> None:
    mixed = mixed_sounds(mixture(tmp_path, ramp(150), ramp(40), MixingRule("", sample_rate=RATE, samples=100)), 8000)
    assert (len(mixed.mixture), mixed.sample_rate) == (100, RATE)
    assert np.allclose(mixed.target, ramp(100))
    assert not mixed.rest[40:].any()


def test_what_exceeds_1_is_scaled_to_a_peak_of_point_9_target_and_all(tmp_path: Path) -> None:
    loud = np.full(50, 0.8, np.float32)
    mixed = mixed_sounds(mixture(tmp_path, loud, loud, MixingRule("")), RATE)
    assert np.abs(mixed.mixture).max() == pytest.approx(0.9)
    assert mixed.target.max() == pytest.approx(0.45)


def test_the_mean_is_of_the_middle_of_both_and_short_ones_are_repeated(tmp_path: Path) -> None:
    mixed = mixed_sounds(mixture(tmp_path, ramp(300), ramp(60), MEAN), RATE)
    assert np.allclose(mixed.target, ramp(300)[100:200] / 2)
    assert np.allclose(mixed.rest, np.tile(ramp(60), 2)[10:110] / 2)
    assert np.allclose(mixed.mixture, mixed.target + mixed.rest)
    cut = mixed_sounds(mixture(tmp_path, ramp(300), ramp(60), replace(MEAN, repeats=False)), RATE)
    assert np.count_nonzero(cut.rest) == 60
    assert not cut.rest[:20].any()
    assert not cut.rest[80:].any()


def test_a_centre_near_the_beginning_has_silence_before_it(tmp_path: Path) -> None:
    asked = mixture(tmp_path, ramp(300), ramp(300), MEAN)
    early = replace(asked, target=replace(asked.target, centre_seconds=0.03))
    target = mixed_sounds(early, RATE).target
    assert not target[:20].any()
    assert np.allclose(target[20:], ramp(300)[:80] / 2)
    beyond = replace(asked, target=replace(asked.target, centre_seconds=9.0))
    assert np.allclose(mixed_sounds(beyond, RATE).target, ramp(300)[100:200] / 2)


def test_a_ready_made_mixture_is_taken_as_it_is_and_the_rest_is_the_difference(tmp_path: Path) -> None:
    asked = mixture(tmp_path, ramp(50), ramp(50, 3e-3), MixingRule("", how="ready"))
    mixed = mixed_sounds(replace(asked, ready=asked.noises[0]), RATE)
    assert np.allclose(mixed.mixture, ramp(50, 3e-3))
    assert np.allclose(mixed.rest, ramp(50, 2e-3))


def test_a_ready_made_mixture_of_another_length_is_refused(tmp_path: Path) -> None:
    asked = mixture(tmp_path, ramp(50), ramp(60), MixingRule("", how="ready"))
    with pytest.raises(ValueError, match=r"target\.wav has 50 samples at 1000 Hz, its mixture noise\.wav has 60"):
        mixed_sounds(replace(asked, ready=asked.noises[0]), RATE)


def test_a_file_that_is_cut_off_or_empty_is_named(tmp_path: Path) -> None:
    asked = mixture(tmp_path, ramp(50), ramp(60), MixingRule(""))
    asked.target.path.write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"target.wav \(target\) cannot be read"):
        mixed_sounds(asked, RATE)
    soundfile.write(asked.target.path, np.zeros(0), RATE)
    with pytest.raises(ValueError, match=r"target.wav has no samples"):
        mixed_sounds(asked, RATE)
