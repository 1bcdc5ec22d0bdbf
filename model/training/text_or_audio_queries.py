"""Data of which a part has captions: sounds are asked for by their words where somebody wrote them, else by themselves.

Audio-only data added to captioned data (arXiv 2409.13152).
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.training.audio_queries import AudioQueries
from model.training.examples import Examples
from model.training.query_texts import TextQueries


class TextOrAudioQueries:
    """QuerySource: `text` of sounds with a caption, `audio` of the others."""

    def __init__(self, text: TextQueries, audio: AudioQueries) -> None:
        self.text, self.audio = text, audio

    def plain(self, examples: Examples) -> Tensor:
        """Unit vectors [B, S, D] of words, and of sounds to which nothing was done."""
        return self._with_words(examples, self.audio.plain(examples))

    def __call__(self, examples: Examples, generator: torch.Generator) -> Tensor:
        """Unit vectors [B, S, D]."""
        return self._with_words(examples, self.audio(examples, generator))

    def _with_words(self, examples: Examples, audio: Tensor) -> Tensor:
        vectors = audio.clone()
        for row, captions in enumerate(examples.captions):
            for sound, caption in enumerate(captions):
                if caption.strip():
                    vectors[row, sound] = self.text.vector(caption)
        return vectors
