"""From stems to events: each whole, once, with padding and fades, whatever unit of work its time falls into.

A unit looks beyond its borders: back, to tell an event that began earlier from one of its own, and ahead, to finish the
ones that it began. An event belongs to the unit in which it starts. Activity longer than `max_event_seconds` is cut at
track-absolute multiples of it, so the cuts do not depend on units either; all parts but the first are `continued`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from operators.event_spans import BINS_PER_SECOND, CLOSE_BINS, Event, active_bins, level_per_bin, runs_of
from operators.settings import MineSettings
from operators.stem_engine import Coverage, StemEngine
from operators.stretches import Samples, Stretch, mono_of

LOOK_EVERY_SECONDS: Final = 10
"""Stems are looked at this often: what is held per query is an event, its padding, and this."""


@dataclass(frozen=True)
class Part:
    """Bins [start, stop) of the track that make one event."""

    start: int
    stop: int
    continued: bool = False


def parts_of(start: int, stop: int, longest: int, shortest: int) -> list[Part]:
    """The events that a run of active bins [start, stop) makes: one, or several cut at multiples of `longest`.

    A first or last part shorter than `shortest` stays with its neighbour.

    >>> [(part.start, part.stop, part.continued) for part in parts_of(250, 640, 300, 2)]
    [(250, 300, False), (300, 600, True), (600, 640, True)]
    """
    if stop - start <= longest:
        return [Part(start, stop)]
    first = -(-(start + shortest) // longest) * longest
    last = (stop - shortest) // longest * longest
    cuts = [start, *range(first, last + 1, longest), stop]
    return [Part(low, high, low != start) for low, high in pairwise(cuts)]


@dataclass
class _Listening:
    """What is known of one query so far: active bins from the range's start, and the stem from sample `held_from`."""

    held_from: int
    active: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    activity: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    stem: list[Samples] = field(default_factory=list)
    told_until: int = 0
    """Bin of the track before which every event has been handed out."""


@dataclass(frozen=True)
class Range:
    """Samples of a track: [start, stop) is the unit's own, [low, high) what it may look at."""

    start: int
    stop: int
    low: int
    high: int


class EventMiner:
    """Mines the pieces of one catalog. `thresholds`: activity per query from which a bin is active."""

    def __init__(self, engine: StemEngine, settings: MineSettings, thresholds: Sequence[float]) -> None:
        self.engine, self.thresholds = engine, thresholds
        self.longest = settings.max_event_seconds * BINS_PER_SECOND
        self.shortest = math.ceil(settings.min_seconds * BINS_PER_SECOND - 1e-9)
        self.padding_seconds, self.fade_seconds = settings.padding_seconds, settings.fade_seconds

    def events(
        self, samples: Samples, first: int, span: Range, coverage: Coverage, sample_rate: int
    ) -> Iterator[Stretch]:
        """The events that start in [start, stop) of a track, each as a stretch of its own; `samples` [C, T] begins at
        sample `first` of the track.

        Windows are separated no further than the last event needs. `coverage` is told of the unit's own windows.
        """
        run = _Run(self, samples, first, span, sample_rate)
        looked = Coverage()
        for finished in self.engine.finished(
            samples, first, run.low, span.high, looked, sample_rate, stretch_seconds=LOOK_EVERY_SECONDS
        ):
            yield from run.take(finished.stop, finished.stretches)
            if run.is_complete(finished.stop):
                break
        coverage.extend(looked, *_own_windows(looked, span))


class _Run:
    """The state of one piece."""

    def __init__(self, miner: EventMiner, samples: Samples, first: int, span: Range, sample_rate: int) -> None:
        self.miner, self.samples, self.first, self.span, self.rate = miner, samples, first, span, sample_rate
        self.low = span.low // sample_rate * sample_rate  # bins are counted from a whole second
        self.low_bin = self.low // sample_rate * BINS_PER_SECOND
        self.padding = round(miner.padding_seconds * sample_rate)
        self.known = self.low
        self.queries = [_Listening(self.low) for _ in miner.thresholds]

    def take(self, stop: int, stretches: Sequence[Stretch]) -> Iterator[Stretch]:
        """Hand out the events that are certain now that everything before sample `stop` is."""
        by_query = {stretch.query: stretch for stretch in stretches}
        start, self.known = self.known, stop
        level = level_per_bin(stretches[0].mixture, self.rate) if stretches else None
        for query, listening in enumerate(self.queries):
            self._listen(listening, by_query.get(query), level, query, start)
            pending = []
            for part, is_final in self._parts(listening):
                if is_final:
                    yield self._event(query, listening, part)
                    listening.told_until = part.stop
                else:
                    pending.append(part)
            self._forget(listening, pending)

    def is_complete(self, stop: int) -> bool:
        """True when no event of the unit can still come."""
        return stop >= self.span.stop + self.padding and not any(
            self._parts(listening) or self._undecided(listening) is not None for listening in self.queries
        )

    def _is_own(self, bin: int) -> bool:
        """True when what starts with this bin of the track starts in the unit."""
        return self.span.start <= max(bin * self.rate // BINS_PER_SECOND, self.span.low) < self.span.stop

    def _undecided(self, listening: _Listening) -> int | None:
        """The first bin at which an event of the unit may still begin in activity that goes on, besides those that
        `_parts` tells of.

        A run that is no longer than an event may yet be cut anywhere in it, a longer one at the next multiple.
        """
        longest, shortest = self.miner.longest, self.miner.shortest
        for start, stop in runs_of(listening.active)[-1:]:
            if self.known == self.span.high or len(listening.active) - stop >= CLOSE_BINS:
                continue
            first, last = self.low_bin + start, self.low_bin + stop
            if last - first > longest:
                next_cut = ((last - shortest) // longest + 1) * longest
                first = max(next_cut, -(-(first + shortest) // longest) * longest)
            if first * self.rate // BINS_PER_SECOND < self.span.stop:
                return first
        return None

    def _listen(
        self,
        listening: _Listening,
        stretch: Stretch | None,
        mixture_dbfs: NDArray[np.float32] | None,
        query: int,
        start: int,
    ) -> None:
        """Add what lies in [start, known): a stretch, or nothing where the gate was closed."""
        bins = -(-(self.known - start) * BINS_PER_SECOND // self.rate)
        active, activity = np.zeros(bins, np.bool_), np.zeros(bins, np.float32)
        stem = np.zeros((self.samples.shape[0], self.known - start), np.float32)
        if stretch is not None and mixture_dbfs is not None:
            stem, activity = stretch.stem, stretch.activity
            active = active_bins(activity, level_per_bin(stem, self.rate), mixture_dbfs, self.miner.thresholds[query])
            centres = start + (np.arange(bins) + 0.5) * self.rate / BINS_PER_SECOND
            active &= (centres >= self.span.low) & (centres < self.span.high)
        listening.active = np.concatenate([listening.active, active])
        listening.activity = np.concatenate([listening.activity, activity])
        listening.stem.append(stem)

    def _parts(self, listening: _Listening) -> list[tuple[Part, bool]]:
        """Events of the unit not handed out yet, each with whether it is certain."""
        known_bins = len(listening.active)
        at_end = self.known == self.span.high
        parts = []
        for start, stop in runs_of(listening.active):
            is_open = not at_end and known_bins - stop < CLOSE_BINS
            if not is_open and stop - start < self.miner.shortest:
                continue
            found = parts_of(self.low_bin + start, self.low_bin + stop, self.miner.longest, self.miner.shortest)
            settled = len(found) - 1 if is_open else len(found)  # more activity may still cut the last one
            for index, part in enumerate(found):
                if part.start < listening.told_until or not self._is_own(part.start):
                    continue
                padded = part.stop * self.rate // BINS_PER_SECOND + self.padding
                parts.append((part, index < settled and (at_end or padded <= self.known)))
        return parts

    def _event(self, query: int, listening: _Listening, part: Part) -> Stretch:
        """The event with its padding."""
        begin, end = (bin * self.rate // BINS_PER_SECOND for bin in (part.start, part.stop))
        begin, end = max(begin, self.span.low), min(end, self.known)
        left, right = max(begin - self.padding, self.span.low), min(end + self.padding, self.known)
        listening.stem = [np.concatenate(listening.stem, axis=1)]
        held = listening.held_from
        assert held <= left, "an event's stem was let go of too early"
        stem = listening.stem[0][:, left - held : right - held].copy()
        activity = listening.activity[part.start - self.low_bin : part.stop - self.low_bin]
        presence = float(activity.max())
        inside = stem[:, begin - left : end - left]
        return Stretch(
            query=query,
            start=left,
            sample_rate=self.rate,
            stem=stem,
            mixture=self.samples[:, left - self.first : right - self.first],
            presence=presence,
            activity=activity,
            best_window=mono_of(inside[:, self._best(activity)]),
            events=(Event(max(part.start / BINS_PER_SECOND, begin / self.rate), end / self.rate, presence),),
            continued=part.continued,
            core=(begin - left, end - left),
            fade=round(self.miner.fade_seconds * self.rate),
        )

    def _best(self, activity: NDArray[np.float32]) -> slice:
        """Samples of the event, at most a window long, in which the query is heard most."""
        window_seconds = self.miner.engine.network.window_samples // self.miner.engine.sample_rate
        bins = window_seconds * BINS_PER_SECOND
        sums = np.convolve(activity, np.ones(min(bins, len(activity))), mode="valid")
        start = int(sums.argmax()) * self.rate // BINS_PER_SECOND
        return slice(start, start + window_seconds * self.rate)

    def _forget(self, listening: _Listening, pending: Sequence[Part]) -> None:
        """Let go of the stem before the first event that may still come, less its padding."""
        undecided = self._undecided(listening)
        bins = [part.start for part in pending] + ([] if undecided is None else [undecided])
        coming = [bin * self.rate // BINS_PER_SECOND for bin in bins]
        needed = max(min([self.known, *coming]) - self.padding, listening.held_from)
        stem = np.concatenate(listening.stem, axis=1)[:, needed - listening.held_from :]
        listening.stem, listening.held_from = [stem.copy()], needed


def _own_windows(looked: Coverage, span: Range) -> tuple[int, int]:
    """Which of the windows looked at are the unit's own: those whose kept part, as far as it lies in what may be
    looked at, begins in it."""
    begins = [max(start, span.low) for start in looked.starts]
    own = [index for index, begin in enumerate(begins) if span.start <= begin < span.stop]
    return (own[0], own[-1] + 1) if own else (0, 0)
