"""Decode many: masks and stems of (view, query) pairs, of views that were encoded once.

Batches may mix views and queries. Out of memory halves a batch and tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from model.separator import Condition, Features, Mask, Separator
from operators.actor_metrics import count_memory_retry
from operators.stretches import Samples

Pair = tuple[int, int]
"""Row of a view, and query."""
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class EncodedViews:
    """The views of a few windows, encoded once, each a mono mix or a channel: from pairs to masks, from masks to stems.

    `spectra` [V, C, F, N] are analysed at `rate`; stems come back as long as the windows, `length` samples.
    """

    network: Separator
    condition: Condition
    features: Features
    spectra: Tensor
    rate: int
    length: int

    @torch.inference_mode()
    def masks(self, pairs: Sequence[Pair]) -> Tensor:
        """Masks of pairs on the network's bands, Tensor[P, M, N]."""
        first, device = pairs[0][0], self.spectra.device
        condition = self.condition.select(torch.tensor([query for _, query in pairs], device=device))
        if all(row == first for row, _ in pairs):  # one window: nothing is copied
            return self.network.mask(self.features.repeat(first, len(pairs)), condition).bands
        rows = torch.tensor([row for row, _ in pairs], device=device)
        return self.network.mask(self.features.select(rows), condition).bands

    @torch.inference_mode()
    def render(self, pairs: Sequence[Pair], masks: Tensor) -> Samples:
        """Stems [P, C, L] of pairs by their masks [P, M, N]."""
        first = pairs[0][0]
        if all(row == first for row, _ in pairs):
            spectra = self.spectra[first : first + 1]
        else:
            spectra = self.spectra.index_select(0, torch.tensor([row for row, _ in pairs], device=self.spectra.device))
        stems: Samples = self.network.render(Mask(masks), spectra, self.length, self.rate).float().cpu().numpy()
        return stems


def halving(
    items: Sequence[Item], size: int, work: Callable[[Sequence[Item]], Result]
) -> Iterator[tuple[Sequence[Item], Result]]:
    """`work` on batches of at most `size` items; out of accelerator memory halves the batch and tries again, down to
    one item."""
    at = 0
    while at < len(items):
        part = items[at : at + size]
        try:
            result = work(part)
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            count_memory_retry()
            size = max(1, size // 2)
            torch.cuda.empty_cache()
            continue
        at += len(part)
        yield part, result
