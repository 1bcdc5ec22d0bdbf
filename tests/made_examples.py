"""Examples of a training step in code: sounds at 4 kHz that add up to their mixtures, with and without words."""

from __future__ import annotations

import numpy as np
import torch
from small_model import RATE, lively

from model.training.examples import Examples

WORDS = (("a dog barking", "rain falling"), ("a bell", "a dog barking"), ("wind in the trees", "a car passing"))


def made_examples(
    captions: tuple[tuple[str, ...], ...] = WORDS, seconds: float = 1.5, rate: int = RATE, seed: int = 0
) -> Examples:
    """As many mixtures as rows of captions, of as many sounds."""
    rows = [
        np.stack([lively(seconds, seed=seed + 10 * b + s, rate=rate)[0] for s in range(len(row))])
        for b, row in enumerate(captions)
    ]
    sounds = torch.from_numpy(np.stack(rows))
    phrases = tuple(tuple((caption,) for caption in row) for row in captions)
    return Examples(sounds.sum(dim=1), sounds, captions, phrases, rate)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
