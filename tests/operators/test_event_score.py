from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from operators.event_score import event_scores, scores_of

NULL = float("nan")


def score(presence: float, similarity: float, residual_db: float) -> float:
    return float(event_scores(np.array([presence]), np.array([similarity]), np.array([residual_db]))[0])


def test_a_sure_alike_and_lone_sound_scores_one() -> None:
    assert score(1.0, 1.0, -144.0) == pytest.approx(1.0)


def test_the_score_is_the_weighted_geometric_mean() -> None:
    explained = 1 - 10 ** (-3 / 10)
    assert score(0.8, 0.5, -3.0) == pytest.approx((0.8**2 * 0.5**2 * explained) ** (1 / 5))


def test_each_part_alone_raises_the_score() -> None:
    worse = score(0.6, 0.4, -1.0)
    assert min(score(0.7, 0.4, -1.0), score(0.6, 0.5, -1.0), score(0.6, 0.4, -2.0)) > worse


@pytest.mark.parametrize(
    ("presence", "similarity", "residual_db"),
    [(0.9, NULL, -3.0), (0.9, -0.2, -3.0), (0.9, 0.5, NULL), (0.9, 0.5, 2.0), (NULL, 0.5, -3.0), (0.0, 0.5, -3.0)],
)
def test_what_is_not_heard_in_one_respect_scores_nothing(
    presence: float, similarity: float, residual_db: float
) -> None:
    assert score(presence, similarity, residual_db) == 0.0


def test_nulls_of_the_rows_are_understood() -> None:
    rows = pa.table(
        {
            "presence": pa.array([0.9, None], pa.float32()),
            "clap_similarity": pa.array([None, 0.5], pa.float32()),
            "residual_ratio_db": pa.array([-3.0, None], pa.float32()),
        }
    )
    assert scores_of(rows).tolist() == [0.0, 0.0]
    assert scores_of(rows.slice(0, 0)).tolist() == []
