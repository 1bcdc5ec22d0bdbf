"""Probabilities out of scores: the line that made them is found again, and the figures are those of the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from model.probability import brier_score, fit_platt, reliability


def drawn(slope: float, shift: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Log odds, and truths that are as likely as slope and shift say."""
    random = np.random.default_rng(0)
    log_odds = random.normal(-1.0, 3.0, count)
    return log_odds, random.random(count) < expit(slope * log_odds + shift)


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.4, -2.0), (2.5, 1.0)])
def test_the_line_that_made_the_truths_is_found(slope: float, shift: float) -> None:
    fitted = fit_platt(*drawn(slope, shift))
    assert fitted.slope == pytest.approx(slope, rel=0.06)
    assert fitted.shift == pytest.approx(shift, abs=0.12)


def test_fitted_probabilities_are_reliable_and_score_better_than_what_was_said() -> None:
    log_odds, truth = drawn(0.4, -2.0)
    fitted = fit_platt(log_odds, truth)(log_odds)
    assert all(abs(part.said - part.true) < 0.05 for part in reliability(fitted, truth) if part.count > 500)
    assert brier_score(fitted, truth) < brier_score(expit(log_odds), truth) - 0.02


def test_the_brier_score_is_the_mean_squared_distance() -> None:
    assert brier_score(np.array([1.0, 0.0, 0.5]), np.array([True, False, True])) == pytest.approx(0.25 / 3)
    assert brier_score(np.full(10, 0.3), np.arange(10) < 3) == pytest.approx(0.3 * 0.7)


def test_every_score_is_in_one_tenth() -> None:
    parts = reliability(np.array([0.0, 0.05, 0.55, 1.0]), np.array([False, True, True, True]))
    assert [part.count for part in parts] == [2, 1, 1]
    assert (parts[0].said, parts[0].true) == (0.025, 0.5)


def test_what_is_apart_has_an_answer_all_the_same() -> None:
    fitted = fit_platt(np.array([-3.0, -2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    assert fitted(np.array([-3.0, 3.0])).tolist() == pytest.approx([0.25, 0.75], abs=0.12)  # 1/4 and 3/4 were wanted


def test_scores_that_are_the_wrong_way_round_are_refused() -> None:
    log_odds, truth = drawn(1.0, 0.0, 200)
    with pytest.raises(ValueError, match="what scores higher is not true more often"):
        fit_platt(-log_odds, truth)


def test_nothing_is_fitted_to_one_answer() -> None:
    with pytest.raises(ValueError, match="got 100% true"):
        fit_platt(np.zeros(3), np.ones(3, bool))
