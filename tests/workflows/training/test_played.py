"""Instruments by fluidsynth: the pitch that was asked for, drums that hit, a soundfont that is looked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tools import needs_program

from workflows.training.clip_list import TrainingDataError
from workflows.training.played import INSTRUMENTS, KIT, PLAYED_CAPTIONS, PROGRAM, SOUNDFONT, check_instruments, play

RATE = 16_000
needs_fluidsynth = needs_program(PROGRAM, "fluidsynth fluid-soundfont-gm")


def drawn(label: str, seed: int = 0) -> np.ndarray:
    return play(label, 2.0, RATE, np.random.default_rng(seed))


def strongest_hertz(sound: np.ndarray) -> float:
    """The strongest partial."""
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


def test_every_label_has_words_and_keys_that_exist() -> None:
    assert set(PLAYED_CAPTIONS) == set(INSTRUMENTS) | set(KIT)
    assert all(len(words) >= 2 for words in PLAYED_CAPTIONS.values())
    assert all(0 <= low < high <= 127 for low, high in (kind.keys for kind in INSTRUMENTS.values()))


@needs_fluidsynth
@pytest.mark.parametrize(("label", "lowest", "highest"), [("double_bass", 40, 450), ("flute", 250, 1_800)])
def test_an_instrument_plays_in_its_range(label: str, lowest: float, highest: float) -> None:
    assert all(lowest < strongest_hertz(drawn(label, seed)) < highest for seed in range(3))


@needs_fluidsynth
def test_a_drum_is_heard_by_hits() -> None:
    level = np.abs(drawn("snare_drum")).reshape(-1, RATE // 50).max(axis=1)  # 20 ms each
    assert level.max() > 20 * np.quantile(level, 0.1)


def test_a_soundfont_that_is_named_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("workflows.training.played.PROGRAM", "true")  # a program that is everywhere
    monkeypatch.setattr("workflows.training.played.SOUNDFONTS", ("/nowhere.sf2",))
    monkeypatch.delenv(SOUNDFONT, raising=False)
    with pytest.raises(TrainingDataError, match=f"no soundfont for true at /nowhere.sf2.*{SOUNDFONT}"):
        check_instruments()
    font = tmp_path / "own.sf2"
    monkeypatch.setenv(SOUNDFONT, str(font))
    with pytest.raises(TrainingDataError, match=f"{SOUNDFONT} is '.*own.sf2', and there is no such file"):
        check_instruments()
    font.write_bytes(b"RIFF....WAVE")
    with pytest.raises(TrainingDataError, match=r"own\.sf2 is no soundfont"):
        check_instruments()
    font.write_bytes(b"RIFF....sfbk")
    assert check_instruments()[1] == str(font)
