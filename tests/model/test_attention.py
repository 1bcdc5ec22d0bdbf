"""Attention head by head is attention."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from model.attention import attend


def heads(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(2, 3, 50, 16, generator=generator).to(dtype) for _ in range(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_is_softmax_of_scaled_products(dtype: torch.dtype) -> None:
    q, k, v = heads(dtype)
    with torch.no_grad():
        heard = attend(q, k, v).float()
    scores = q.double() @ k.double().transpose(-1, -2) / 4.0
    exact = (scores.softmax(dim=-1) @ v.double()).float()
    assert (heard - exact).norm() / exact.norm() < (1e-6 if dtype is torch.float32 else 1e-2)


def test_gradients_pass_through_in_any_precision() -> None:
    q, k, v = (x.requires_grad_() for x in heads(torch.bfloat16))
    attend(q, k, v).sum().backward()
    assert v.grad is not None
    assert torch.equal(attend(q, k, v), functional.scaled_dot_product_attention(q, k, v))
