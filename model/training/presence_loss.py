"""The loss that teaches a separator where a query sounds: cross entropy of its activity, frame by frame.

Every query of a batch is held against every mixture. Frames in which a sound is neither clearly there nor clearly
gone are left out, and so are queries of which nobody can say whether they fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.training.examples import Examples
from model.training.waveform_loss import is_silent

AUDIBLE_DB = -20.0
"""A sound is active where it is at most this far below the mixture..."""
ACTIVE_DB = -30.0
"""...and at most this far below its own loudest frame."""
UNSURE_DB = -45.0
"""From there down to here nobody knows."""
LEAST_ENERGY = 1e-6
"""A frame with less is silent, however it compares."""
POSITIVE_WEIGHT = 4.0
"""Of a frame in which a query sounds; one in which it does not weighs 1, and there are many more of those."""


@dataclass(frozen=True)
class Candidates:
    """Which queries fit what: `present` [B, S, Q], 1 where query q asks for sound s; `valid` [B, Q], 1 where it is
    known whether query q fits the mixture."""

    present: Tensor
    valid: Tensor

    @property
    def foreign(self) -> Tensor:
        """True [B, Q] where a query asks for nothing that is in the mixture."""
        return (self.valid > 0.0) & (self.present.amax(dim=1) == 0.0)


def candidates_of(examples: Examples, vectors: Tensor, likeness: float) -> Candidates:
    """How the queries `vectors` [B, S, D] of all sounds of a batch fit its mixtures; Q = B * S, mixture by mixture.

    A query fits its own sound, and every sound of the same caption or with a phrase that is its caption. It is foreign
    to a mixture if it shares no words (caption or phrases, as wholes) with it and its cosine with the mixture's own
    queries is below `likeness`, which alone decides where captions are unknown. Anything between is not judged. Sounds
    that are silent are not in the mixture, so what asks for them is foreign to it as well.
    """
    batch, count, _ = vectors.shape
    captions = [_plain(caption) for row in examples.captions for caption in row]
    named = [
        {caption, *map(_plain, phrases)} - {""}
        for caption, phrases in zip(captions, (p for row in examples.phrases for p in row), strict=True)
    ]
    flat = vectors.detach().flatten(0, 1)
    there = ~is_silent(examples.sounds, examples.mixture[:, None])[..., None].to(vectors.device)  # (B, S, 1)
    same = torch.tensor([[q == s or captions[q] in named[s] for q in range(len(named))] for s in range(len(named))]).to(
        vectors.device
    )
    shared = torch.tensor([[bool(asked & own) for asked in named] for own in named]).to(vectors.device)
    fits = same.reshape(batch, count, -1) & there  # (B, S, Q)
    near = ((flat @ flat.T >= likeness) | shared).reshape(batch, count, -1) & there
    valid = fits.any(dim=1) | ~near.any(dim=1)
    return Candidates(fits.to(vectors.dtype), valid.to(vectors.dtype))


def frame_energy(sounds: Tensor, hop_samples: int, frames: int) -> Tensor:
    """Energy per frame [..., N] of sounds [..., T]; frame n is [n, n + 1) hops, what lies beyond the end is silent."""
    padded = functional.pad(sounds, (0, max(0, frames * hop_samples - sounds.shape[-1])))[..., : frames * hop_samples]
    norm: Tensor = torch.linalg.vector_norm(padded.reshape(*padded.shape[:-1], frames, hop_samples), dim=-1)
    return norm.square()


def presence_loss(logits: Tensor, energy: Tensor, candidates: Candidates) -> Tensor:
    """Weighted mean cross entropy of activity, log odds [B, Q, N], a scalar.

    `energy` [B, 1 + S, N] per frame, the mixture first, then its sounds.
    """
    with torch.no_grad():
        level_db = 10.0 * torch.log10(energy + 1e-9)
        sound_db = level_db[:, 1:]
        relative_db = sound_db - sound_db.amax(dim=-1, keepdim=True)
        audible_db = sound_db - level_db[:, :1]
        heard = (audible_db > AUDIBLE_DB) & (energy[:, 1:] > LEAST_ENERGY)
        active = ((relative_db > ACTIVE_DB) & heard).to(logits.dtype)  # (B, S, N)
        unsure = ((relative_db > UNSURE_DB) & (active == 0.0)).to(logits.dtype)
        present = candidates.present.to(logits.dtype)
        target = torch.einsum("bsq,bsn->bqn", present, active).clamp(max=1.0)
        doubt = torch.einsum("bsq,bsn->bqn", present, unsure) * (1.0 - target)
        weight = (doubt == 0.0).to(logits.dtype) * candidates.valid[..., None]
        weight = weight * (1.0 + (POSITIVE_WEIGHT - 1.0) * target)
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (each * weight).sum() / weight.sum().clamp_min(1.0)


def _plain(words: str) -> str:
    return " ".join(words.casefold().split()).rstrip(".")
