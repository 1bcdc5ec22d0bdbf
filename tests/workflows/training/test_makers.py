"""What makers of sounds have in common: length and level, the same bytes for the same seed, words for every label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from tools import needs_program

from workflows.training.clip_library import MAKERS
from workflows.training.clip_list import MADE, TrainingDataError

RATE = 16_000


@dataclass(frozen=True, slots=True)
class By:
    """A maker, one of its labels, the program that it calls and the packages that bring it."""

    kind: str
    label: str
    program: str
    packages: str

    def __call__(self, seed: int = 0) -> np.ndarray:
        return MAKERS[self.kind].make(self.label, 2.0, RATE, np.random.default_rng(seed))


ESPEAK = By("speech", "male_speech", "espeak-ng", "espeak-ng")
FLUIDSYNTH = By("instruments", "violin", "fluidsynth", "fluidsynth fluid-soundfont-gm")


@pytest.mark.parametrize(
    "drawn", [pytest.param(by, marks=needs_program(by.program, by.packages), id=by.kind) for by in (ESPEAK, FLUIDSYNTH)]
)
def test_a_draw_has_its_length_and_level_and_the_same_seed_gives_the_same_bytes(drawn: By) -> None:
    first = drawn()
    assert (first.shape, first.dtype) == ((2 * RATE,), np.float32)
    assert float(np.abs(first).max()) == pytest.approx(0.5)
    assert first.tobytes() == drawn().tobytes()
    assert first.tobytes() != drawn(1).tobytes()


@pytest.mark.parametrize("drawn", [ESPEAK, FLUIDSYNTH], ids=lambda by: by.kind)
def test_without_the_program_it_is_said_what_to_install(drawn: By, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TrainingDataError, match=f"{drawn.program} is not installed.*apt-get install {drawn.packages}"):
        drawn()


def test_every_kind_has_a_maker_with_words() -> None:
    assert set(MAKERS) == set(MADE)
    assert set(MAKERS["speech"].captions) == {"male_speech", "female_speech"}
