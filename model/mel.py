"""Mel bands: from power spectra to log-mel images, and from masks on bands back to masks on bins."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def hertz_to_mel(hertz: float) -> float:
    """Mel of a frequency, HTK formula."""
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def mel_to_hertz(mel: Tensor) -> Tensor:
    """Frequency in Hz of a mel value, HTK formula."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def mel_centres(bands: int, sample_rate: int) -> Tensor:
    """Centre frequencies of the bands in Hz, with one more on both sides: Tensor[bands + 2], from 0 to Nyquist."""
    return mel_to_hertz(torch.linspace(0.0, hertz_to_mel(sample_rate / 2), bands + 2))


def spread_matrix(bands: int, sample_rate: int, hertz: Tensor) -> Tensor:
    """Weights [F, M] that interpolate values of the bands of a network at `sample_rate` at frequencies `hertz` [F].

    Every row adds up to one. Below the lowest band's centre the lowest band counts, above the highest one's the
    highest, however far above.
    """
    centres = mel_centres(bands, sample_rate)[1:-1].contiguous()
    position = torch.searchsorted(centres, hertz.contiguous()).clamp(1, bands - 1)
    low, high = centres[position - 1], centres[position]
    share = ((hertz - low) / (high - low)).clamp(0.0, 1.0)
    spread = torch.zeros(len(hertz), bands)
    spread[torch.arange(len(hertz)), position - 1] = 1.0 - share
    spread[torch.arange(len(hertz)), position] = share
    return spread


def spread_over_bins(bands: Tensor, spread: Tensor) -> Tensor:
    """Values per bin [..., F, N] of values per band [..., M, N] by the weights `spread` [F, M].

    Frames lie first in memory, as in a spectrum of `torch.stft`: the product with one is then far faster.
    """
    frames_first = bands.transpose(-1, -2).contiguous()  # (..., N, M)
    bins = torch.mm(frames_first.flatten(0, -2), spread.T)  # one plain product: batched ones are slower
    return bins.reshape(*frames_first.shape[:-1], -1).transpose(-1, -2)


class MelScale(nn.Module):
    """Triangular mel bands over linear bins, and linear interpolation back.

    `log_mel` turns a complex spectrum into log power per band; `to_bins` spreads values per band over the bins, so
    that a bin between two band centres gets their weighted mean. Bands narrower than a bin still take at least their
    nearest bin.
    """

    weight: Tensor
    spread: Tensor

    def __init__(self, *, bands: int, bins: int, sample_rate: int) -> None:
        super().__init__()
        centres = mel_centres(bands, sample_rate)
        hertz = torch.linspace(0.0, sample_rate / 2, bins)
        rising = (hertz[None] - centres[:-2, None]) / (centres[1:-1] - centres[:-2])[:, None]
        falling = (centres[2:, None] - hertz[None]) / (centres[2:] - centres[1:-1])[:, None]
        triangles = torch.minimum(rising, falling).clamp_min(0.0)  # (M, F)
        nearest = torch.zeros_like(triangles)
        nearest[torch.arange(bands), (hertz[None] - centres[1:-1, None]).abs().argmin(dim=1)] = 1.0
        empty = triangles.sum(dim=1, keepdim=True) < 1.0
        weight = torch.where(empty, torch.maximum(triangles, nearest), triangles)
        self.register_buffer("weight", weight / weight.sum(dim=1, keepdim=True), persistent=False)

        self.register_buffer("spread", spread_matrix(bands, sample_rate, hertz), persistent=False)

    def log_mel(self, spectrum: Tensor) -> Tensor:
        """Log10 mean power per band [..., M, N] of a complex `spectrum` [..., F, N], floored at 1e-10."""
        power = spectrum.real**2 + spectrum.imag**2
        return torch.log10(torch.matmul(self.weight, power) + 1e-10)

    def to_bins(self, bands: Tensor) -> Tensor:
        """Values per bin [..., F, N] of values per band [..., M, N]."""
        return spread_over_bins(bands, self.spread)


def slaney_filters(bands: int, bins: int, sample_rate: int, lowest_hertz: float, highest_hertz: float) -> Tensor:
    """Triangular filters [M, F] of unit area on Slaney's mel scale (linear below 1 kHz, logarithmic above): librosa's
    `filters.mel`, which HTSAT was trained with."""
    step, knee = 200.0 / 3.0, 15.0  # Hz per mel below the knee, and the knee in mel
    growth = math.log(6.4) / 27.0  # per mel above it
    ends = [hz / step if hz < 1000.0 else knee + math.log(hz / 1000.0) / growth for hz in (lowest_hertz, highest_hertz)]
    mel = torch.linspace(ends[0], ends[1], bands + 2, dtype=torch.float64)
    centres = torch.where(mel < knee, mel * step, 1000.0 * torch.exp(growth * (mel - knee)))
    hertz = torch.linspace(0.0, sample_rate / 2, bins, dtype=torch.float64)
    rising = (hertz[None] - centres[:-2, None]) / (centres[1:-1] - centres[:-2])[:, None]
    falling = (centres[2:, None] - hertz[None]) / (centres[2:] - centres[1:-1])[:, None]
    area = (centres[2:] - centres[:-2])[:, None] / 2.0
    return (torch.minimum(rising, falling).clamp_min(0.0) / area).float()
