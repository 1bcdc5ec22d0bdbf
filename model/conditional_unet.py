"""The conditional U-Net of the bi-modal paper: a mask from maps that the query's words shape, weighed by its embedding.

    image = BN( log1p |X| )                                      512 bins x 512 frames, 8.19 s at 16 kHz
    maps  = U-Net(image, tokens)          7 levels down and up; the three deepest attend to the tokens of the query
    mask  = sigmoid( sum_k sigmoid(W t)_k s_k maps_k + b )       t: the text embedding of what is wanted
    stem  = ISTFT( mask * |X| * phase(X) )

What no query has a part in, the levels of 256 to 32 bins and the way to that of 16, is computed in `encode`, once per
window; the rest costs a pass per (window, query) pair. Source: Mahmud et al., ICLR 2024 (arXiv 2404.01740), in the
released options. Negatives are unknown to it: of a condition it reads the positive half.

The paper's network has 87,681,250 parameters, of which 3,072 belong to three LayerNorms that it never calls; those are
left out here (87,678,178), and the 16,449 of the last line, which it counts elsewhere, are in: 87,694,627.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.mask_renderer import BinSpread, MaskRenderers
from model.separator import Condition, Features, Mask, MaskNetwork
from model.spectrum import Stft, StftConfig
from model.unet_blocks import ConditionalMaps

WIDEST = 8
"""Levels double their width until it is so many times the first one's."""


@dataclass(frozen=True)
class ConditionalUNetConfig:
    """Shape of the network; the defaults are the published one."""

    sample_rate: int = 16_000
    window_samples: int = 131_070
    n_fft: int = 1022
    hop_samples: int = 256
    width: int = 64
    """Of the first level; every further one doubles it, up to eight times this."""
    downs: int = 7
    conditioned: int = 3
    """So many of the deepest levels read the query."""
    maps: int = 32
    heads: int = 8
    embedding: int = 512
    """D of one half of the condition."""
    token_width: int = 768
    """E of the tokens; where it is `embedding`, a condition may do without, and its positive half is the token."""

    def __post_init__(self) -> None:
        if not 0 < self.conditioned < self.downs:
            raise ValueError(f"some levels read the query, not all: got {self.conditioned = }, {self.downs = }")
        if self.bins % self.stride:
            raise ValueError(
                f"bins halve {self.downs} times, so they are a multiple of {self.stride}, got {self.bins} with "
                f"{self.n_fft = }; take n_fft {2 * max(1, round(self.bins / self.stride)) * self.stride - 2}"
            )
        deep = self.widths[-self.conditioned :]
        if any(width % self.heads for width in deep):
            raise ValueError(f"heads divide the widths of the deep levels, got {self.heads = } for {deep}")

    @property
    def bins(self) -> int:
        """F, of the STFT and of the masks."""
        return self.n_fft // 2 + 1

    @property
    def stride(self) -> int:
        """Bins, and frames, per place of the deepest level."""
        return 1 << self.downs

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the levels, fine first."""
        return tuple(self.width * min(1 << level, WIDEST) for level in range(self.downs))

    def window_that_fits(self, samples: int) -> int:
        """The longest window of at most `samples` whose frames halve as often as there are levels; 0 for none.

        >>> ConditionalUNetConfig().window_that_fits(64_000)
        32767
        """
        frames = (samples // self.hop_samples + 1) // self.stride * self.stride
        return min(samples, frames * self.hop_samples - 1) if frames else 0


class ConditionalUNet(MaskNetwork):
    """Query-conditioned separator; see the module's docstring for the equation."""

    def __init__(self, config: ConditionalUNetConfig) -> None:
        super().__init__()
        self.config = config
        self._check_window(config.window_samples)
        self.sample_rate = config.sample_rate
        self.window_samples = config.window_samples
        self.lead_share = 0.05  # a pair is dear, and its deepest levels see the whole window; 7.4 s hop
        self.cpu_pairs = 1  # a pair's widest maps are far larger than a cache
        places = config.bins * (config.window_samples // config.hop_samples + 1)
        self.window_bytes = 20 * config.width * places // 4  # five maps of the first level down; 80 MB were measured
        self.pair_bytes = 32 * config.width * places  # four of the last level up; 450 MB were measured
        self.stft = Stft(StftConfig(config.n_fft, config.hop_samples))
        self.level_norm = nn.BatchNorm2d(1)
        self.unet = ConditionalMaps(
            config.widths,
            maps=config.maps,
            conditioned=config.conditioned,
            token_width=config.token_width,
            heads=config.heads,
        )
        self.weigh = nn.Linear(config.embedding, config.maps)
        nn.init.normal_(self.weigh.weight, std=1e-4)
        self.scale = nn.Parameter(torch.ones(config.maps))
        self.bias = nn.Parameter(torch.zeros(1))
        self._renderers = MaskRenderers(
            self.stft.config,
            config.sample_rate,
            lambda hertz: BinSpread(config.bins, config.sample_rate, hertz),
        )

    def analyse(self, mixture: Tensor, sample_rate: int | None = None) -> Tensor:
        return self._renderers.at(sample_rate, mixture.device).analyse(mixture)

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        """Features of mono windows `mixture` [B, T], whose frames must halve as often as there are levels.

        Raises ValueError for another T; `window_that_fits` of the configuration tells the longest.
        """
        self._check_window(mixture.shape[-1])
        spectrum = self.stft.analyse(mixture) if spectrum is None else spectrum
        with torch.autocast(spectrum.device.type, enabled=False):
            image = self.level_norm(spectrum.abs().float().log1p()[:, None])  # (B, 1, F, N)
        return Features(tuple(reversed(self.unet.shallow(image))))

    def mask(self, features: Features, condition: Condition) -> Mask:
        return Mask(torch.sigmoid(self.mask_logits(features, condition)))

    def mask_logits(self, features: Features, condition: Condition) -> Tensor:
        """Log odds per bin and frame, Tensor[B, F, N]. Raises ValueError for a condition without a positive half."""
        wanted = self._wanted(condition)
        tokens = wanted[:, None] if condition.tokens is None else condition.tokens
        if tokens.shape[-1] != self.config.token_width:
            raise ValueError(
                f"the network reads tokens of width {self.config.token_width}, got {tokens.shape[-1]}"
                + (
                    ", that of the embedding, which stands for them where a condition has none; give tokens, or train "
                    f"with token_width = {self.config.embedding}"
                    if condition.tokens is None
                    else "; make them with the towers it was trained with"
                )
            )
        maps = self.unet.deep(tuple(reversed(features.maps)), tokens)  # (B, K, F, N)
        with torch.autocast(maps.device.type, enabled=False):
            weights = torch.sigmoid(self.weigh(wanted)) * self.scale  # (B, K)
            batch, count, bins, frames = maps.shape
            summed = torch.bmm(weights[:, None], maps.float().reshape(batch, count, -1))
            logits: Tensor = summed.reshape(batch, bins, frames) + self.bias
        return logits

    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        return self._renderers.at(sample_rate, spectrum.device).render(mask.bands, spectrum, samples)

    def on_bins(self, mask: Mask) -> Tensor:
        return self._renderers.at(None, mask.bands.device).on_bins(mask.bands)

    def _wanted(self, condition: Condition) -> Tensor:
        """The positive half [B, D] at unit length: beside a negative it is shorter, which tells nothing of it."""
        if condition.embedding.shape[1] != 2 * self.config.embedding:
            raise ValueError(
                f"a condition has two halves of {self.config.embedding}, got {condition.embedding.shape[1]} numbers"
            )
        positive = condition.embedding[:, : self.config.embedding].float()
        length = positive.norm(dim=1, keepdim=True)
        if not bool((length > 0).all()):
            raise ValueError(
                "a condition says only what is not wanted, which this network cannot read; ask for something (in "
                "training, without negatives), or use a network that knows them"
            )
        unit: Tensor = positive / length
        return unit

    def _check_window(self, samples: int) -> None:
        config = self.config
        frames = samples // config.hop_samples + 1
        if frames % config.stride:
            fitting = config.window_that_fits(samples)
            hint = f"{fitting} samples fit, or" if fitting else "it takes at least"
            more = (frames // config.stride + 1) * config.stride
            raise ValueError(
                f"a window of {samples} samples has {frames} frames, and frames halve {config.downs} times: "
                f"{hint} {(more - 1) * config.hop_samples} to {more * config.hop_samples - 1}, in multiples of "
                f"{config.stride} frames"
            )
