"""From what a person asks for (texts and sounds, wanted and unwanted) to the condition a network is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


@dataclass(frozen=True)
class Sides:
    """What queries want and what they do not want: unit vectors [Q, D] each, zeros where a side is empty."""

    positive: Tensor
    negative: Tensor

    @property
    def condition(self) -> Condition:
        """Both halves side by side, the whole of unit length (CLAPSep's released inference)."""
        return Condition(functional.normalize(torch.cat([self.positive, self.negative], dim=-1), dim=-1))


@torch.no_grad()
def embed_sides(queries: Sequence[Query], clap: Towers, retrieval: Callable[[Tensor], Tensor] | None = None) -> Sides:
    """Both sides of queries, every text and every sound embedded once.

    Several wordings or sounds of a side are averaged, then mixed by the query's `audio_weight`. With `retrieval`
    (`model.retrieval.Retrieval`) each side that is not empty is replaced by what that finds for it.
    """
    texts = list(dict.fromkeys(text for q in queries for text in (*q.texts, *q.negative_texts)))
    vectors = dict(zip(texts, clap.embed_text(texts), strict=True)) if texts else {}
    positive = [_side(q.texts, q.sounds, q, vectors, clap) for q in queries]
    negative = [_side(q.negative_texts, q.negative_sounds, q, vectors, clap) for q in queries]
    sides = Sides(torch.stack(positive), torch.stack(negative))
    if retrieval is None:
        return sides
    return Sides(_retrieved(sides.positive, retrieval), _retrieved(sides.negative, retrieval))


def condition_of(
    queries: Sequence[Query],
    clap: Towers,
    gate_clap: Towers | None = None,
    retrieval: Callable[[Tensor], Tensor] | None = None,
) -> Condition:
    """One row per query. `gate_clap`: the towers of the network that tells presence, if that is another one; what that
    is asked is not retrieved."""
    own = embed_sides(queries, clap, retrieval).condition
    return own if gate_clap is None else Condition(own.embedding, condition_of(queries, gate_clap).embedding)


def positive_embeddings(queries: Sequence[Query], clap: Towers) -> Tensor:
    """Unit vectors [Q, D] of what is wanted alone: what a stem's own embedding is compared with."""
    return embed_sides(queries, clap).positive


def _retrieved(side: Tensor, retrieval: Callable[[Tensor], Tensor]) -> Tensor:
    """A side [Q, D] through retrieval; empty rows stay zeros."""
    return torch.where(side.any(dim=-1, keepdim=True), retrieval(side), 0.0)


def _side(
    texts: Sequence[str], sounds: Sequence[Tensor], query: Query, vectors: Mapping[str, Tensor], clap: Towers
) -> Tensor:
    side = torch.zeros(clap.width)
    if texts:
        weight = 1.0 - query.audio_weight if sounds else 1.0
        side = side + weight * functional.normalize(torch.stack([vectors[text] for text in texts]).mean(0), dim=0)
    if sounds:
        weight = query.audio_weight if texts else 1.0
        embedded = [clap.embed_audio(_at_rate(sound, query.sample_rate, clap.sample_rate)[None]) for sound in sounds]
        side = side + weight * functional.normalize(torch.cat(embedded).mean(0), dim=0)
    return functional.normalize(side, dim=0)


def _at_rate(sound: Tensor, sample_rate: int | None, wanted: int) -> Tensor:
    if sample_rate == wanted:
        return sound
    return torch.from_numpy(soxr.resample(sound.numpy(), sample_rate, wanted))
