"""Sounds made a little other before they serve as queries, so that a network cannot copy what it hears in them.

CLAPSep (arXiv 2402.17455, code) varies its audio queries by speed perturbation and SpecAugment. Here the stretches of
time are silenced in the sound itself; bands of frequency are not, since that needs a hand inside the tower. Every
sound draws for itself.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from model.resample import Resample

SPEEDS: Final = ((9, 10), (11, 10))
"""Speeds of 0.9 and 1.1, as fractions (CLAPSep)."""
SILENCES: Final = 2
SILENCE_SECONDS: Final = 0.64
"""So many stretches of at most this length are silenced: two of 64 frames of 10 ms (CLAPSep)."""


def varied(sounds: Tensor, sample_rate: int, generator: torch.Generator) -> Tensor:
    """Sounds [N, T] at another speed each, then with stretches of silence; their length stays."""
    return silenced(at_other_speed(sounds, generator), sample_rate, generator)


def at_other_speed(sounds: Tensor, generator: torch.Generator) -> Tensor:
    """Sounds [N, T], each at a speed drawn from `SPEEDS`: cut at T, or followed by silence up to T."""
    samples = sounds.shape[-1]
    drawn = torch.randint(len(SPEEDS), (len(sounds),), generator=generator, device=generator.device).to(sounds.device)
    out = torch.zeros_like(sounds)
    for number, (source, target) in enumerate(SPEEDS):
        rows = (drawn == number).nonzero()[:, 0]
        if len(rows):
            faster = Resample(source, target).to(sounds.device)(sounds[rows])[:, :samples]
            out[rows] = functional.pad(faster, (0, samples - faster.shape[-1]))
    return out


def silenced(sounds: Tensor, sample_rate: int, generator: torch.Generator) -> Tensor:
    """Sounds [N, T] with `SILENCES` stretches each of zeros: up to `SILENCE_SECONDS`, and up to half the sound."""
    count, samples = sounds.shape
    longest = min(SILENCE_SECONDS * sample_rate, samples / 2)
    draw = torch.rand(2, count, SILENCES, 1, generator=generator, device=generator.device).to(sounds.device)
    length = draw[0] * longest
    start = draw[1] * (samples - length)
    time = torch.arange(samples, device=sounds.device)
    silent = ((time >= start) & (time < start + length)).any(dim=1)  # (N, T)
    return sounds.masked_fill(silent, 0.0)
