"""Parts of the conditional U-Net: residual levels down and up, and the block that reads the query between them.

    down       x -> LeakyReLU(BN(conv 4x4, stride 2)) -> residual        half the bins and frames
    condition  x -> x + attention(x, x) -> + MLP -> + attention(x, tokens of the query) -> + MLP
    up         x -> bilinear, twice the bins and frames -> residual -> ReLU(BN(conv 3x3))
    residual   x -> LeakyReLU(x + BN(conv 3x3))

Source: Mahmud et al., ICLR 2024 (arXiv 2404.01740), in the released options. Shape letters: P places of a map, L tokens
of a query, E their width.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE: Final = 0.2
"""Of LeakyReLU below zero."""
MLP_RATIO: Final = 2


class ResidualBlock(nn.Module):
    """LeakyReLU(x + BN(conv(x))) on maps [B, C, H, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)).add_(x), SLOPE, inplace=True)


class DownLevel(nn.Module):
    """Maps [B, C, H, W] -> [B, width, H/2, W/2]."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.residual = ResidualBlock(width)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.leaky_relu(self.norm(self.conv(x)), SLOPE, inplace=True)
        out: Tensor = self.residual(x)
        return out


class UpLevel(nn.Module):
    """Maps [B, inputs, H, W] -> [B, outputs, 2 H, 2 W]; `last` ends with a plain convolution, neither normed nor
    rectified."""

    def __init__(self, inputs: int, outputs: int, *, last: bool = False) -> None:
        super().__init__()
        self.residual = ResidualBlock(inputs)
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=last)
        self.norm = nn.Identity() if last else nn.BatchNorm2d(outputs)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        x = self.norm(self.conv(self.residual(x)))
        return x if self.last else functional.relu(x, inplace=True)


class Attention(nn.Module):
    """What places [B, P, C] find in `source` [B, L, E], by several heads: [B, P, C]."""

    def __init__(self, width: int, source_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(source_width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        q = self._by_head(self.q(x))
        k, v = (self._by_head(half) for half in self.kv(source).chunk(2, dim=-1))
        found = functional.scaled_dot_product_attention(q, k, v)  # (B, heads, P, C / heads)
        out: Tensor = self.proj(found.transpose(1, 2).flatten(2))
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        batch, places, width = x.shape
        return x.reshape(batch, places, self.heads, width // self.heads).transpose(1, 2)


class AttentionBlock(nn.Module):
    """x + attention(LN(x), source), then x + MLP(LN(x)); without a `source` the places look at each other."""

    def __init__(self, width: int, source_width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, source_width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, MLP_RATIO * width), nn.GELU(), nn.Linear(MLP_RATIO * width, width)
        )  # fmt: skip

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attention(normed, normed if source is None else source)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ConditionBlock(nn.Module):
    """Maps [B, C, H, W] whose places look at each other, then at the tokens of the query [B, L, E].

    No token is masked, padding included, as in the release. Its block owns one more LayerNorm that nothing uses; here
    there is none.
    """

    def __init__(self, width: int, token_width: int, heads: int) -> None:
        super().__init__()
        self.places = AttentionBlock(width, width, heads)
        self.tokens = AttentionBlock(width, token_width, heads)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        places = x.flatten(2).transpose(1, 2)  # (B, P, C)
        places = self.tokens(self.places(places), tokens)
        out: Tensor = places.transpose(1, 2).reshape(x.shape)
        return out


class ConditionalMaps(nn.Module):
    """The U-Net itself: images [B, 1, F, N] and tokens [B, L, E] -> maps [B, K, F, N].

    `shallow` holds all that no token has a part in, `deep` the rest; `deep(shallow(image), tokens)` is the whole.
    """

    def __init__(
        self, widths: tuple[int, ...], *, maps: int, conditioned: int, token_width: int, heads: int
    ) -> None:  # fmt: skip
        super().__init__()
        self.down = nn.ModuleList(
            DownLevel(inputs, width) for inputs, width in zip((1, *widths), widths, strict=False)
        )  # fmt: skip
        self.condition = nn.ModuleList(
            ConditionBlock(width, token_width, heads) for width in widths[len(widths) - conditioned :]
        )
        self.up = nn.ModuleList(
            UpLevel(
                width if level + 1 == len(widths) else 2 * width,  # what comes from below, and beside it the skip
                widths[level - 1] if level else maps,
                last=level == 0,
            )
            for level, width in enumerate(widths)
        )

    def shallow(self, image: Tensor) -> tuple[Tensor, ...]:
        """Maps of the levels above the first that reads the query, and of that level before it does, fine first."""
        maps = []
        for level in self.down[: len(self.down) - len(self.condition) + 1]:
            image = level(image)
            maps.append(image)
        return tuple(maps)

    def deep(self, shallow: tuple[Tensor, ...], tokens: Tensor) -> Tensor:
        """Maps [B, K, F, N] of what `shallow` made and the tokens of as many queries."""
        *skips, x = shallow
        x = self.condition[0](x, tokens)
        for level, condition in zip(self.down[len(shallow) :], self.condition[1:], strict=True):
            skips.append(x)
            x = condition(level(x), tokens)
        for level in reversed(self.up):
            x = level(x)
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        return x
