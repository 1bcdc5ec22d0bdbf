"""Sounds asked for by their captions: the query that people give, and that supervised training gives."""

from __future__ import annotations

import torch
from torch import Tensor

from model.towers import Towers
from model.training.examples import Examples


class TextQueries:
    """QuerySource: the towers' text embedding of each sound's caption, in float32 on the towers' device.

    A caption is embedded once, and alone: in a batch its last bits would depend on the others, and a run that is
    resumed would not see what the uninterrupted one saw. All are kept.
    """

    def __init__(self, towers: Towers) -> None:
        self.towers = towers
        self._vectors: dict[str, Tensor] = {}

    def __call__(self, examples: Examples, generator: torch.Generator) -> Tensor:
        """Unit vectors [B, S, D]. Raises ValueError for a sound without a caption."""
        for row, captions in enumerate(examples.captions):
            for sound, caption in enumerate(captions):
                if not caption.strip():
                    raise ValueError(
                        f"sound {sound} of mixture {row} has no caption, and is to be asked for by it: give every clip "
                        "one, or train by a scheme that needs none (audio_only, audio_only_vanilla, retrieval)"
                    )
        return torch.stack([torch.stack([self.vector(caption) for caption in row]) for row in examples.captions])

    @torch.no_grad()
    def vector(self, text: str) -> Tensor:
        """The unit vector [D] of a text."""
        if text not in self._vectors:
            with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
                self._vectors[text] = self.towers.embed_text([text])[0].float()
        return self._vectors[text]
