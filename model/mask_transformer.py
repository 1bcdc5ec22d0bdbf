"""The mask network of CLAPSep: a Transformer over the frames of a window, from what the decoder found to a mask.

    x    = LN( W [spectrum, h] )               the spectrum's half of W x is the same for every query
    x    = LN( x + attention(x) );  x = LN( x + W2 relu(W1 x) )      three layers
    mask = sigmoid( W x )

Six sevenths of what a further query costs are spent here. Parameter names are those of the published checkpoint
(a `nn.Sequential` around `nn.TransformerEncoder`), but for `in_proj.*`, there `in_proj_*`.
Source: CLAPSep (arXiv 2402.17455, section III).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.attention import attend


class SelfAttention(nn.Module):
    """Attention of [B, N, D] over itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the width, got {width = }, {heads = }")
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, frames, width = x.shape
        qkv = self.in_proj(x).reshape(batch, frames, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out: Tensor = self.out_proj(attend(q, k, v).transpose(1, 2).flatten(2))
        return out


class TransformerLayer(nn.Module):
    """Attention and a perceptron on [B, N, D], each with its input added and normed behind."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads)
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.self_attn(x))
        out: Tensor = self.norm2(x + self.linear2(torch.relu_(self.linear1(x))))
        return out


class Layers(nn.Module):
    """The Transformer's layers, one after the other."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(width, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MaskTransformer(nn.Sequential):
    """`spectrum_part` once per window, `forward` once per (window, query) pair."""

    def __init__(self, *, bins: int, bands: int, width: int, heads: int, layers: int) -> None:
        super().__init__(
            nn.Linear(bins + bands, width), nn.LayerNorm(width), Layers(width, heads, layers), nn.Linear(width, bins)
        )
        self.bins = bins

    def spectrum_part(self, magnitude: Tensor) -> Tensor:
        """What normed magnitudes [B, N, F] add to the input of the first norm: [B, N, D]."""
        return functional.linear(magnitude, self._first.weight[:, : self.bins], self._first.bias)

    def forward(self, spectrum_part: Tensor, h: Tensor) -> Tensor:  # type: ignore[override]
        """Log odds of the mask [B, N, F], of the spectrum's part [B, N, D] and the decoder's bands `h` [B, N, M]."""
        x = spectrum_part + functional.linear(h, self._first.weight[:, self.bins :])
        logits: Tensor = self[3](self[2](self[1](x)))
        return logits

    @property
    def _first(self) -> nn.Linear:
        first = self[0]
        assert isinstance(first, nn.Linear)
        return first
