"""The score of a mined event: one number from 0 to 1 that its rank is made from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def event_scores(presence: Numbers, clap_similarity: Numbers, residual_ratio_db: Numbers) -> NDArray[np.float32]:
    """Weighted geometric mean of three shares, each from 0 to 1; NaN stands for null.

        score = (presence^2 * similarity^2 * explained)^(1/5)
        similarity = max(0, clap_similarity)                       null (nothing to hear): 0
        explained  = 1 - min(1, 10^(residual_ratio_db / 10))       null (a silent mixture): 0

    `explained` is the share of the mixture's energy that the stem takes away. It weighs half as much as the others:
    it tells a clear event from a faint one, but less than they do about whether it is the right sound. Area under the
    ROC curve, mean over the queries of the ten minutes in docs/design.md (`bench/score_formulas.py`): presence 0.77,
    similarity 0.90, explained 0.60, the plain geometric mean of the three 0.918, this 0.920.

    >>> event_scores(np.array([1.0, 0.9, 0.9]), np.array([1.0, 0.5, np.nan]), np.array([-144.0, -3.0, -3.0])).round(2)
    array([1.  , 0.63, 0.  ], dtype=float32)
    """
    similarity = np.clip(np.nan_to_num(clap_similarity), 0.0, 1.0)
    explained = 1.0 - np.minimum(1.0, 10.0 ** (np.nan_to_num(residual_ratio_db, nan=0.0) / 10.0))
    product = np.clip(np.nan_to_num(presence), 0.0, 1.0) ** 2 * similarity**2 * explained
    scores: NDArray[np.float32] = (product**0.2).astype(np.float32)
    return scores


def scores_of(rows: pa.Table) -> NDArray[np.float32]:
    """The scores of stem or event rows."""
    presence, similarity, residual = (
        rows[name].to_numpy().astype(np.float64) for name in ("presence", "clap_similarity", "residual_ratio_db")
    )
    return event_scores(presence, similarity, residual)
