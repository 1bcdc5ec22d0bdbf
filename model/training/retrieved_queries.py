"""Sounds asked for by captions that are like them: training on text vectors without a single caption of the sounds.

After arXiv 2409.09398: the audio embedding of a sound only looks up text embeddings in a cache of captions; what the
network sees is always of the text side, as at test time, and tells nothing of the sound's own details.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.retrieval import Retrieval
from model.training.examples import Examples, QuerySource


class RetrievedQueries:
    """QuerySource: what `retrieval` finds for the vectors of `audio`."""

    def __init__(self, audio: QuerySource, retrieval: Retrieval) -> None:
        self.audio, self.retrieval = audio, retrieval

    def __call__(self, examples: Examples, generator: torch.Generator) -> Tensor:
        """Unit vectors [B, S, D] of the text side."""
        return self.retrieval(self.audio(examples, generator))
