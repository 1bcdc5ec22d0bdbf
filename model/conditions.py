"""From what a person asks for (texts and sounds, wanted and unwanted) to the condition a network is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import soxr
import torch
from torch import Tensor
from torch.nn import functional

from model.separator import Condition
from model.towers import Towers


@dataclass(frozen=True)
class Query:
    """What to extract. `texts` and `sounds` (mono Tensor[T] at `sample_rate`) say what is wanted, `negative_*` what is
    not. `audio_weight` is the share of the sounds where a side has both."""

    texts: Sequence[str] = ()
    negative_texts: Sequence[str] = ()
    sounds: Sequence[Tensor] = field(default_factory=tuple)
    negative_sounds: Sequence[Tensor] = field(default_factory=tuple)
    sample_rate: int | None = None
    audio_weight: float = 0.5

    def __post_init__(self) -> None:
        if not (self.texts or self.sounds or self.negative_texts or self.negative_sounds):
            raise ValueError("an empty query asks for nothing: give a text such as 'a dog barking', or a sound")
        if self.sample_rate is None and (self.sounds or self.negative_sounds):
            raise ValueError("a query with sounds needs their sample_rate")


@torch.no_grad()
def condition_of(queries: Sequence[Query], clap: Towers, gate_clap: Towers | None = None) -> Condition:
    """One row per query: positive and negative embedding side by side, the whole of unit length (CLAPSep's released
    inference). `gate_clap`: the towers of the network that tells presence, if that is another one.

    Several wordings or sounds of a side are averaged, then mixed by the query's `audio_weight`; an empty side is zeros.
    """
    gate = None if gate_clap is None else condition_of(queries, gate_clap).embedding
    rows = [torch.cat([_wanted(query, clap), _unwanted(query, clap)]) for query in queries]
    return Condition(functional.normalize(torch.stack(rows), dim=-1), gate)


@torch.no_grad()
def positive_embeddings(queries: Sequence[Query], clap: Towers) -> Tensor:
    """Unit vectors [Q, D] of what is wanted alone: what a stem's own embedding is compared with."""
    return torch.stack([_wanted(query, clap) for query in queries])


def _wanted(query: Query, clap: Towers) -> Tensor:
    return _side(query.texts, query.sounds, query, clap)


def _unwanted(query: Query, clap: Towers) -> Tensor:
    return _side(query.negative_texts, query.negative_sounds, query, clap)


def _side(texts: Sequence[str], sounds: Sequence[Tensor], query: Query, clap: Towers) -> Tensor:
    side = torch.zeros(clap.width)
    if texts:
        weight = 1.0 - query.audio_weight if sounds else 1.0
        side = side + weight * functional.normalize(clap.embed_text(texts).mean(0), dim=0)
    if sounds:
        weight = query.audio_weight if texts else 1.0
        embedded = [clap.embed_audio(_at_rate(sound, query.sample_rate, clap.sample_rate)[None]) for sound in sounds]
        side = side + weight * functional.normalize(torch.cat(embedded).mean(0), dim=0)
    return functional.normalize(side, dim=0)


def _at_rate(sound: Tensor, sample_rate: int | None, wanted: int) -> Tensor:
    if sample_rate == wanted:
        return sound
    return torch.from_numpy(soxr.resample(sound.numpy(), sample_rate, wanted))
