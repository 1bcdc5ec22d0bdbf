"""Batches of the tone library as schemes see them, single tones or clips of two with a caption, and towers for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from small_model import EMBEDDING, RATE
from tone_library import HERTZ, tone_library
from torch import Tensor
from torch.nn import functional

from model.towers import Towers
from model.training.examples import Examples

SAMPLES = 6000


def tone_examples(step: int, batch: int = 4, sounds: int = 2) -> Examples:
    """Mixtures of `sounds` different tones, each of a random level."""
    random = np.random.default_rng([1, step])
    labels = [list(random.choice(list(HERTZ), size=sounds, replace=False)) for _ in range(batch)]
    waves = torch.stack([torch.stack([_tone(label, random) for label in row]) for row in labels])
    captions = tuple(tuple(map(str, row)) for row in labels)
    return Examples(waves.sum(dim=1), waves, captions, tuple(tuple((c,) for c in row) for row in captions), RATE)


def paired_tone_examples(step: int, batch: int = 3) -> Examples:
    """Mixtures of two clips, each of them of two tones; captions name both, phrases are left to be found in them."""
    random = np.random.default_rng([2, step])
    waves, captions = list[Tensor](), list[tuple[str, ...]]()
    for _ in range(batch):
        labels = [str(label) for label in random.permutation(list(HERTZ))]
        clips = [labels[:2], labels[2:]]
        waves.append(torch.stack([_tone(one, random) + _tone(other, random) for one, other in clips]))
        captions.append(tuple(f"{one} and {other}" for one, other in clips))
    sounds = torch.stack(waves)
    return Examples(sounds.sum(dim=1), sounds, tuple(captions), (((), ()),) * batch, RATE)


class ToneTowers(Towers):
    """Towers that know the tones without having learned: a direction of its own for each, in words as in sound."""

    def __init__(self) -> None:
        super().__init__()
        self.sample_rate, self.width = RATE, EMBEDDING
        self.eval()

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        named = torch.tensor([[float(label in text) for label in HERTZ] for text in texts])
        return functional.normalize(functional.pad(named, (0, EMBEDDING - len(HERTZ))), dim=-1)

    def embed_audio(self, audio: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(audio)
        hertz = torch.linspace(0.0, RATE / 2, spectrum.shape[-1])
        near = torch.stack([(hertz > 0.8 * pitch) & (hertz < 1.2 * pitch) for pitch in HERTZ.values()]).float()
        level = ((spectrum.real**2 + spectrum.imag**2) @ near.T + 1e-6).sqrt()
        return functional.normalize(functional.pad(level, (0, EMBEDDING - len(HERTZ))), dim=-1)


class TextSource:
    """Queries are the captions, embedded by towers."""

    def __init__(self, towers: Towers | None = None) -> None:
        self.towers = towers or ToneTowers()

    @torch.no_grad()
    def __call__(self, examples: Examples, generator: torch.Generator) -> Tensor:
        vectors = self.towers.embed_text([caption for row in examples.captions for caption in row])
        return vectors.reshape(len(examples), -1, vectors.shape[-1])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _tone(label: str, random: np.random.Generator) -> Tensor:
    clips = [clip for clip in _LIBRARY.clips if clip.label == label]
    audio = clips[int(random.integers(len(clips)))].audio
    start = int(random.integers(0, len(audio) - SAMPLES))
    return torch.from_numpy(audio[start : start + SAMPLES] * np.float32(random.uniform(0.3, 1.0)))


_LIBRARY = tone_library()
