"""Resampling inside a network, by the filter that the published checkpoints were trained with.

A sinc of six zero crossings under a raised cosine, cut off at 0.99 of the lower Nyquist frequency: what torchaudio's
`Resample` does by default. Tracks and exemplars are resampled by soxr instead, which is sharper.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

CROSSINGS = 6
ROLLOFF = 0.99


class Resample(nn.Module):
    """Signals [B, T] at `source_rate` to [B, ceil(T * target / source)] at `target_rate`.

    >>> Resample(32_000, 48_000)(torch.zeros(1, 320)).shape
    torch.Size([1, 480])
    """

    kernel: Tensor

    def __init__(self, source_rate: int, target_rate: int) -> None:
        super().__init__()
        divisor = math.gcd(source_rate, target_rate)
        self.source, self.target = source_rate // divisor, target_rate // divisor
        cutoff = ROLLOFF * min(self.source, self.target)
        self.reach = math.ceil(CROSSINGS * self.source / cutoff)
        taps = torch.arange(-self.reach, self.reach + self.source, dtype=torch.float64) / self.source
        phases = -torch.arange(self.target, dtype=torch.float64) / self.target
        time = ((phases[:, None] + taps[None]) * cutoff).clamp(-CROSSINGS, CROSSINGS)
        kernel = torch.sinc(time) * torch.cos(time * math.pi / (2 * CROSSINGS)) ** 2 * (cutoff / self.source)
        self.register_buffer("kernel", kernel.float()[:, None], persistent=False)  # (target, 1, taps)

    def forward(self, signal: Tensor) -> Tensor:
        padded = functional.pad(signal, (self.reach, self.reach + self.source))
        phases = functional.conv1d(padded[:, None], self.kernel, stride=self.source)  # (B, target, T')
        out: Tensor = phases.transpose(1, 2).flatten(1)
        return out[:, : math.ceil(signal.shape[-1] * self.target / self.source)]
