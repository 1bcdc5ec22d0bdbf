"""Arms compared on the same mixtures: differences with 95 % intervals, and what they say of a claim.

Mixtures are resampled, the networks are not: an interval tells how sure the difference of these two networks is on
other mixtures of this kind, not what other seeds of training would give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 4000
SEED: Final = 0
Verdict = Literal["holds", "does not hold", "undecided"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, over `count` mixtures."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def mean_of(values: Values, chosen: NDArray[np.bool_]) -> Estimate:
    """The mean over the chosen mixtures."""
    return _bootstrapped([values], chosen, lambda means: means[0])


def difference_of(better: Values, worse: Values, chosen: NDArray[np.bool_]) -> Estimate:
    """Mean of the paired differences."""
    return _bootstrapped([better, worse], chosen, lambda means: means[0] - means[1])


def share_closed(top: Values, middle: Values, bottom: Values, chosen: NDArray[np.bool_]) -> Estimate:
    """How much of the way from `bottom` to `top` the mean of `middle` is, 1 for all of it."""
    return _bootstrapped([top, middle, bottom], chosen, lambda m: (m[1] - m[2]) / (m[0] - m[2]))


def ratio_of(first: Values, second: Values, chosen: NDArray[np.bool_]) -> Estimate:
    """Mean of the first over mean of the second."""
    return _bootstrapped([first, second], chosen, lambda m: m[0] / m[1])


def verdict_of(difference: Estimate) -> Verdict:
    """ "holds" where the whole interval is above zero, "does not hold" where it is below, else undecided."""
    if difference.low > 0.0:
        return "holds"
    return "does not hold" if difference.high < 0.0 else "undecided"


def _bootstrapped(
    arms: Sequence[Values], chosen: NDArray[np.bool_], statistic: Callable[[Sequence[Values]], Values]
) -> Estimate:
    """A statistic of the arms' means, with the percentiles of the same under resampling of mixtures."""
    known = chosen & np.all([np.isfinite(arm) for arm in arms], axis=0)
    values = [arm[known] for arm in arms]
    if not known.any():
        raise ValueError("no mixture of the kind that is asked for was scored by all of the arms")
    drawn = np.random.default_rng(SEED).integers(0, int(known.sum()), size=(DRAWS, int(known.sum())))
    spread = statistic([value[drawn].mean(axis=1) for value in values])
    low, high = np.percentile(spread, [2.5, 97.5])
    point = statistic([value.mean(keepdims=True) for value in values])
    return Estimate(float(point[0]), float(low), float(high), int(known.sum()))
