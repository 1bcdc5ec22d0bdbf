"""Clips to validate on where labels are no classes: recordings that nobody named, and captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from workflows.training.clip_library import gather, split_off
from workflows.training.clip_list import ClipRules

RATE = 8000


def test_a_folder_of_recordings_without_words_has_some_to_validate_on(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for number in range(40):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * generator.normal(size=RATE // 10), RATE)
    library = gather([str(tmp_path)], ClipRules(), RATE).library
    training, validation = split_off(library, 0.3)
    assert 4 < len(validation.clips) < 24
    assert len(training.clips) + len(validation.clips) == 40
    assert set(training.labels).isdisjoint(validation.labels)
