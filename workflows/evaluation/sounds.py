"""The sounds of a mixture: its files read, cut and mixed by the rule of its list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from model.mixing import Audio, mix_at_snr
from workflows.evaluation.mixtures import MixingRule, Mixture, Sound


@dataclass(frozen=True)
class MixedSounds:
    """A mixture [T], the target in it, and all else in it; float32 at `sample_rate`."""

    target: Audio
    rest: Audio
    mixture: Audio
    sample_rate: int


def mixed_sounds(mixture: Mixture, model_rate: int) -> MixedSounds:
    """The sounds of a row, at its list's rate or else at the model's. Raises what soundfile does, and ValueError."""
    rule = mixture.rule
    rate = rule.sample_rate or model_rate
    if rule.how == "ready":
        return _ready(mixture, rate)
    target, *noises = (cut_to_length(read_sound(sound, rate), sound, rule, rate) for sound in mixture.sounds)
    length = max(map(len, (target, *noises)))
    target, *noises = (at_length(sound, length) for sound in (target, *noises))
    noise: Audio = np.sum(noises, axis=0, dtype=np.float32)
    if rule.how == "mean":
        target, noise = (sound.clip(-1.0, 1.0) / np.float32(2.0) for sound in (target, noise))
        return MixedSounds(target, noise, target + noise, rate)
    return MixedSounds(*mix_at_snr(target, noise, mixture.snr_db), sample_rate=rate)


def _ready(mixture: Mixture, rate: int) -> MixedSounds:
    target, whole = (read_sound(sound, rate) for sound in mixture.sounds)
    if len(target) != len(whole):
        raise ValueError(
            f"{mixture.sounds[0].path.name} has {len(target)} samples at {rate} Hz, its mixture "
            f"{mixture.sounds[1].path.name} has {len(whole)}; they have to be of one length"
        )
    return MixedSounds(target, whole - target, whole, rate)


def read_sound(sound: Sound, rate: int) -> Audio:
    """The file of a sound; errors name it."""
    try:
        return read_mono(sound.path, rate)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{sound.path} ({sound.column}) cannot be read ({error}); is it whole?") from error


def read_mono(path: Path, rate: int) -> Audio:
    """The file's channels averaged, float32 [T] at `rate`."""
    sound, own = soundfile.read(path, dtype="float32", always_2d=True)
    if not len(sound):
        raise ValueError(f"{path} has no samples")
    mono: Audio = np.ascontiguousarray(sound.mean(axis=1), dtype=np.float32)
    return mono if own == rate else soxr.resample(mono, own, rate).astype(np.float32)


def cut_to_length(samples: Audio, sound: Sound, rule: MixingRule, rate: int) -> Audio:
    """The rule's part of a file: its first samples, or those around its centre; silence where it has none."""
    if rule.samples is None:
        return samples
    if rule.repeats and len(samples) < rule.samples:
        samples = np.tile(samples, rule.samples // len(samples) + 1)
    if not sound.is_centred:
        return at_length(samples[: rule.samples], rule.samples)
    half = rule.samples // 2
    middle = len(samples) // 2
    centre = middle if sound.centre_seconds is None else int(sound.centre_seconds * rate)
    centre = centre if centre <= len(samples) else middle
    start, stop = max(0, centre - half), min(len(samples), centre + half)
    out = np.zeros(rule.samples, np.float32)
    out[half - (centre - start) : half + (stop - centre)] = samples[start:stop]
    return out


def at_length(sound: Audio, length: int) -> Audio:
    """The sound, silence after it."""
    return np.pad(sound, (0, length - len(sound)))
