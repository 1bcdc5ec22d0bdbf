"""From what a person asks for (texts and sounds, wanted and unwanted) to the condition a network is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from model.clap import Clap
from model.separator import Condition


@dataclass(frozen=True)
class Query:
    """What to extract. `texts` and `sounds` (mono Tensor[T] at the model's rate) say what is wanted, `negative_*`
    what is not."""

    texts: Sequence[str] = ()
    negative_texts: Sequence[str] = ()
    sounds: Sequence[Tensor] = field(default_factory=tuple)
    negative_sounds: Sequence[Tensor] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if not (self.texts or self.sounds or self.negative_texts or self.negative_sounds):
            raise ValueError("an empty query asks for nothing: give a text such as 'a dog barking', or a sound")


@torch.no_grad()
def condition_of(queries: Sequence[Query], clap: Clap) -> Condition:
    """One row per query: positive and negative embedding side by side, the whole of unit length (CLAPSep's released
    inference).

    Several wordings or sounds of a side are averaged, texts and sounds with equal weight; an empty side is zeros.
    """
    rows = [
        torch.cat([_side(query.texts, query.sounds, clap), _side(query.negative_texts, query.negative_sounds, clap)])
        for query in queries
    ]
    return Condition(functional.normalize(torch.stack(rows), dim=-1))


@torch.no_grad()
def positive_embeddings(queries: Sequence[Query], clap: Clap) -> Tensor:
    """Unit vectors [Q, D] of what is wanted alone: what a stem's own embedding is compared with."""
    return torch.stack([_side(query.texts, query.sounds, clap) for query in queries])


def _side(texts: Sequence[str], sounds: Sequence[Tensor], clap: Clap) -> Tensor:
    parts = []
    if texts:
        parts.append(functional.normalize(clap.embed_text(texts).mean(0), dim=0))
    if sounds:
        parts.append(functional.normalize(torch.cat([clap.embed_audio(s[None]) for s in sounds]).mean(0), dim=0))
    if not parts:
        return torch.zeros(clap.config.embedding)
    return functional.normalize(torch.stack(parts).mean(0), dim=0)
