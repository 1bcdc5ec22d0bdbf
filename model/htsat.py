"""HTSAT as a mixture encoder: a Swin transformer over the log-mel image of ten seconds, tapped at every resolution.

    image  = BN(log-mel)  [1024 frames, 64 bands]  folded to [256, 256]: four blocks of 256 frames, one above the other
    taps   = patches, then four stages, each halving rows and columns behind its blocks

What an embedding needs behind the last stage is not computed here; `model/laion_towers.py` holds the towers.
Source: HTS-AT (arXiv 2202.00874) in the size of laion-clap's "HTSAT-base"; taps: CLAPSep (arXiv 2402.17455, section
III). Shape letters: P places of a map, rows first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.mel import slaney_filters
from model.swin import PatchMerging, SwinBlock


@dataclass(frozen=True)
class HTSATConfig:
    """Shape of the encoder; the defaults are HTSAT-base."""

    sample_rate: int = 48_000
    n_fft: int = 1024
    hop_samples: int = 480
    bands: int = 64
    lowest_hertz: float = 50.0
    highest_hertz: float = 14_000.0
    image: int = 256
    """Side of the image; frames times bands make a square of it."""
    patch: int = 4
    width: int = 128
    """Of the first stage; every further one doubles it."""
    depths: tuple[int, ...] = (2, 2, 12, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    window: int = 8

    def __post_init__(self) -> None:
        if len(self.depths) != len(self.heads):
            raise ValueError(f"every stage has a depth and heads, got {self.depths = } and {self.heads = }")

    @property
    def frames(self) -> int:
        """N of the image: 1024, of which ten seconds fill 1001."""
        return self.image * self.image // self.bands

    def grid(self, stage: int) -> int:
        """Rows, and columns, of the maps in a stage."""
        return self.image // (self.patch << stage)


class LogMel(nn.Module):
    """Log power of mel bands in dB, [B, N, M], with frames of silence (-100 dB) up to the image's number."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: HTSATConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        filters = slaney_filters(
            config.bands, config.n_fft // 2 + 1, config.sample_rate, config.lowest_hertz, config.highest_hertz
        )
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        config = self.config
        spectrum = torch.stft(
            signal, config.n_fft, config.hop_samples, window=self.window, pad_mode="reflect", return_complex=True
        )
        power = (spectrum.real**2 + spectrum.imag**2).transpose(1, 2)  # (B, N, F)
        if power.shape[1] > config.frames:
            raise ValueError(
                f"a signal of {signal.shape[-1]} samples has more than the image's {config.frames} frames; cut it into "
                "windows first"
            )
        power = functional.pad(power, (0, 0, 0, config.frames - power.shape[1]))
        return 10.0 * torch.log10((power @ self.filters.T).clamp_min(1e-10))


class PatchEmbed(nn.Module):
    """Image [B, 1, H, W] -> map [B, H/4, W/4, C], normed."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, patch, stride=patch)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        weight = self.proj.weight.flatten(1)  # (C, 16): patches do not overlap, so one product does it
        side = self.proj.stride[0]
        batch, _, rows, columns = image.shape
        patches = image.reshape(batch, rows // side, side, columns // side, side).transpose(2, 3).flatten(3)
        embedded: Tensor = self.norm(functional.linear(patches, weight, self.proj.bias))
        return embedded


class Stage(nn.Module):
    """Blocks on one resolution, then patch merging (but behind the last stage)."""

    def __init__(self, config: HTSATConfig, stage: int) -> None:
        super().__init__()
        width, grid = config.width * 2**stage, config.grid(stage)
        self.blocks = nn.Sequential(
            *(
                SwinBlock(width, grid=grid, heads=config.heads[stage], side=config.window, shifted=bool(block % 2))
                for block in range(config.depths[stage])
            )
        )
        self.downsample = PatchMerging(width) if stage + 1 < len(config.depths) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.downsample(self.blocks(x))
        return out


class HTSATEncoder(nn.Module):
    """Signals [B, T] at the encoder's rate -> taps [B, H, W, C]: the patches and the four stages, fine first.

    The log-mel front end is computed in single precision, whatever the precision of the rest.
    """

    def __init__(self, config: HTSATConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(config)
        self.bn0 = nn.BatchNorm2d(config.bands)
        self.patch_embed = PatchEmbed(config.width, config.patch)
        self.layers = nn.ModuleList(Stage(config, stage) for stage in range(len(config.depths)))

    def forward(self, signal: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(signal.device.type, enabled=False):
            level = self.log_mel(signal.float())
            image = self.bn0(level.transpose(1, 2)[..., None])[..., 0]  # (B, M, N)
        batch, bands, _ = image.shape
        image = image.reshape(batch, bands, -1, self.config.image).transpose(1, 2)  # (B, blocks, M, 256)
        image = image.reshape(batch, 1, self.config.image, self.config.image)
        x = self.patch_embed(image.to(self.patch_embed.proj.weight.dtype))
        taps = [x]
        for layer in self.layers:
            x = layer(x)
            taps.append(x)
        return tuple(taps)
