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
        self.register_buffer("kernel", kernel.float(), persistent=False)  # (target, taps)

    def forward(self, signal: Tensor) -> Tensor:
        padded = functional.pad(signal, (self.reach, self.reach + self.source))
        pieces = padded.unfold(1, self.kernel.shape[1], self.source)  # (B, T', taps)
        out: Tensor = (pieces @ self.kernel.T).flatten(1)  # a convolution would run in TF32 on CUDA
        return out[:, : math.ceil(signal.shape[-1] * self.target / self.source)]
