"""A low-rank change of a matrix, and the matrix that has taken it in (LoRA, arXiv 2106.09685).

W'  =  W + (alpha / r) B A          A [r, inputs], B [outputs, r]
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

ALPHA: Final = 1.0
"""CLAPSep leaves it at the default of the library it uses."""


@torch.no_grad()
def merged_weight(weight: Tensor, a: Tensor, b: Tensor, alpha: float = ALPHA) -> Tensor:
    """`weight` [outputs, inputs] with its change taken in, in single precision."""
    change = b.float() @ a.float()
    merged: Tensor = weight.float() + change * (alpha / len(a))
    return merged
