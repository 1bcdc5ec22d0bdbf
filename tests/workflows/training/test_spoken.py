"""Speech by espeak-ng: men lower than women, no two draws alike, the same bytes for the same seed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from workflows.training.clip_list import TrainingDataError
from workflows.training.spoken import PROGRAM, SPOKEN_CAPTIONS, speak

RATE = 16_000
needs_program = pytest.mark.skipif(
    shutil.which(PROGRAM) is None, reason="espeak-ng is not installed: apt-get install espeak-ng"
)


def drawn(label: str, seed: int = 0) -> np.ndarray:
    return speak(label, 2.0, RATE, np.random.default_rng(seed))


def pitch_hertz(sound: np.ndarray) -> float:
    """Median of the strongest periods between 60 and 400 Hz, over frames with voice in them."""
    frames = sound[: len(sound) // 640 * 640].reshape(-1, 640)
    loud = frames[np.square(frames).mean(axis=1) > 0.1 * np.square(frames).mean(axis=1).max()]
    same = np.fft.irfft(np.abs(np.fft.rfft(loud, 2048, axis=1)) ** 2, axis=1)[:, RATE // 400 : RATE // 60]
    return float(np.median(RATE / (same.argmax(axis=1) + RATE // 400)))


@needs_program
def test_a_draw_has_its_length_and_level_and_the_same_seed_gives_the_same_bytes() -> None:
    first = drawn("male_speech")
    assert (first.shape, first.dtype) == ((2 * RATE,), np.float32)
    assert float(np.abs(first).max()) == pytest.approx(0.5)
    assert first.tobytes() == drawn("male_speech").tobytes()
    assert first.tobytes() != drawn("male_speech", 1).tobytes()


@needs_program
def test_men_speak_lower_than_women() -> None:
    men, women = ([pitch_hertz(drawn(label, seed)) for seed in range(6)] for label in ("male_speech", "female_speech"))
    assert np.median(men) < 0.8 * np.median(women)


def test_without_the_program_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TrainingDataError, match=r"espeak-ng is not installed.*apt-get install espeak-ng"):
        drawn("male_speech")
    assert set(SPOKEN_CAPTIONS) == {"male_speech", "female_speech"}
