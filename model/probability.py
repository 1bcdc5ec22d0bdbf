"""Scores that read as probabilities: fitted on one part of the data, judged on another.

p = sigmoid(slope * log odds + shift)                    Platt 1999
Brier score = mean (p - y)^2                             0 is perfect; base rate alone scores r (1 - r)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]
BINS: Final = 10


@dataclass(frozen=True)
class Platt:
    """The line that log odds are put on."""

    slope: float
    shift: float

    def __call__(self, log_odds: Floats) -> Floats:
        """Probabilities, in [0, 1]."""
        probabilities: Floats = expit(self.slope * log_odds + self.shift)
        return probabilities


@dataclass(frozen=True)
class ReliabilityBin:
    """Of `count` scores in one tenth: their mean, and the share of them that was true."""

    said: float
    true: float
    count: int


def fit_platt(log_odds: Floats, truth: Truth) -> Platt:
    """The line of highest likelihood. Raises ValueError where all is true, or nothing.

    >>> odds = np.repeat([-2.0, 2.0], 50)
    >>> fitted = fit_platt(odds, np.r_[np.arange(50) < 10, np.arange(50) < 40])
    >>> [round(float(p), 2) for p in fitted(np.array([-2.0, 2.0]))]
    [0.2, 0.8]
    """
    if truth.all() or not truth.any():
        raise ValueError(f"probabilities are fitted to what is true and what is not, got {truth.mean():.0%} true")
    centre, width = float(log_odds.mean()), float(log_odds.std()) or 1.0
    scaled, sign = (log_odds - centre) / width, np.where(truth, 1.0, -1.0)

    def cost(line: Floats) -> tuple[float, Floats]:
        margin = sign * (line[0] * scaled + line[1])
        pull = -sign * expit(-margin)
        return float(np.logaddexp(0.0, -margin).mean()), np.array([(pull * scaled).mean(), pull.mean()])

    slope, shift = minimize(cost, np.zeros(2), jac=True, method="BFGS").x
    return Platt(float(slope / width), float(shift - slope * centre / width))


def brier_score(probabilities: Floats, truth: Truth) -> float:
    """Mean squared distance between what was said and what is true."""
    return float(np.square(probabilities - truth).mean())


def reliability(probabilities: Floats, truth: Truth) -> list[ReliabilityBin]:
    """What was said against what is true, tenth by tenth; tenths in which nothing was said are left out."""
    tenth = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    chosen = [tenth == number for number in range(BINS) if (tenth == number).any()]
    return [ReliabilityBin(float(probabilities[c].mean()), float(truth[c].mean()), int(c.sum())) for c in chosen]
