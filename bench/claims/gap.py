"""The gap between the vectors of sounds and of their words: how wide it is, and towers that have a wide one.

The two kinds of vectors of large contrastive models lie in two separate cones (Liang et al., arXiv 2203.02053: 0.82
between the centres of CLIP's), which is what audio-only training suffers from. Towers trained on few labels with many
clips may have hardly any gap. `ApartTowers` adds one constant vector to all audio vectors, the form that paper finds
the gap to have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from numpy.random import default_rng
from torch import Tensor
from torch.nn import functional

from model.mixing import lively_crop
from model.towers import Towers
from model.training.clips import ClipLibrary

SECONDS: Final = 5.0
SEED: Final = 5


@dataclass(frozen=True)
class ModalityGap:
    """`centres`: distance between the mean vectors of sounds and of words; `own` and `other`: mean cosines of a sound
    with the words of its label, and with those of other labels."""

    centres: float
    own: float
    other: float

    def __str__(self) -> str:
        return (
            f"{self.centres:.2f} apart; a sound's cosine with the words of its label is {self.own:.2f}, with those of "
            f"another {self.other:.2f}"
        )


@torch.inference_mode()
def modality_gap(towers: Towers, library: ClipLibrary) -> ModalityGap:
    """The gap on the clips of a library, each heard for some seconds, every label counting alike."""
    words = torch.stack([towers.embed_text(library.wordings[label]).mean(dim=0) for label in library.labels])
    sounds = torch.stack([_sounds(label, towers, library).mean(dim=0) for label in library.labels])  # (L, D)
    cosines = sounds @ functional.normalize(words, dim=-1).T
    same = torch.eye(len(words), dtype=torch.bool)
    return ModalityGap(
        float((sounds.mean(dim=0) - words.mean(dim=0)).norm()),
        float(cosines[same].mean()),
        float(cosines[~same].mean()),
    )


class ApartTowers(Towers):
    """Towers whose audio vectors are all moved by `distance` in one direction, and given unit length again."""

    def __init__(self, towers: Towers, distance: float) -> None:
        super().__init__()
        self.towers, self.sample_rate, self.width = towers, towers.sample_rate, towers.width
        drawn = torch.randn(towers.width, generator=torch.Generator().manual_seed(SEED))
        self.register_buffer("moved", distance * functional.normalize(drawn, dim=0))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        return self.towers.embed_text(texts)

    def embed_audio(self, audio: Tensor) -> Tensor:
        return functional.normalize(self.towers.embed_audio(audio) + self.moved, dim=-1)


def _sounds(label: str, towers: Towers, library: ClipLibrary) -> Tensor:
    """Vectors [N, D] of the clips of a label."""
    samples, random = int(SECONDS * towers.sample_rate), default_rng(SEED)
    clips = [library.clips[index].sound for index in library.of_label[label]]
    return towers.embed_audio(torch.stack([torch.from_numpy(lively_crop(clip, samples, random)) for clip in clips]))
