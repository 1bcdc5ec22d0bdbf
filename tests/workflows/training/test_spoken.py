"""Speech by espeak-ng: men lower than women."""

from __future__ import annotations

import numpy as np
from tools import needs_program

from workflows.training.spoken import PROGRAM, speak

RATE = 16_000


def drawn(label: str, seed: int = 0) -> np.ndarray:
    return speak(label, 2.0, RATE, np.random.default_rng(seed))


def pitch_hertz(sound: np.ndarray) -> float:
    """Median of the strongest periods between 60 and 400 Hz, over frames with voice in them."""
    frames = sound[: len(sound) // 640 * 640].reshape(-1, 640)
    loud = frames[np.square(frames).mean(axis=1) > 0.1 * np.square(frames).mean(axis=1).max()]
    same = np.fft.irfft(np.abs(np.fft.rfft(loud, 2048, axis=1)) ** 2, axis=1)[:, RATE // 400 : RATE // 60]
    return float(np.median(RATE / (same.argmax(axis=1) + RATE // 400)))


@needs_program(PROGRAM, "espeak-ng")
def test_men_speak_lower_than_women() -> None:
    men, women = ([pitch_hertz(drawn(label, seed)) for seed in range(6)] for label in ("male_speech", "female_speech"))
    assert np.median(men) < 0.8 * np.median(women)
