"""The query-independent part of the small CLAPSep: a convolutional U-Net over the log-mel image of the mixture.

It returns one map per resolution (its upward path, coarse first), the taps that the query-dependent decoder reads.
All of its cost is paid once per window: a query sees context through these maps, never by running it again.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_norm_act(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, batch norm, SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.SiLU(inplace=True)
    )


class ResBlock(nn.Module):
    """x + conv(conv(x)), with a 1x1 projection where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = conv_norm_act(inputs, outputs)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.second(self.first(x)) + self.skip(x))
        return out


class MixtureEncoder(nn.Module):
    """Log-mel image [B, 1, M, N] -> taps, coarse first: (B, widths[-1], M/2^L, N/2^L) ... (B, widths[0], M/2, N/2).

    The stem halves both axes; every further level halves them again. At the coarsest level a bidirectional GRU over
    time gives every frame the whole window as context.
    """

    def __init__(self, widths: tuple[int, ...], *, bands: int, deep_blocks: int) -> None:
        super().__init__()
        self.widths = widths
        levels = len(widths)
        self.stride = 2**levels
        if bands % self.stride:
            raise ValueError(f"mel bands must be a multiple of 2^levels = {self.stride}, got {bands = }")
        self.stem = nn.Sequential(
            nn.Conv2d(2, widths[0], 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.SiLU(inplace=True),
        )
        self.down = nn.ModuleList()
        for level, width in enumerate(widths):
            before = widths[level - 1] if level else width
            pool = nn.Identity() if level == 0 else nn.MaxPool2d(2)
            depth = deep_blocks if level == levels - 1 else 1
            self.down.append(
                nn.Sequential(pool, ResBlock(before, width), *(ResBlock(width, width) for _ in range(depth - 1)))
            )
        deepest = widths[-1]
        rows = bands // self.stride
        self.fold = nn.Linear(deepest * rows, deepest)
        self.recurrent = nn.GRU(deepest, deepest // 2, batch_first=True, bidirectional=True)
        self.unfold = nn.Linear(deepest, deepest * rows)
        self.up = nn.ModuleList(
            ResBlock(widths[level + 1] + widths[level], widths[level]) for level in reversed(range(levels - 1))
        )
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(image)
        skips: list[Tensor] = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = skips.pop()
        x = x + self._context(x)
        taps = [x]
        for block in self.up:
            x = block(torch.cat([self.enlarge(x), skips.pop()], dim=1))
            taps.append(x)
        return tuple(taps)

    def _context(self, x: Tensor) -> Tensor:
        batch, width, rows, frames = x.shape
        folded = self.fold(x.permute(0, 3, 1, 2).reshape(batch, frames, width * rows))  # (B, N, D)
        context = self.unfold(self.recurrent(folded)[0])  # (B, N, D * H)
        image: Tensor = context.reshape(batch, frames, width, rows).permute(0, 2, 3, 1)
        return image
