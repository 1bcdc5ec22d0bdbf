"""What is wanted of a mixture and what is not, in training: every sound once, the others as its opposite.

CLAPSep draws once per batch: a quarter of its batches have no negative side, a quarter no positive one. It mixes two
sounds; where there are more, the others' vectors are added up and the sum is given unit length (our choice).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.conditions import Sides


@dataclass(frozen=True)
class SideShares:
    """Shares of the batches with one side only; the rest has both. The defaults are CLAPSep's.

    `SideShares(1.0, 0.0)` trains without negatives.
    """

    positive_only: float = 0.25
    negative_only: float = 0.25

    def __post_init__(self) -> None:
        if min(self.positive_only, self.negative_only) < 0.0 or self.positive_only + self.negative_only > 1.0:
            raise ValueError(
                f"shares of batches lie in [0, 1], and so does their sum: {self.positive_only = }, "
                f"{self.negative_only = }"
            )

    def draw(self, vectors: Tensor, generator: torch.Generator) -> Sides:
        """Both sides of all sounds [B * S, D], sound by sound within mixture by mixture, for `vectors` [B, S, D].

        One draw decides for the whole batch. A sound that has no opposite (it is alone, or the others cancel) is asked
        for by its positive side whatever was drawn.
        """
        draw = float(torch.rand((), generator=generator, device=generator.device))
        positive = vectors.flatten(0, 1)  # (B S, D)
        negative = opposites(vectors).flatten(0, 1)
        if draw < self.positive_only:
            return Sides(positive, torch.zeros_like(negative))
        if draw < self.positive_only + self.negative_only:
            alone = negative.square().sum(dim=-1, keepdim=True) == 0.0
            return Sides(torch.where(alone, positive, torch.zeros_like(positive)), negative)
        return Sides(positive, negative)


def opposites(vectors: Tensor) -> Tensor:
    """Unit vectors [B, S, D]: for every sound the sum of the others of its mixture; zeros where there is none.

    >>> opposites(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])).tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    others = 1.0 - torch.eye(vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
    return functional.normalize((others[..., None] * vectors[:, None]).sum(dim=2), dim=-1)


def positive_sides(vectors: Tensor) -> Sides:
    """Sides of vectors [P, D] that are wanted, against nothing."""
    return Sides(vectors, torch.zeros_like(vectors))
