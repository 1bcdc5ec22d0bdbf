"""The global window grid of a track, and the cross-fade that puts windows together again.

Window k covers the samples [k * hop - lead, k * hop - lead + length). Of its `lead` on each side the outer half is
context and thrown away, the inner half and its mirror image inside are cross-faded with the neighbour. The grid
belongs to the track: whatever part of it is asked for, the windows and their weights are the same, so results do not
depend on how a track was cut.

    >>> grid = WindowGrid(length=10, hop=8, lead=1)
    >>> [(w.index, w.start) for w in grid.covering(0, 16)]
    [(0, -1), (1, 7), (2, 15)]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """Number k of the grid, and its first sample on the track (negative for the first one)."""

    index: int
    start: int


@dataclass(frozen=True)
class WindowGrid:
    """Windows of `length` samples every `hop`; neighbours share 2 * `lead` samples."""

    length: int
    hop: int
    lead: int

    def __post_init__(self) -> None:
        if self.length != self.hop + 2 * self.lead or self.lead < 0:
            raise ValueError(f"length must be hop + 2 * lead, got {self.length = }, {self.hop = }, {self.lead = }")
        if self.hop < max(1, 2 * self.fade):
            raise ValueError(f"the cross-fades of a window must not overlap, got {self.hop = }, {self.lead = }")

    @classmethod
    def of(cls, window_samples: int, lead_share: float = 0.1) -> WindowGrid:
        """The grid of a network's window, of which `lead_share` on each side is shared (8 s hop for 10 s)."""
        lead = int(window_samples * lead_share)
        return cls(length=window_samples, hop=window_samples - 2 * lead, lead=lead)

    @property
    def context(self) -> int:
        """Samples needed on each side of a span so that every window that touches it is whole."""
        return self.hop + 2 * self.lead

    @property
    def fade(self) -> int:
        """Half the length of a cross-fade: a window's weight is positive this far beyond its own hop."""
        return self.lead - self.lead // 2

    def covering(self, start: int, stop: int) -> list[Window]:
        """Windows with a positive weight somewhere in [start, stop), in order."""
        if stop <= start:
            return []
        first = max(0, (start - self.fade) // self.hop)
        last = (stop - 1 + self.fade) // self.hop
        return [Window(k, k * self.hop - self.lead) for k in range(first, last + 1)]

    def weights(self, window: Window) -> NDArray[np.float32]:
        """Cross-fade weights of a window, float32[length]. On the track the weights of all windows add up to one at
        every sample: the first window has nobody to fade in from."""
        return _weights(self, window.index == 0)

    def kept(self, window: Window) -> tuple[int, int]:
        """The stretch of the track that is the window's own, [start, stop): its hop."""
        return window.index * self.hop, (window.index + 1) * self.hop


@lru_cache(maxsize=8)
def _weights(grid: WindowGrid, is_first: bool) -> NDArray[np.float32]:
    ramp = (np.arange(2 * grid.fade) + 0.5) / max(2 * grid.fade, 1)
    quiet, body = np.zeros(grid.lead - grid.fade), np.ones(grid.hop - 2 * grid.fade)
    rise = np.ones_like(ramp) if is_first else ramp
    weights: NDArray[np.float32] = np.concatenate([quiet, rise, body, 1.0 - ramp, quiet]).astype(np.float32)
    weights.flags.writeable = False
    return weights


def overlap_add(
    track: NDArray[np.float32], track_start: int, stem: NDArray[np.float32], start: int, weights: NDArray[np.float32]
) -> None:
    """Add a window's `stem` [C, length], weighted, into `track` [C, T] whose first sample is `track_start`. In
    place."""
    low, high = max(start, track_start), min(start + stem.shape[-1], track_start + track.shape[-1])
    if high > low:
        track[:, low - track_start : high - track_start] += (
            stem[:, low - start : high - start] * weights[low - start : high - start]
        )
