"""Masks of several queries on one window, made to share it: what they leave, and shares that never exceed the whole.

    total    = sum over distinct queries of their masks        a query asked twice counts once
    residual = 1 - min(1, total)
    share_q  = mask_q / max(1, total)                          equal queries divide theirs evenly

Shares and residual add up to one everywhere. Our choice; none of the seed systems separates several queries at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor


def residual_mask(masks: Tensor, contents: Sequence[int]) -> Tensor:
    """What the masks [Q, M, N] in [0, 1] leave, Tensor[M, N]. Rows of equal `contents` ask for the same.

    >>> masks = torch.tensor([[[0.7]], [[0.7]], [[0.2]]])
    >>> round(float(residual_mask(masks, [0, 0, 1])), 3)
    0.1
    """
    return 1.0 - _total(masks, contents).clamp(max=1.0)


def exclusive_masks(masks: Tensor, contents: Sequence[int]) -> Tensor:
    """The masks [Q, M, N], divided where they would take more than there is.

    >>> shares = exclusive_masks(torch.tensor([[[0.9]], [[0.9]], [[0.6]]]), [0, 0, 1])
    >>> [round(share, 3) for share in shares.flatten().tolist()]
    [0.3, 0.3, 0.4]
    """
    copies = Counter(contents)
    divide = masks.new_tensor([copies[content] for content in contents])
    return masks / (divide[:, None, None] * _total(masks, contents).clamp(min=1.0))


def _total(masks: Tensor, contents: Sequence[int]) -> Tensor:
    """Sum [M, N] over the distinct contents."""
    firsts = [contents.index(content) for content in dict.fromkeys(contents)]
    return masks[torch.tensor(firsts, device=masks.device)].sum(dim=0)
