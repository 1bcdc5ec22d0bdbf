"""Mixtures made on the fly: crops with sound in them, levels in dB, and the declipping rule of the evaluation lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]


def as_audio(sound: Audio | NDArray[np.int16]) -> Audio:
    """A sound of int16 as float32 in [-1, 1); one of float32 as it is."""
    if sound.dtype == np.float32:
        return sound  # type: ignore[return-value]
    return sound.astype(np.float32) / np.float32(32768.0)


def lively_crop(
    clip: Audio | NDArray[np.int16], samples: int, generator: np.random.Generator, *, tries: int = 3
) -> Audio:
    """`samples` of `clip`, the loudest of a few random crops; a shorter clip is set at a random place in silence.

    A clip of int16 comes back as float32 in [-1, 1), and only what is kept of it is converted.
    """
    if len(clip) <= samples:
        out = np.zeros(samples, dtype=np.float32)
        start = int(generator.integers(0, samples - len(clip) + 1))
        out[start : start + len(clip)] = as_audio(clip)
        return out
    starts = generator.integers(0, len(clip) - samples + 1, size=tries)
    crops = [clip[start : start + samples] for start in starts]
    return as_audio(max(crops, key=lambda crop: float(np.square(as_audio(crop[::8])).sum()))).copy()


def at_snr(target: Audio, noise: Audio, snr_db: float) -> Audio:
    """`noise`, scaled so that the mean power of `target` is `snr_db` above its own. A silent noise stays silent."""
    target_power, noise_power = float(np.mean(np.square(target))), float(np.mean(np.square(noise)))
    gain = np.sqrt(target_power / noise_power / 10.0 ** (snr_db / 10.0)) if noise_power > 0.0 else 0.0
    scaled: Audio = (noise * np.float32(gain)).astype(np.float32)
    return scaled


def mix_at_snr(target: Audio, noise: Audio, snr_db: float) -> tuple[Audio, Audio, Audio]:
    """(target, scaled noise, mixture) with mean power ratio `snr_db`; all three scaled by 0.9 / peak when the
    mixture exceeds 1.

    A silent noise stays silent. The rule is the one of the development list.
    """
    noise = at_snr(target, noise, snr_db)
    mixture = target + noise
    peak = float(np.abs(mixture).max(initial=0.0))
    if peak > 1.0:
        scale = np.float32(0.9 / peak)
        return target * scale, noise * scale, mixture * scale
    return target, noise, mixture
