"""Six other ways to make a mask of the same encoder's maps, or other maps of the same image.

All are compact CLAPSeps in all but what their names say: same image, same presence head, same conditions. Where a query
has a part in more of the network, a further query costs more.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.separator import Condition, Features, Mask

SHARED_MAPS = 48
BAND_GROUP = 4
BAND_WIDTH = 64
BAND_LAYERS = 3


class Variant(CompactCLAPSep):
    """A compact CLAPSep that takes its maps from `maps_of`, and makes of them what a query reads."""

    def encode_spectrum(self, spectrum: Tensor) -> Features:
        maps = self.maps_of(self._image(spectrum))
        return Features(self.decode_maps(maps), self.activity_of(maps))

    def maps_of(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.encoder(image)

    def decode_maps(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return maps


class InnerProduct(Variant):
    """mask = sigmoid( sum_k w_k(e) map_k + b(e) ): all queries share the maps, a further one costs a product.

    The head/modulator pair of the conditional U-Net (arXiv 2404.01740), without its attention.
    """

    def __init__(self, config: CompactCLAPSepConfig) -> None:
        super().__init__(config)
        del self.stages, self.patches
        condition = 2 * config.embedding
        self.head = nn.Sequential(
            nn.Conv2d(config.widths[0], 2 * SHARED_MAPS, 1), nn.SiLU(), nn.Conv2d(2 * SHARED_MAPS, 4 * SHARED_MAPS, 1)
        )
        self.modulator = nn.Linear(condition, SHARED_MAPS + 1)

    def decode_maps(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (functional.pixel_shuffle(self.head(maps[-1]), 2),)  # (B, K, M, N)

    def mask_logits(self, features: Features, condition: Condition) -> Tensor:
        return combined(features.maps[0], self.modulator(self.query(condition.embedding)))


class BandSplit(InnerProduct):
    """Groups of bands as tokens, recurrent over time and over groups in turn (band-split RNN, arXiv 2209.15174), and
    the inner product of `InnerProduct` on top."""

    def __init__(self, config: CompactCLAPSepConfig) -> None:
        super().__init__(config)
        del self.encoder, self.head
        self.encoder = BandSplitEncoder(config)  # type: ignore[assignment]
        self.activity_hop_samples = config.hop_samples * self.encoder.stride
        self.config = replace(config, activity_levels=1)
        self.activity_maps = nn.Sequential(
            nn.Linear(BAND_WIDTH, 2 * config.activity), nn.SiLU(), nn.Linear(2 * config.activity, config.activity)
        )
        self.head = nn.Conv2d(BAND_WIDTH, SHARED_MAPS * BAND_GROUP * self.encoder.stride, 1)  # type: ignore[assignment]

    def decode_maps(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        batch, _, groups, frames = maps[-1].shape
        stride = self.encoder.stride
        made = self.head(maps[-1]).reshape(batch, SHARED_MAPS, BAND_GROUP, stride, groups, frames)
        return (made.permute(0, 1, 4, 2, 5, 3).reshape(batch, SHARED_MAPS, groups * BAND_GROUP, frames * stride),)


class BandSplitEncoder(nn.Module):
    """Image [B, 2, M, N] -> one map [B, d, M / 4, N / 2]."""

    stride = 2

    def __init__(self, config: CompactCLAPSepConfig) -> None:
        super().__init__()
        groups = config.bands // BAND_GROUP
        self.split = nn.Conv2d(2, BAND_WIDTH, (BAND_GROUP, self.stride), stride=(BAND_GROUP, self.stride))
        self.place = nn.Parameter(torch.zeros(BAND_WIDTH, groups, 1))
        self.layers = nn.ModuleList(
            nn.ModuleList([Recurrent(BAND_WIDTH), Recurrent(BAND_WIDTH)]) for _ in range(BAND_LAYERS)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = (self.split(image) + self.place).permute(0, 2, 3, 1)  # (B, G, N, d)
        batch, groups, frames, width = x.shape
        for over_time, over_groups in self.layers:  # type: ignore[misc]
            x = over_time(x.reshape(batch * groups, frames, width)).reshape(batch, groups, frames, width)
            x = x.transpose(1, 2).reshape(batch * frames, groups, width)
            x = over_groups(x).reshape(batch, frames, groups, width).transpose(1, 2)
        return (x.permute(0, 3, 1, 2),)


class Recurrent(nn.Module):
    """x + linear(GRU(norm(x))) over the middle axis of [B, L, d], in both directions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.recurrent = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.back = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.back(self.recurrent(self.norm(x))[0])
        return out


class FilmUNet(Variant):
    """The way up runs once for every query, FiLMed by it at every level; the way down runs once."""

    def __init__(self, config: CompactCLAPSepConfig) -> None:
        super().__init__(config)
        del self.stages, self.patches
        condition, widths = 2 * config.embedding, list(reversed(config.widths))
        self.film = nn.ModuleList(nn.Linear(condition, 2 * width) for width in widths)
        self.out = nn.Conv2d(config.widths[0], 4, 1)

    def maps_of(self, image: Tensor) -> tuple[Tensor, ...]:
        x, skips = self.encoder.stem(image), []
        for block in self.encoder.down:
            x = block(x)
            skips.append(x)
        deepest = skips[-1] + self.encoder._context(skips[-1])
        return (deepest, *reversed(skips[:-1]))

    def mask_logits(self, features: Features, condition: Condition) -> Tensor:
        e = self.query(condition.embedding)
        x = filmed(features.maps[0], self.film[0](e))
        for block, film, skip in zip(self.encoder.up, self.film[1:], features.maps[1:], strict=True):  # type: ignore[index]
            x = filmed(block(torch.cat([self.encoder.enlarge(x), skip], dim=1)), film(e))
        logits: Tensor = functional.pixel_shuffle(self.out(x), 2)[:, 0].float()
        return logits


class FullBins(CompactCLAPSep):
    """A mask for every bin: that of the bands, and how much a bin that stands out of its band is favoured.

    logit of a bin = spread(logit of the band) + spread(favour of the band) * (log |X| of the bin - that of its band)
    """

    def __init__(self, config: CompactCLAPSepConfig) -> None:
        super().__init__(config)
        self.patches = nn.Linear(config.decoder_widths[0], 8)

    def encode_spectrum(self, spectrum: Tensor) -> Features:
        found = super().encode_spectrum(spectrum)
        with torch.autocast(spectrum.device.type, enabled=False):
            level = torch.log10(spectrum.abs().square() + 1e-8)
            contrast = level - self.mel.to_bins(self.mel.log_mel(spectrum))
        return Features((*found.maps, contrast.clamp(-3.0, 3.0)), found.activity)

    def mask(self, features: Features, condition: Condition) -> Mask:
        contrast = features.maps[-1]
        both = self.both_logits(Features(features.maps[:-1], features.activity), condition)  # (P, 2, M, N)
        logit, favour = (self.mel.to_bins(part[..., : contrast.shape[-1]].float()) for part in both.unbind(dim=1))
        return Mask(torch.sigmoid(logit + favour * contrast))

    def both_logits(self, features: Features, condition: Condition) -> Tensor:
        return unpatched(self.patches_of(features, condition), 2)

    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        return self.stft.synthesise(mask.bands[:, None] * spectrum, samples)

    def on_bins(self, mask: Mask) -> Tensor:
        return mask.bands


class ComplexMask(CompactCLAPSep):
    """m = sigmoid(a) (1 + i tanh(b)): the phase may be turned, by up to 45 degrees."""

    def __init__(self, config: CompactCLAPSepConfig) -> None:
        super().__init__(config)
        self.patches = nn.Linear(config.decoder_widths[0], 8)

    def mask(self, features: Features, condition: Condition) -> Mask:
        size, turn = unpatched(self.patches_of(features, condition), 2).unbind(dim=1)
        size = torch.sigmoid(size)
        return Mask(torch.complex(size, size * torch.tanh(turn)))

    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        bands = mask.bands[..., : spectrum.shape[-1]]
        bins = torch.complex(self.mel.to_bins(bands.real.contiguous()), self.mel.to_bins(bands.imag.contiguous()))
        return self.stft.synthesise(bins[:, None] * spectrum, samples)


def combined(maps: Tensor, weights: Tensor) -> Tensor:
    """Logits [P, M, N] of maps [P, K, M, N] and weights [P, K + 1], the last of them an offset."""
    weights = weights.float()
    return torch.einsum("pkmn,pk->pmn", maps.float(), weights[:, :-1]) + weights[:, -1, None, None]


def filmed(x: Tensor, gains: Tensor) -> Tensor:
    """Maps [P, d, H, W], each scaled and shifted by its two of `gains` [P, 2 d]."""
    scale, shift = gains[..., None, None].chunk(2, dim=1)
    return x * (1.0 + scale) + shift


def unpatched(patches: Tensor, channels: int) -> Tensor:
    """[P, C, M, N] of patches of 2 x 2: [P, M / 2, N / 2, 4 C]."""
    image: Tensor = functional.pixel_shuffle(patches.permute(0, 3, 1, 2), 2)
    assert image.shape[1] == channels
    return image
