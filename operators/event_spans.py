"""From activity on a grid of tenths of a second to events: where a query sounds, with start, end and presence.

The grid is track-absolute, so an event does not depend on how the track was cut. A bin is active when the network
hears the query (probability at least the threshold) and the stem is audible in the mixture; short holes are closed,
specks dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS_PER_SECOND: Final = 10
FLOOR_DBFS: Final = -70.0
BELOW_MIXTURE_DB: Final = 30.0
CLOSE_BINS: Final = 4
MIN_BINS: Final = 2


@dataclass(frozen=True)
class Event:
    """A stretch in which a query sounds, half open, in seconds on the source's time line."""

    start_seconds: float
    end_seconds: float
    presence: float


def to_bins(
    activity: NDArray[np.float32], hop_samples: int, window_samples: int, sample_rate: int
) -> NDArray[np.float32]:
    """Activity per tenth of a second [Q, bins] of a window's activity per network frame [Q, N'], linearly
    interpolated.

    Frame n tells of the samples [n, n + 1) * `hop_samples`; frames beyond the window only serve as neighbours.
    """
    bins = window_samples * BINS_PER_SECOND // sample_rate
    centres = (np.arange(activity.shape[-1]) + 0.5) * (hop_samples * BINS_PER_SECOND / sample_rate)
    wanted = np.arange(bins) + 0.5
    return np.stack([np.interp(wanted, centres, row) for row in activity]).astype(np.float32)


def level_per_bin(stem: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Mean power in dBFS per tenth of a second of a stem [C, T] that starts with one; a last, shorter bin is followed
    by silence."""
    power = np.square(stem).mean(axis=0)
    size = sample_rate / BINS_PER_SECOND
    if size.is_integer():
        sums = np.pad(power, (0, -len(power) % int(size))).reshape(-1, int(size)).sum(axis=1)
    else:  # 11,025 Hz, say: bins of 1102 and of 1103 samples
        edges = np.arange(-(-len(power) * BINS_PER_SECOND // sample_rate)) * sample_rate // BINS_PER_SECOND
        sums = np.add.reduceat(power, edges) if len(power) else power
    level: NDArray[np.float32] = (10.0 * np.log10(sums / size + 1e-12)).astype(np.float32)
    return level


def active_bins(
    activity: NDArray[np.float32], level_dbfs: NDArray[np.float32], mixture_dbfs: NDArray[np.float32], threshold: float
) -> NDArray[np.bool_]:
    """Whether the query sounds, per bin: decided in the bin alone, never by what is loud elsewhere."""
    bins = min(len(activity), len(level_dbfs), len(mixture_dbfs))
    floor = np.maximum(FLOOR_DBFS, mixture_dbfs[:bins] - BELOW_MIXTURE_DB)
    active: NDArray[np.bool_] = (activity[:bins] >= threshold) & (level_dbfs[:bins] > floor)
    return active


def events_of(
    activity: NDArray[np.float32],
    level_dbfs: NDArray[np.float32],
    mixture_dbfs: NDArray[np.float32],
    threshold: float,
    *,
    start_seconds: float,
) -> list[Event]:
    """Events of one query from its activity, its stem's level and the mixture's, each per bin from `start_seconds` on.

    >>> heard = np.array([0, 0.9, 0.9, 0.1, 0.8, 0, 0, 0, 0, 0], dtype=np.float32)
    >>> loud = np.full(10, -20, dtype=np.float32)
    >>> [(e.start_seconds, e.end_seconds) for e in events_of(heard, loud, loud, 0.5, start_seconds=6.0)]
    [(6.1, 6.5)]
    """
    events = []
    for start, stop in runs_of(active_bins(activity, level_dbfs, mixture_dbfs, threshold)):
        if stop - start >= MIN_BINS:
            events.append(
                Event(
                    round(start_seconds + start / BINS_PER_SECOND, 3),
                    round(start_seconds + stop / BINS_PER_SECOND, 3),
                    float(activity[start:stop].max()),
                )
            )
    return events


def runs_of(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, stop) of every run of active bins, runs closer than `CLOSE_BINS` joined."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    runs: list[tuple[int, int]] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and start - runs[-1][1] < CLOSE_BINS:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((start, stop))
    return runs
