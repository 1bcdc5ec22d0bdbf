"""The interface of the CLAP towers: sentences and sounds in one space of unit vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Towers(nn.Module, ABC):
    """A text tower and an audio tower that were trained to meet."""

    sample_rate: int
    """Of the sounds that `embed_audio` takes, in Hz."""
    width: int
    """D, the length of the vectors."""

    def set_precision(self, dtype: torch.dtype) -> None:
        """Get ready to embed sounds in `dtype`, for good, where that pays; vectors keep a cosine above 0.999 with those
        of single precision."""

    @abstractmethod
    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [B, D] of sentences."""

    @abstractmethod
    def embed_audio(self, audio: Tensor) -> Tensor:
        """Unit vectors [B, D] of mono sounds [B, T] at `sample_rate`, at most ten seconds each."""
