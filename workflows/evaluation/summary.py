"""One number of many: means with 95 % bootstrap intervals, of all mixtures, per class, and as a paper makes them.

Intervals come from resampling the mixtures (the classes stay, each with its own mixtures resampled). Mixtures that
share a target count as independent, so for lists that use a clip several times they are somewhat too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workflows.evaluation.mixtures import Aggregation
from workflows.evaluation.rows import METRICS, RowScores

DRAWS: Final = 2000
PERCENTILES: Final = (2.5, 97.5)
MOST_DRAWN: Final = 4_000_000
"""Indices that are drawn at a time, so that memory does not grow with the list."""
ABSENT_ENOUGH_DB: Final = 15.0
"""What is asked for in vain should be so far below the mixture. Our choice."""

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Of rows of values [K, N], one value each [K]."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def mean_of(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """The mean of values, of which there is at least one."""
    return _estimate([np.asarray(values, np.float64)], lambda rows: rows.mean(axis=-1), seed)


def of_classes(classes: Sequence[Sequence[float]], aggregation: Aggregation, *, seed: int = 0) -> Estimate:
    """The mean over classes of each one's mean or median."""
    statistic: Statistic = (
        (lambda rows: np.median(rows, axis=-1)) if aggregation == "class_medians" else (lambda rows: rows.mean(axis=-1))
    )
    return _estimate([np.asarray(values, np.float64) for values in classes], statistic, seed)


def bootstrap_interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean, by resampling the rows."""
    estimate = mean_of(values, seed=seed)
    return estimate.low, estimate.high


def _estimate(groups: Sequence[Floats], statistic: Statistic, seed: int) -> Estimate:
    """The mean over groups of a statistic, and what it is of resampled groups."""
    generator = np.random.default_rng(seed)
    drawn = np.zeros(DRAWS)
    for group in groups:
        step = max(1, MOST_DRAWN // len(group))
        for at in range(0, DRAWS, step):
            count = min(step, DRAWS - at)
            drawn[at : at + count] += statistic(group[generator.integers(0, len(group), size=(count, len(group)))])
    low, high = np.percentile(drawn / len(groups), PERCENTILES)
    value = np.mean([statistic(group[None])[0] for group in groups])
    return Estimate(float(value), float(low), float(high))


def summarise(rows: Sequence[RowScores], aggregation: Aggregation = "mean") -> dict[str, Any]:
    """`n`, and per metric its value and `<metric>_interval`, of the rows that were scored.

    Metrics that no row has are left out. `n_absent`, `absent_below_db`, `absent_share` tell of queries for what is not
    there.
    """
    summary: dict[str, Any] = {"n": sum(row.snr_sdri_db is not None for row in rows)}
    for name in METRICS:
        by_class = values_by_class(rows, name)
        if not by_class:
            continue
        if aggregation == "mean":
            told = mean_of([value for values in by_class.values() for value in values])
        else:
            told = of_classes(list(by_class.values()), aggregation)
        summary |= _written(name, told)
    absent = [row.absent_below_db for row in rows if row.absent_below_db is not None]
    if absent:
        summary["n_absent"] = len(absent)
        summary |= _written("absent_below_db", mean_of(absent))
        summary |= _written("absent_share", mean_of([float(level >= ABSENT_ENOUGH_DB) for level in absent]))
    return summary


def by_class(rows: Sequence[RowScores]) -> dict[str, dict[str, Any]]:
    """The summary of every class of targets, by name; nothing where the list tells no classes."""
    groups: dict[str, list[RowScores]] = {}
    for row in rows:
        if row.target_label:
            groups.setdefault(row.target_label, []).append(row)
    return {label: summarise(groups[label]) for label in sorted(groups)}


def values_by_class(rows: Sequence[RowScores], metric: str) -> Mapping[str, list[float]]:
    """The values of a metric by class, in the order of the rows."""
    values: dict[str, list[float]] = {}
    for row in rows:
        value = getattr(row, metric)
        if value is not None:
            values.setdefault(row.target_label, []).append(value)
    return values


def _written(name: str, told: Estimate) -> dict[str, Any]:
    return {name: round(told.value, 3), f"{name}_interval": [round(told.low, 3), round(told.high, 3)]}
