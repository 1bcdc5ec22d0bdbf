"""From a vector, of a sound or of a text, to a unit vector made of the captions in a cache that are nearest to it.

The paper (arXiv 2409.09398) retrieves text embeddings by the audio embedding; its rule could not be read. The three
here are our choice; the softmax and its temperature are those of retrieval in audio captioning (WSAC, code).
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from model.caption_cache import CaptionCache

How = Literal["top1", "topk", "softmax"]
HOWS: Final[tuple[str, ...]] = get_args(How)
CHUNK: Final = 16_384
"""Captions compared at a time: what bounds the memory, and changes the result by rounding alone."""


class Retrieval:
    """`retrieval(vectors [..., D])` -> unit vectors [..., D] of the text side, in float32, without gradients.

    top1      the nearest caption's vector
    topk      the mean of the `k` nearest, each counting the same
    softmax   the mean of all, weighted by exp(cosine / temperature)
    """

    def __init__(
        self, cache: CaptionCache, how: How = "softmax", k: int = 8, temperature: float = 0.01, *, chunk: int = CHUNK
    ) -> None:
        if how not in HOWS:
            raise ValueError(f"how to retrieve is {how!r}; choose one of {', '.join(HOWS)}")
        if how == "topk" and not 1 <= k <= len(cache):
            raise ValueError(f"the {k} nearest of {len(cache)} captions are asked for; choose k from 1 to {len(cache)}")
        if how == "softmax" and not temperature > 0.0:
            raise ValueError(f"the temperature of retrieval is above 0, got {temperature}")
        self.cache, self.how, self.temperature, self.chunk = cache, how, temperature, chunk
        self.k = 1 if how == "top1" else k
        self._vectors = functional.normalize(cache.vectors, dim=-1)

    @torch.no_grad()
    def __call__(self, vectors: Tensor) -> Tensor:
        queries = self._ready(vectors)
        with torch.autocast(queries.device.type, enabled=False):
            if self.how == "softmax":
                found = self._weighted_mean(queries)
            else:
                found = self._vectors[self._nearest(queries, self.k)[1]].mean(dim=1)
        return functional.normalize(found, dim=-1).reshape(vectors.shape)

    @torch.no_grad()
    def nearest(self, vector: Tensor, k: int = 5) -> list[tuple[str, float]]:
        """The `k` captions nearest to a vector [D], with their cosines: to look at what is retrieved."""
        cosines, rows = self._nearest(self._ready(vector), min(k, len(self.cache)))
        return [(self.cache.captions[int(row)], float(cosine)) for row, cosine in zip(rows[0], cosines[0], strict=True)]

    def _ready(self, vectors: Tensor) -> Tensor:
        """Unit vectors [N, D] in float32; the cache's follow to their device."""
        if vectors.shape[-1] != self._vectors.shape[1]:
            raise ValueError(
                f"vectors of {vectors.shape[-1]} numbers cannot be looked up among captions of "
                f"{self._vectors.shape[1]}; both must come from the same towers"
            )
        self._vectors = self._vectors.to(vectors.device)
        return functional.normalize(vectors.reshape(-1, vectors.shape[-1]).float(), dim=-1)

    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Cosines and rows of the `k` nearest captions, best first: two Tensors[N, k]."""
        cosines = queries.new_empty(len(queries), 0)
        rows = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
        for start in range(0, len(self._vectors), self.chunk):
            here = queries @ self._vectors[start : start + self.chunk].T  # (N, chunk)
            best, columns = here.topk(min(k, here.shape[1]), dim=1)
            cosines, rows = torch.cat([cosines, best], dim=1), torch.cat([rows, columns + start], dim=1)
            cosines, order = cosines.topk(min(k, cosines.shape[1]), dim=1)
            rows = rows.gather(1, order)
        return cosines, rows

    def _weighted_mean(self, queries: Tensor) -> Tensor:
        """The softmax mean up to a factor, chunk by chunk: what is summed is scaled anew when a better one comes."""
        total = torch.zeros_like(queries)
        best = queries.new_full((len(queries), 1), -torch.inf)
        for start in range(0, len(self._vectors), self.chunk):
            captions = self._vectors[start : start + self.chunk]
            logits = queries @ captions.T / self.temperature
            better = torch.maximum(best, logits.amax(dim=1, keepdim=True))
            total = total * (best - better).exp() + (logits - better).exp() @ captions
            best = better
        return total
