"""Attention, by what is fastest where it runs.

torch's fused attention gains nothing from bfloat16 on a CPU without AMX (one with it was not measured): ten seconds (8
heads, 1001 frames, 80 wide) take one thread of an AMD EPYC 9004 32 ms in either precision. Head by head in plain
products they take 18 ms: the scores of one head, 2 MB, stay in the cache.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, all [B, heads, N, d]."""
    if q.dtype is not torch.bfloat16 or q.device.type != "cpu" or torch.is_grad_enabled():
        return functional.scaled_dot_product_attention(q, k, v)
    out = torch.empty_like(q)
    scaled = q * q.shape[-1] ** -0.5
    for row in range(len(q)):
        for head in range(q.shape[1]):
            share = torch.mm(scaled[row, head], k[row, head].t()).softmax(dim=-1)
            torch.mm(share, v[row, head], out=out[row, head])
    return out
