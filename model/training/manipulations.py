"""What is done to audio embeddings so that a network trained on them understands text embeddings too.

Leveraging Audio-Only Data for Text-Queried Target Sound Extraction (arXiv 2409.13152) compares several, and finds
embedding dropout to work. Its rates and its list could not be read: the set here, and its defaults, are our choice.

    manipulation(vectors [..., D], generator) -> unit vectors [..., D]

Random ones draw from the generator alone. Fitted ones hold what they learned as buffers, nothing is trained.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class Manipulation(nn.Module, ABC):
    """Vectors [..., D] to unit vectors [..., D]."""

    @abstractmethod
    def change(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """Float32 vectors of any length; those given stay as they are."""

    def forward(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        return functional.normalize(self.change(vectors.float(), generator), dim=-1)


class EmbeddingDropout(Manipulation):
    """A share `rate` of the entries of each vector becomes zero. One entry at least stays: zeros ask for nothing."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"the rate of embedding dropout is from 0 to below 1, got {rate}")
        self.rate = rate

    def change(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        draw = torch.rand(vectors.shape, generator=generator, device=generator.device).to(vectors.device)
        kept = (draw >= self.rate) | (draw == draw.amax(dim=-1, keepdim=True))
        return vectors * kept


class GaussianNoise(Manipulation):
    """Every entry has noise of this variance added."""

    def __init__(self, variance: float) -> None:
        super().__init__()
        if not variance >= 0.0:
            raise ValueError(f"the variance of noise is 0 or more, got {variance}")
        self.variance = variance

    def change(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(vectors.shape, generator=generator, device=generator.device).to(vectors.device)
        return vectors + math.sqrt(self.variance) * noise


class Mixup(Manipulation):
    """Each vector has a share of another one mixed in: (1 - s) v + s v', s ~ U(low, high) for each.

    Rows of the batch (its first dimension) are paired, so that v' is of another mixture, not the sound next to v.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"shares of mixup are from 0 to 1, low before high, got {low} to {high}")
        self.low, self.high = low, high

    def change(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        rows = len(vectors)
        # A shuffle, and its neighbour in a circle: no row meets itself, unless it is the only one.
        order = torch.randperm(rows, generator=generator, device=generator.device).to(vectors.device)
        other = torch.empty_like(order)
        other[order] = order.roll(1)
        shape = (*vectors.shape[:-1], 1)
        draw = torch.rand(shape, generator=generator, device=generator.device).to(vectors.device)
        return torch.lerp(vectors, vectors[other], self.low + (self.high - self.low) * draw)


class MeanGapShift(Manipulation):
    """Every vector moved by `share` of the gap, which leads from the mean audio vector to the mean text vector."""

    gap: Tensor

    def __init__(self, gap: Tensor, share: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("gap", gap.float())
        self.share = share

    @classmethod
    def fit(cls, audio: Tensor, text: Tensor, share: float = 1.0) -> Self:
        """Of vectors [N, D] of sounds, and [M, D] of texts about such sounds; they need not be pairs."""
        return cls(text.double().mean(dim=0) - audio.double().mean(dim=0), share)

    def change(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        return vectors + self.share * self.gap


class PcaTruncation(Manipulation):
    """Every vector projected on the mean and the `keep` directions in which vectors differ most."""

    mean: Tensor
    axes: Tensor

    def __init__(self, mean: Tensor, axes: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("axes", axes.float())  # (K, D), orthonormal

    @classmethod
    def fit(cls, vectors: Tensor, keep: int) -> Self:
        """Of vectors [N, D]. Raises ValueError when so many directions cannot be told from so few vectors."""
        most = min(vectors.shape[1], len(vectors) - 1)
        if not 1 <= keep <= most:
            raise ValueError(
                f"{keep} directions cannot be kept of {len(vectors)} vectors of {vectors.shape[1]} numbers: "
                f"1 to {most} can"
            )
        mean, axes, _ = principal_axes(vectors)
        return cls(mean, axes[:keep])

    def change(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        return self.mean + (vectors - self.mean) @ self.axes.T @ self.axes


class PcaWhitening(Manipulation):
    """Every vector less the mean, divided by the spread along each principal direction, in the old coordinates.

    `matrix` [D, D] = sum over directions of a a' / sqrt(variance + epsilon).
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, mean: Tensor, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("matrix", matrix.float())

    @classmethod
    def fit(cls, vectors: Tensor, epsilon: float) -> Self:
        """Of vectors [N, D]. `epsilon`, added to every variance, keeps directions without any from being blown up."""
        if not epsilon > 0.0:
            raise ValueError(f"the epsilon of whitening is above 0, got {epsilon}")
        if len(vectors) < 2:
            raise ValueError(f"whitening is fitted on 2 vectors or more, got {len(vectors)}")
        mean, axes, variance = principal_axes(vectors)
        return cls(mean, axes.T @ (axes / (variance + epsilon).sqrt()[:, None]))

    def change(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        return (vectors - self.mean) @ self.matrix


def principal_axes(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [D], orthonormal directions [D, D] (one a row, the widest first) and their variances [D], in float64 on the
    CPU."""
    exact = vectors.detach().double().cpu()
    mean = exact.mean(dim=0)
    centred = exact - mean
    variances, axes = torch.linalg.eigh(centred.T @ centred / max(1, len(exact) - 1))
    return mean, axes.T.flip(0), variances.flip(0).clamp_min(0.0)
