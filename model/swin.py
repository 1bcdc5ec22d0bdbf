"""Parts of a Swin transformer on channels-last maps [B, H, W, C]: blocks of window attention, patch merging, patch
expansion.

    h = h + proj( attention within windows of 8 x 8, with a learned bias per relative position ( LN(h) ) )
    h = h + MLP( LN(h) )

Parameter names are those of the published HTSAT and CLAPSep checkpoints. Sources: Swin transformer (arXiv 2103.14030);
patch expansion in the order of patch merging: CLAPSep (arXiv 2402.17455).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class WindowAttention(nn.Module):
    """Attention within windows of `side` x `side` places of a map [B, H, W, C], every second block shifted by half a
    window."""

    bias_index: Tensor
    shift_mask: Tensor | None

    def __init__(self, width: int, *, grid: int, heads: int, side: int, shifted: bool) -> None:
        super().__init__()
        if width % heads or grid % side:
            raise ValueError(f"heads must divide the width and windows the grid, got {width = }, {heads = }, {grid = }")
        self.heads, self.side = heads, side
        self.shift = side // 2 if shifted and grid > side else 0
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * side - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("bias_index", relative_positions(side), persistent=False)
        mask = shift_mask(grid, side, self.shift) if self.shift else None
        self.register_buffer("shift_mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, rows, columns, width = x.shape
        side, places = self.side, self.side**2
        qkv = self.qkv(x)
        if self.shift:
            qkv = torch.roll(qkv, (-self.shift, -self.shift), dims=(1, 2))
        qkv = qkv.reshape(batch, rows // side, side, columns // side, side, 3, self.heads, width // self.heads)
        qkv = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, -1, self.heads, places, width // self.heads)
        q, k, v = qkv.unbind(0)  # (B * windows, heads, places, width / heads)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(len(q)).to(q.dtype))
        out = out.reshape(batch, rows // side, columns // side, self.heads, side, side, width // self.heads)
        out = out.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, rows, columns, width)
        if self.shift:
            out = torch.roll(out, (self.shift, self.shift), dims=(1, 2))
        projected: Tensor = self.proj(out)
        return projected

    def _bias(self, windows: int) -> Tensor:
        """What is added to the scores of that many windows: [windows or 1, heads, places, places]."""
        places = self.side**2
        bias = self.relative_position_bias_table[self.bias_index.flatten()]
        bias = bias.reshape(1, places, places, self.heads).permute(0, 3, 1, 2)
        if self.shift_mask is None:
            return bias
        bias = bias + self.shift_mask[:, None]
        return bias.expand(windows // len(bias), *bias.shape).flatten(0, 1) if windows > len(bias) else bias


class SwinBlock(nn.Module):
    """One block on a map [B, H, W, C]; see the module's docstring for the equation."""

    def __init__(self, width: int, *, grid: int, heads: int, side: int, shifted: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, grid=grid, heads=heads, side=min(side, grid), shifted=shifted)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class PatchMerging(nn.Module):
    """Half the rows and columns, twice the width: [B, H, W, C] -> [B, H/2, W/2, 2 C]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, rows, columns, width = x.shape
        x = x.reshape(batch, rows // 2, 2, columns // 2, 2, width)
        x = x.permute(0, 1, 3, 4, 2, 5).reshape(batch, rows // 2, columns // 2, 4 * width)  # column major in a patch
        merged: Tensor = self.reduction(self.norm(x))
        return merged


class PatchExpand(nn.Module):
    """Twice the rows and columns, half the width, undoing `PatchMerging`: [B, H, W, C] -> [B, 2 H, 2 W, C/2]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(width // 2)

    def forward(self, x: Tensor) -> Tensor:
        batch, rows, columns, width = x.shape
        x = self.expand(x).reshape(batch, rows, columns, 2, 2, width // 2)
        x = x.permute(0, 1, 4, 2, 3, 5).reshape(batch, 2 * rows, 2 * columns, width // 2)
        expanded: Tensor = self.norm(x)
        return expanded


def relative_positions(side: int) -> Tensor:
    """Row of the bias table for every pair of places in a window of `side` x `side`: int64[side^2, side^2]."""
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side))
    apart = places[:, None] - places[None] + side - 1
    return apart[..., 0] * (2 * side - 1) + apart[..., 1]


def shift_mask(grid: int, side: int, shift: int) -> Tensor:
    """-100 for pairs of places that only the cyclic shift brought together, else 0: [windows, side^2, side^2]."""
    band = torch.zeros(grid, dtype=torch.long)
    band[grid - side : grid - shift], band[grid - shift :] = 1, 2
    region = 3 * band[:, None] + band[None]
    windows = region.reshape(grid // side, side, grid // side, side).permute(0, 2, 1, 3).reshape(-1, side * side)
    return torch.where(windows[:, :, None] == windows[:, None], 0.0, -100.0)
