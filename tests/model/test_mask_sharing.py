"""Sharing a window: never more than there is, nothing lost, a query asked twice counts once."""

from __future__ import annotations

import doctest

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import mask_sharing
from model.mask_sharing import exclusive_masks, residual_mask


def masks_of(queries: int, seed: int) -> torch.Tensor:
    return torch.rand(queries, 4, 6, generator=torch.Generator().manual_seed(seed))


def test_the_examples_of_the_docstrings_run() -> None:
    assert doctest.testmod(mask_sharing).failed == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 1000))
def test_shares_and_residual_add_up_to_one(contents: list[int], seed: int) -> None:
    distinct = masks_of(4, seed)
    masks = distinct[torch.tensor(contents)]
    shares, residual = exclusive_masks(masks, contents), residual_mask(masks, contents)
    assert bool((shares <= masks + 1e-6).all())
    assert bool(((residual >= 0) & (residual <= 1)).all())
    assert torch.allclose(shares.sum(dim=0) + residual, torch.ones(4, 6), atol=1e-6)


def test_masks_that_leave_room_for_each_other_stay_as_they_are() -> None:
    masks = 0.3 * masks_of(3, 0)
    assert torch.equal(exclusive_masks(masks, [0, 1, 2]), masks)


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_copies_of_a_query_change_neither_the_residual_nor_the_others(copies: int) -> None:
    one, other = masks_of(2, 1)
    masks = torch.stack([other, *[one] * copies])
    contents = [7, *[3] * copies]
    assert torch.allclose(residual_mask(masks, contents), 1 - (one + other).clamp(max=1))
    shares = exclusive_masks(masks, contents)
    assert torch.allclose(shares[0], exclusive_masks(torch.stack([other, one]), [0, 1])[0])
    assert torch.allclose(shares[1:].sum(dim=0), exclusive_masks(torch.stack([other, one]), [0, 1])[1])
