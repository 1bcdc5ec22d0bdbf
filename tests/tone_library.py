"""A library of synthetic sounds that a small network learns within seconds: four labels, one band of pitch each."""

from __future__ import annotations

import numpy as np
from small_model import RATE

from model.training.clips import Clip, ClipLibrary

HERTZ = {"low tone": 150.0, "middle tone": 400.0, "high tone": 900.0, "shrill tone": 1600.0}


def tone_library(clips_per_label: int = 3, seconds: float = 2.0) -> ClipLibrary:
    time = np.arange(round(seconds * RATE)) / RATE
    random = np.random.default_rng(0)
    clips = []
    for label, hertz in HERTZ.items():
        for _ in range(clips_per_label):
            beat = 0.6 + 0.4 * np.sin(2 * np.pi * random.uniform(1, 4) * time)
            tone = 0.4 * beat * np.sin(2 * np.pi * hertz * random.uniform(0.95, 1.05) * time)
            clips.append(Clip(label, np.round(32767 * tone).astype(np.int16)))
    return ClipLibrary(clips, {label: [label, f"a {label} sounds"] for label in HERTZ}, {})
