"""The interface of every separator, and the value objects that pass through it.

    spectrum   = separator.analyse(mixture, rate)        once per window and channel, at the source's rate
    features   = separator.encode(mono, spectrum)        once per window, whatever the number of queries
    presence   = separator.presence(features, condition) every (window, query) pair: the gate
    features   = separator.deepen(features, rows)        only the windows of pairs that pass
    mask       = separator.mask(features, condition)     only the pairs that pass, in mixed batches
    stems      = separator.render(mask, spectrum, T, rate)   per pair, every channel

Shape letters: B batch (windows, or pairs), C channel, T sample, F bin, N frame, Q query, D embedding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Condition:
    """What a network is told to extract: one row per query, or per (window, query) pair.

    `embedding`: Tensor[B, D], unit length, positive half first, negative half second (zeros where there is none).
    `gate`: the same for the network that tells where a query sounds, Tensor[B, D'], if that is another one.
    `tokens`: Tensor[B, L, E], what a network that reads the query word by word attends to.
    """

    embedding: Tensor
    gate: Tensor | None = None
    tokens: Tensor | None = None

    def __post_init__(self) -> None:
        if self.embedding.ndim != 2:
            raise ValueError(f"a condition is [B, D], got {tuple(self.embedding.shape) = }")

    def __len__(self) -> int:
        return self.embedding.shape[0]

    def select(self, rows: Tensor) -> Condition:
        """The rows of these indices, in their order (repeats allowed)."""
        return self._each(lambda part: part.index_select(0, rows))

    def to(self, device: str | torch.device) -> Condition:
        """The same on a device."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Condition:
        gate, tokens = (None if part is None else change(part) for part in (self.gate, self.tokens))
        return Condition(change(self.embedding), gate, tokens)


@dataclass(frozen=True)
class Features:
    """Everything about windows that does not depend on the query.

    `maps`: what masks are made from, per resolution Tensor[B, ...], coarse first; the window comes first in all.
    `activity`: Tensor[B, A, N'], what presence is read from; None where the network cannot tell it.
    """

    maps: tuple[Tensor, ...]
    activity: Tensor | None = None

    def __len__(self) -> int:
        return self.maps[0].shape[0]

    def repeat(self, row: int, times: int) -> Features:
        """One window, `times` over, without copying it."""
        return self._each(lambda m: m[row : row + 1].expand(times, *m.shape[1:]))

    def select(self, rows: Tensor) -> Features:
        """The windows of these indices, in their order (repeats allowed)."""
        return self._each(lambda m: m.index_select(0, rows))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Features:
        activity = None if self.activity is None else change(self.activity)
        return Features(tuple(change(m) for m in self.maps), activity)


@dataclass(frozen=True)
class Mask:
    """A magnitude mask per pair, on the network's own frequency bands: Tensor[B, M, N] in [0, 1].

    `render` interpolates it to bins. The phase is the mixture's.
    """

    bands: Tensor


class PrecisionError(ValueError):
    """A network is asked to compute in what it cannot; the message says what it can."""


class MaskNetwork(nn.Module, ABC):
    """A network that separates what a condition describes from a mixture of a fixed window length."""

    sample_rate: int
    window_samples: int
    lead_share: float = 0.1
    """The part of a window on each side that neighbours share: half of it context, half of it cross-fade."""
    window_bytes: int = 256 << 20
    """What encoding one more window at a time takes at most, in single precision."""
    pair_bytes: int = 64 << 20
    """What decoding one more pair at a time takes at most, in single precision, with its stereo stem at the network's
    rate; where that is too little, batches are halved."""
    cpu_pairs: int = 4
    """Pairs that one thread decodes at a time on a CPU."""
    reads_negatives: bool = True
    """Whether the negative half of a condition changes anything."""
    precisions: tuple[str, ...] = ("float32",)
    """What weights and activations may be."""

    @abstractmethod
    def analyse(self, mixture: Tensor, sample_rate: int | None = None) -> Tensor:
        """Complex spectrum [B, C, F, N] of `mixture` [B, C, T] at `sample_rate` (None: the network's own)."""

    @abstractmethod
    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        """Features of mono windows `mixture` [B, T]; the expensive part, paid once per window.

        Whoever has the mono spectrum [B, F, N] at the network's rate may pass it on, so that it is not computed twice.
        """

    @abstractmethod
    def mask(self, features: Features, condition: Condition) -> Mask:
        """Masks of pairs: row i of `condition` applied to window i of `features`."""

    @abstractmethod
    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        """Stems [B, C, samples]: row i of `mask` applied to every channel of row i of `spectrum` [B, C, F, N].

        A spectrum of one row serves all masks. `sample_rate` is the one that `spectrum` was analysed at.
        """

    @abstractmethod
    def on_bins(self, mask: Mask) -> Tensor:
        """The mask at every bin of the network's own spectrum: Tensor[B, F, N]."""

    def set_precision(self, dtype: torch.dtype) -> None:
        """Get ready for inference with weights and activations in `dtype`, for good; move to the device before."""
        self._refuse_others(str(dtype).removeprefix("torch."))

    def precision(self, asked: str, device: str) -> torch.dtype:
        """What to compute in on a device: `asked`, or with "auto" what is fastest there and as good (stems differ from
        those of float32 by less than 2 %). Raises PrecisionError for what the network cannot."""
        if asked == "auto":
            return self.best_precision(device)
        self._refuse_others(asked)
        dtype: torch.dtype = getattr(torch, asked)
        return dtype

    def _refuse_others(self, asked: str) -> None:
        if asked not in self.precisions:
            raise PrecisionError(
                f"precision is {asked}, but this model works in {' or '.join(self.precisions)}; leave it at auto"
            )

    def best_precision(self, device: str) -> torch.dtype:
        """The fastest of `precisions` on a device."""
        return torch.float32

    def forward(self, mixture: Tensor, condition: Condition) -> Tensor:
        """Stems [B, T] of mono mixtures [B, T], one condition each. For training and for notebooks."""
        if mixture.shape[0] != len(condition):
            raise ValueError(f"one condition per mixture, got {len(condition)} for {mixture.shape[0]} mixtures")
        spectrum = self.analyse(mixture[:, None])
        return self.render(self.mask(self.encode(mixture), condition), spectrum, mixture.shape[-1])[:, 0]


class Separator(MaskNetwork):
    """A network that separates, and tells where there is something to separate."""

    activity_hop_samples: int
    """Samples per frame of `activity`: frame n tells of [n, n + 1) times so many samples of the window. The last ones
    may lie beyond its end."""

    @abstractmethod
    def activity_logits(self, features: Features, condition: Condition) -> Tensor:
        """Log odds per frame that a query sounds, Tensor[B, Q, N']: what training differentiates."""

    @abstractmethod
    def activity(self, features: Features, condition: Condition) -> Tensor:
        """Probability per frame that a query sounds: Tensor[B, Q, N'] for B windows and Q conditions."""

    @abstractmethod
    def presence(self, features: Features, condition: Condition) -> Tensor:
        """Probability that a query sounds anywhere in the window: Tensor[B, Q]."""

    def deepen(self, features: Features, rows: Tensor) -> Features:
        """The windows of these indices, with all that masks are made from.

        For networks that tell presence by less than that; here `encode` knows it already.
        """
        every = torch.arange(len(features), device=rows.device)
        return features if torch.equal(rows, every) else features.select(rows)


def all_pairs(windows: int, queries: int) -> tuple[Tensor, Tensor]:
    """Window and query index of every pair, window major: two Tensors[windows * queries]."""
    grid = torch.cartesian_prod(torch.arange(windows), torch.arange(queries)).reshape(-1, 2)
    return grid[:, 0], grid[:, 1]
