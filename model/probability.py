"""Scores that read as probabilities: fitted on one part of the data, judged on another.

    p = sigmoid(slope * log odds + shift)
    Brier score = mean (p - y)^2              0 is perfect; always saying the base rate r scores r (1 - r)

The line is fitted to (n + 1) / (n + 2) for what is true n times and to 1 / (m + 2) for what is not m times (Platt
1999), so that scores which are far apart have an answer, too.
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
    scaled = (log_odds - centre) / width
    many = int(truth.sum())
    wanted = np.where(truth, (many + 1) / (many + 2), 1 / (len(truth) - many + 2))

    def cost(line: Floats) -> tuple[float, Floats]:
        odds = line[0] * scaled + line[1]
        error = expit(odds) - wanted
        entropy = float((np.logaddexp(0.0, odds) - wanted * odds).mean())
        return entropy, np.array([(error * scaled).mean(), error.mean()])

    found = minimize(cost, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-7})
    slope, shift = found.x
    if not np.isfinite(found.x).all() or slope <= 0.0:
        raise ValueError(
            f"what scores higher is not true more often (slope {slope:.3g} over {len(truth)} scores), so no line makes "
            "probabilities of them"
        )
    return Platt(float(slope / width), float(shift - slope * centre / width))


def brier_score(probabilities: Floats, truth: Truth) -> float:
    """Mean squared distance between what was said and what is true."""
    return float(np.square(probabilities - truth).mean())


def reliability(probabilities: Floats, truth: Truth) -> list[ReliabilityBin]:
    """What was said against what is true, tenth by tenth; tenths in which nothing was said are left out."""
    tenth = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    chosen = [tenth == number for number in range(BINS) if (tenth == number).any()]
    return [ReliabilityBin(float(probabilities[c].mean()), float(truth[c].mean()), int(c.sum())) for c in chosen]
