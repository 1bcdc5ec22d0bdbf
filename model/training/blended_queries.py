"""Sounds asked for by a blend of their caption and themselves: CLAPSep's training query (arXiv 2402.17455, code)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.training.examples import Examples, QuerySource


class BlendedQueries:
    """QuerySource: normalize(a audio + (1 - a) text), with a ~ U(0, 1) drawn once per batch.

    A network so trained takes texts, sounds, and both at once. `audio_share`: in so many of the batches; the others ask
    by texts alone, which costs no embedding of sounds.
    """

    def __init__(self, text: QuerySource, audio: QuerySource, audio_share: float = 1.0) -> None:
        self.text, self.audio, self.audio_share = text, audio, audio_share

    def plain(self, examples: Examples) -> Tensor:
        """Unit vectors [B, S, D] of the captions alone."""
        return self.text(examples, torch.Generator())

    def __call__(self, examples: Examples, generator: torch.Generator) -> Tensor:
        """Unit vectors [B, S, D]."""
        share, draw = torch.rand(2, generator=generator, device=generator.device)
        text = self.text(examples, generator)
        if float(draw) >= self.audio_share:
            return text
        audio = self.audio(examples, generator).to(text.device)
        return functional.normalize(torch.lerp(text, audio, share.to(text.device)), dim=-1)
