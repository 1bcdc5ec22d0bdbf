"""Near-duplicates among the events of a query: the same sound heard again, by its embedding.

Contract: rows come best first; a row is a duplicate of the best row before it that was kept and is near to it, so
that duplicates never hang on duplicates. The result depends on the embeddings alone, not on blocks or machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from operators.embeddings import Half

DUPLICATE_COSINE: Final = 0.97
"""Of 69 events whose recording came again as MP3, quieter and shifted, 96 % reach it, of pairs of other events of one
query 1.2 % do; at 0.99 it is 78 % and 0.1 % (`bench/near_duplicates.py`)."""
BLOCK_ROWS: Final = 2048
"""Rows compared at a time: 16 MB of cosines."""
UNSURE: Final = 1e-4
"""A cosine in single precision is off by less (256 products of at most 1, each rounded to 6e-8)."""
EXACT_PAIRS: Final = 16_384

Single = NDArray[np.float32]


def near_duplicates(embeddings: Half, threshold: float = DUPLICATE_COSINE) -> NDArray[np.int64]:
    """Per row the row it is a duplicate of, -1 when it is kept; `embeddings`: unit vectors [N, D], best first.

    Time grows with N times the number of kept rows, memory with N alone: 100,000 rows of 256 numbers, none of which
    repeats another, take 32 s on one core.

    >>> near_duplicates(np.array([[1, 0], [0, 1], [1, 0]], np.float16)).tolist()
    [-1, -1, 0]
    """
    duplicate_of = np.full(len(embeddings), -1, np.int64)
    kept = np.empty(0, np.int64)
    for first in range(0, len(embeddings), BLOCK_ROWS):
        rows = np.arange(first, min(first + BLOCK_ROWS, len(embeddings)))
        for before in range(0, len(kept), BLOCK_ROWS):
            others = kept[before : before + BLOCK_ROWS]
            near = _near(embeddings[rows], embeddings[others], threshold)
            found = near.any(axis=1)
            duplicate_of[rows[found]] = others[near[found].argmax(axis=1)]  # argmax: the first, which is the best
            rows = rows[~found]
        kept = np.concatenate([kept, _keep(rows, embeddings, threshold, duplicate_of)])
    return duplicate_of


def _keep(
    rows: NDArray[np.int64], embeddings: Half, threshold: float, duplicate_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Those of a block's rows that are kept when they are gone through one after the other."""
    near = np.tril(_near(embeddings[rows], embeddings[rows], threshold), -1)
    kept = np.ones(len(rows), np.bool_)
    for row in np.flatnonzero(near.any(axis=1)):
        candidates = near[row] & kept
        if candidates.any():
            kept[row] = False
            duplicate_of[rows[row]] = rows[candidates.argmax()]
    return rows[kept]


def _near(ours: Half, theirs: Half, threshold: float) -> NDArray[np.bool_]:
    """[N, M]: which pairs reach the threshold.

    Products of half precision numbers add up in double precision without rounding, in any order: pairs too close to
    the threshold for single precision are decided that way, so that every machine finds the same duplicates.
    """
    cosines: Single = ours.astype(np.float32) @ theirs.astype(np.float32).T
    near: NDArray[np.bool_] = cosines >= threshold - UNSURE
    rows, columns = np.nonzero(near & (cosines < threshold + UNSURE)) if near.any() else (np.empty(0, int),) * 2
    for first in range(0, len(rows), EXACT_PAIRS):
        r, c = rows[first : first + EXACT_PAIRS], columns[first : first + EXACT_PAIRS]
        exact = np.einsum("nd,nd->n", ours[r].astype(np.float64), theirs[c].astype(np.float64))
        near[r, c] = exact >= threshold
    return near
