"""Windows put together: cross-faded stems that leave as finished stretches, in order of time.

A stretch ends at track-absolute multiples of its length, so results do not depend on how a track was cut. Everything
before `Finished.stop` is final: no later window reaches back to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.window_grid import Window, WindowGrid, overlap_add
from operators.event_spans import BINS_PER_SECOND, Event

STRETCH_SECONDS: Final = 60
RESIDUAL: Final = -1
"""Stands for a query where a stretch is what no query took."""
TOO_QUIET_DBFS: Final = -70.0
"""A stem whose peak is lower is not kept: "too quiet", which is not the same as "not present"."""
CANCELLED: Final = 10.0 ** (-13.0 / 10.0)
"""Where the mono mix keeps less than this share of the channels' energy it cancels, and channels are run one by one."""

MOST_OPEN_BYTES: Final = 1 << 30
"""What the open stretches of all queries may take together: 12 queries of ordinary stereo take 0.2 GB with a minute."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """A finished stem: samples [start, start + T) of the track, for one query (or `RESIDUAL`)."""

    query: int
    start: int
    sample_rate: int
    stem: Samples
    mixture: Samples
    presence: float | None
    """Highest over the windows; None for a residual."""
    activity: NDArray[np.float32]
    """Per tenth of a second from `start`, zero where the gate was closed."""
    best_window: Samples
    """The stem, mono, where its presence is highest, at most a window long: what the embedding is made from."""
    events: tuple[Event, ...] | None = None
    """Where the query sounds, when that was decided already."""
    continued: bool = False
    """An event that goes on from the one before it."""
    core: tuple[int, int] | None = None
    """The samples of the stem that are the event itself, without padding; None: all of them."""
    fade: int = 0
    """Samples over which the audio that is kept fades in and out."""

    @property
    def audio(self) -> Samples:
        """The stem as it is kept: faded by a raised cosine at both ends."""
        fade = min(self.fade, self.stem.shape[1] // 2)
        if not fade:
            return self.stem
        ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)).astype(np.float32)
        gain = np.ones(self.stem.shape[1], np.float32)
        gain[:fade], gain[-fade:] = ramp, ramp[::-1]
        audio: Samples = self.stem * gain
        return audio


@dataclass(frozen=True)
class Finished:
    """The stretches of all queries that end at sample `stop` of the track."""

    stop: int
    stretches: list[Stretch]


@dataclass
class _Open:
    """A stem under construction."""

    stem: Samples
    activity: NDArray[np.float32]
    presence: float | None = None
    best_start: int = 0


class StretchAssembler:
    """Puts windows of [start, stop) of a track together. `samples` [C, T] begins at sample `first` of the track.

    `subtract`: the residual of a stretch is the mixture less every stem that is kept, which is exact.
    """

    def __init__(
        self,
        grid: WindowGrid,
        sample_rate: int,
        samples: Samples,
        first: int,
        start: int,
        stop: int,
        *,
        stretch_seconds: int = STRETCH_SECONDS,
        subtract: bool = False,
    ) -> None:
        self.grid, self.sample_rate = grid, sample_rate
        self.samples, self.first = samples, first
        self.start, self.stop = start, stop
        self.size, self.subtract = stretch_seconds * sample_rate, subtract
        self._open: dict[tuple[int, int], _Open] = {}
        self._next = start // self.size

    def add(
        self, query: int, window: Window, stem: Samples, presence: float | None, activity: NDArray[np.float32] | None
    ) -> None:
        """Cross-fade a window's `stem` [C, L] into every stretch that it reaches; `activity` per tenth of a second."""
        kept_start, kept_stop = self.grid.kept(window)
        weights = self.grid.weights(window)
        low = max(self.start, kept_start - self.grid.fade, 0)
        high = min(self.stop, kept_stop + self.grid.fade)
        for index in range(low // self.size, (high - 1) // self.size + 1):
            left, right = self._bounds(index)
            held = self._open.get((index, query))
            if held is None:
                bins = -(-(right - left) * BINS_PER_SECOND // self.sample_rate)
                held = _Open(np.zeros((stem.shape[0], right - left), np.float32), np.zeros(bins, np.float32))
                self._open[index, query] = held
            overlap_add(held.stem, left, stem, window.start, weights)
            if presence is not None and presence > (-1.0 if held.presence is None else held.presence):
                held.presence, held.best_start = presence, window.start
            if activity is not None:
                per_bin = self.sample_rate / BINS_PER_SECOND
                centres = left + (np.arange(len(held.activity)) + 0.5) * per_bin
                inside = (centres >= kept_start) & (centres < kept_stop)
                local = ((centres[inside] - window.start) // per_bin).astype(np.int64)
                held.activity[inside] = activity[np.clip(local, 0, len(activity) - 1)]

    def finish(self, done: int) -> Iterator[Finished]:
        """What ends at or before `done`, the first sample that a later window may still change; one item a stretch."""
        while True:
            left, right = self._bounds(self._next)
            if left >= self.stop or right > done:
                return
            yield Finished(right, self._finished(self._next))
            self._next += 1

    def _finished(self, index: int) -> list[Stretch]:
        """The stretches number `index` of every query, the residual last."""
        left, right = self._bounds(index)
        mixture = self.samples[:, left - self.first : right - self.first]
        queries = sorted((query for held, query in self._open if held == index), key=lambda query: (query < 0, query))
        stretches = [self._stretch(query, left, mixture, self._open.pop((index, query))) for query in queries]
        if self.subtract:
            rest = mixture.copy()
            for stretch in stretches:
                if is_audible(stretch.stem):
                    rest -= stretch.stem
            stretches.append(self._stretch(RESIDUAL, left, mixture, _Open(rest, np.zeros(0, np.float32))))
        return stretches

    def _stretch(self, query: int, start: int, mixture: Samples, done: _Open) -> Stretch:
        best = done.stem[:, max(0, done.best_start - start) : max(0, done.best_start - start + self.grid.length)]
        return Stretch(query, start, self.sample_rate, done.stem, mixture, done.presence, done.activity, mono_of(best))

    def _bounds(self, index: int) -> tuple[int, int]:
        return max(self.start, index * self.size), min(self.stop, (index + 1) * self.size)


def stretch_seconds_for(channels: int, sample_rate: int, stems: int) -> int:
    """The length of stretches: a minute, or a part of it where so many stems, channels or samples would take too much.

    >>> stretch_seconds_for(2, 32_000, 12), stretch_seconds_for(6, 96_000, 12), stretch_seconds_for(8, 192_000, 100)
    (60, 30, 5)
    """
    for seconds in (60, 30, 15):
        if seconds * channels * sample_rate * 4 * stems <= MOST_OPEN_BYTES:
            return seconds
    return 5


def is_audible(stem: Samples) -> bool:
    """True for a stem [C, T] that is loud enough to keep."""
    return bool(stem.size) and float(max(stem.max(), -stem.min())) >= 10.0 ** (TOO_QUIET_DBFS / 20.0)


def cancels(samples: Samples) -> bool:
    """True when the mono mix of [C, T] does not stand for its channels, because they are in opposite phase."""
    if samples.shape[0] == 1:
        return False
    return float(np.square(samples.mean(axis=0)).mean()) < CANCELLED * float(np.square(samples).mean())


def mono_of(samples: Samples) -> Samples:
    """One channel [T] to listen to: the mean of [C, T], or the loudest where the mean cancels."""
    mono: Samples = samples[0] if samples.shape[0] == 1 else samples.mean(axis=0)
    if samples.size and cancels(samples):
        mono = samples[int(np.square(samples).sum(axis=1).argmax())]
    return mono
