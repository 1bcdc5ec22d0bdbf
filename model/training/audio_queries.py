"""Sounds asked for by themselves: the query of training without words (arXiv 2409.13152, arXiv 2409.09398).

At test time texts ask. What keeps a network from leaning on what only audio embeddings tell is done to the vectors
(`model/training/manipulations.py`), or to the sounds before they are embedded (`model/training/exemplars.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import torch
from torch import Tensor

from model.resample import Resample
from model.towers import Towers
from model.training.examples import Examples
from model.training.exemplars import varied
from model.training.manipulations import Manipulation

Exemplar = Literal["target", "varied", "sibling"]
EXEMPLARS: Final[tuple[str, ...]] = get_args(Exemplar)


class AudioQueries:
    """QuerySource: the towers' audio embedding of each sound, then the manipulations in their order.

    `exemplar`: what is embedded is the sound itself ("target"), or a variation of it ("varied": another speed,
    stretches of silence), or a recording of its label ("sibling"). Without manipulations and of the target itself this
    is the vanilla scheme.
    """

    def __init__(
        self, towers: Towers, manipulations: Sequence[Manipulation] = (), exemplar: Exemplar = "target"
    ) -> None:
        if exemplar not in EXEMPLARS:
            raise ValueError(f"exemplar is {exemplar!r}; choose one of {', '.join(EXEMPLARS)}")
        self.towers, self.manipulations, self.exemplar = towers, tuple(manipulations), exemplar
        self._resamplers: dict[int, Resample] = {}

    @torch.no_grad()
    def plain(self, examples: Examples) -> Tensor:
        """Unit vectors [B, S, D] of the sounds themselves, or of their siblings where those ask."""
        asked: Exemplar = "sibling" if self.exemplar == "sibling" else "target"
        return AudioQueries(self.towers, exemplar=asked)(examples, torch.Generator())

    @torch.no_grad()
    def __call__(self, examples: Examples, generator: torch.Generator) -> Tensor:
        """Unit vectors [B, S, D] in float32, whatever precision is around."""
        batch, count, samples = examples.sounds.shape
        sounds = examples.sounds if self.exemplar != "sibling" else examples.exemplars
        if sounds is None:
            raise ValueError("there are no siblings to ask by; draw the mixtures with exemplars=True")
        sounds = sounds.reshape(batch * count, samples).to(next(self.towers.parameters()).device)
        with torch.autocast(sounds.device.type, enabled=False):
            sounds = sounds.float()
            if self.exemplar == "varied":
                sounds = varied(sounds, examples.sample_rate, generator)
            vectors = self.towers.embed_audio(self._at_rate(sounds, examples.sample_rate)).float()
            vectors = vectors.reshape(batch, count, -1)  # (B, S, D)
            for manipulation in self.manipulations:
                vectors = manipulation.to(vectors.device)(vectors, generator)
        return vectors

    def _at_rate(self, sounds: Tensor, sample_rate: int) -> Tensor:
        wanted = self.towers.sample_rate
        if sample_rate == wanted:
            return sounds
        if sample_rate not in self._resamplers:
            self._resamplers[sample_rate] = Resample(sample_rate, wanted)
        return self._resamplers[sample_rate].to(sounds.device)(sounds)  # type: ignore[no-any-return]
