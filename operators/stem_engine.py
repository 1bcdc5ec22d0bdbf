"""From the samples of a piece to the stems of every query: encode once, gate, decode many.

Windows lie on the global grid of the track. Each is encoded once; the gate scores every (window, query) pair; the
pairs that pass are decoded in batches over queries and windows, cross-faded, and leave as finished stretches of at
most a minute. Nothing here knows of files or of Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoint import Model
from model.separator import Condition, Features
from model.window_grid import Window, WindowGrid, overlap_add
from operators.event_spans import BINS_PER_SECOND, to_bins

STRETCH_SECONDS: Final = 60
SILENCE: Final = 10.0 ** (-90.0 / 20.0)
"""A window whose peak is below -90 dBFS is digital silence: the network never sees it."""
CANCELLED: Final = 10.0 ** (-13.0 / 10.0)
"""Where the mono mix keeps less than this share of the channels' energy it cancels, and channels are run one by one."""

Samples = NDArray[np.float32]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Stretch:
    """A finished stem: samples [start, start + T) of the track, for one query."""

    query: int
    start: int
    stem: Samples
    mixture: Samples
    presence: float
    activity: NDArray[np.float32]
    """Per tenth of a second from `start`, zero where the gate was closed."""
    best_window: Samples
    """The stem, mono, where its presence is highest, at most a window long: what the embedding is made from."""


@dataclass
class Coverage:
    """What was looked at in a piece: one entry per window, in the order of the track."""

    starts: list[int] = field(default_factory=list)
    silent: list[bool] = field(default_factory=list)
    presence: list[NDArray[np.float32]] = field(default_factory=list)


@dataclass
class _Open:
    """A stem under construction."""

    stem: Samples
    activity: NDArray[np.float32]
    presence: float = -1.0
    best_start: int = 0


class StemEngine:
    """Separates pieces for a fixed set of queries.

    `thresholds`: presence per query from which a pair is decoded. `gate=False` decodes every pair of every window
    that is not silent.
    """

    def __init__(
        self,
        model: Model,
        condition: Condition,
        thresholds: Sequence[float],
        *,
        gate: bool = True,
        device: str = "cpu",
        window_batch: int = 4,
        pair_batch: int = 4,
    ) -> None:
        self.network = model.separator.to(device)
        self.condition = Condition(condition.embedding.to(device))
        self.thresholds = np.asarray(thresholds, dtype=np.float32)
        self.gate, self.device = gate, device
        self.window_batch, self.pair_batch = window_batch, pair_batch
        self.sample_rate = model.separator.sample_rate
        self.grid = WindowGrid.of(model.separator.window_samples)
        threads = torch.get_num_threads()
        self._decoders = (
            ThreadPoolExecutor(threads, "decode-pairs", initializer=torch.set_num_threads, initargs=(1,))
            if device == "cpu" and threads > 1
            else None
        )

    def stretches(self, samples: Samples, first: int, start: int, stop: int, coverage: Coverage) -> Iterator[Stretch]:
        """Finished stems of [start, stop) of a track, in order of time; `samples` [C, T] begins at sample `first` of
        the track.

        What was looked at is appended to `coverage`. Samples that windows need beyond `samples` are taken as silence.
        """
        queries = len(self.condition)
        size = STRETCH_SECONDS * self.sample_rate
        open_stems: dict[tuple[int, int], _Open] = {}
        windows = self.grid.covering(start, stop)
        for at in range(0, len(windows), self.window_batch):
            batch = windows[at : at + self.window_batch]
            cut = [self._cut(samples, first, window) for window in batch]
            decoded = self._decode_batch(batch, cut, coverage)
            for window, presence, activity, stems in decoded:
                for query in range(queries):
                    if query not in stems:
                        continue
                    self._add(
                        open_stems,
                        query,
                        window,
                        stems[query],
                        float(presence[query]),
                        activity[query],
                        (start, stop),
                        size,
                    )
            done = (batch[-1].index + 1) * self.grid.hop - self.grid.fade
            if batch[-1] is windows[-1]:
                done = stop
            for key in sorted(k for k in open_stems if min((k[0] + 1) * size, stop) <= done):
                yield self._finish(key, open_stems.pop(key), samples, first, max(start, key[0] * size))

    def _add(
        self,
        open_stems: dict[tuple[int, int], _Open],
        query: int,
        window: Window,
        stem: Samples,
        presence: float,
        activity: NDArray[np.float32],
        span: tuple[int, int],
        size: int,
    ) -> None:
        """Cross-fade a window's stem into every stretch of the span that it reaches."""
        kept_start, kept_stop = self.grid.kept(window)
        weights = self.grid.weights(window)
        low = max(span[0], kept_start - self.grid.fade, 0)
        high = min(span[1], kept_stop + self.grid.fade)
        for stretch in range(low // size, (high - 1) // size + 1):
            left, right = max(span[0], stretch * size), min(span[1], (stretch + 1) * size)
            stem_open = open_stems.get((stretch, query))
            if stem_open is None:
                bins = -(-(right - left) * BINS_PER_SECOND // self.sample_rate)
                stem_open = _Open(np.zeros((stem.shape[0], right - left), np.float32), np.zeros(bins, np.float32))
                open_stems[stretch, query] = stem_open
            overlap_add(stem_open.stem, left, stem, window.start, weights)
            if presence > stem_open.presence:
                stem_open.presence, stem_open.best_start = presence, window.start
            per_bin = self.sample_rate // BINS_PER_SECOND
            centres = left + (np.arange(len(stem_open.activity)) + 0.5) * per_bin
            inside = (centres >= kept_start) & (centres < kept_stop)
            local = ((centres[inside] - window.start) // per_bin).astype(np.int64)
            stem_open.activity[inside] = activity[np.clip(local, 0, len(activity) - 1)]

    def _finish(self, key: tuple[int, int], done: _Open, samples: Samples, first: int, start: int) -> Stretch:
        length = done.stem.shape[1]
        mixture = samples[:, start - first : start - first + length]
        best = done.stem[:, max(0, done.best_start - start) : done.best_start - start + self.grid.length]
        return Stretch(key[1], start, done.stem, mixture, done.presence, done.activity, mono_of(best))

    def _cut(self, samples: Samples, first: int, window: Window) -> Samples:
        """The window's samples [C, L], silence where the track has none."""
        low, high = window.start - first, window.start - first + self.grid.length
        inside = samples[:, max(low, 0) : max(high, 0)]
        left = max(0, -low)
        return np.pad(inside, ((0, 0), (left, self.grid.length - left - inside.shape[1])))

    @torch.inference_mode()
    def _decode_batch(
        self, windows: Sequence[Window], cut: Sequence[Samples], coverage: Coverage
    ) -> list[tuple[Window, NDArray[np.float32], NDArray[np.float32], dict[int, Samples]]]:
        """(window, presence [Q], activity [Q, bins], stems of the queries that passed) of every window that is not
        silent."""
        queries = len(self.condition)
        loud = [bool(np.abs(x).max(initial=0.0) > SILENCE) for x in cut]
        views = [(i, channel) for i, x in enumerate(cut) if loud[i] for channel in self._views(x)]
        presence = np.zeros((len(windows), queries), np.float32)
        activity = np.zeros((len(windows), queries, self.grid.length * BINS_PER_SECOND // self.sample_rate), np.float32)
        stems: list[dict[int, Samples]] = [{} for _ in windows]
        for single in (False, True):  # windows seen as a mono mix; then channels seen one by one
            part = [view for view in views if (view[1] is not None) == single]
            if part:
                self._separate_views(part, cut, presence, activity, stems)
        for i, window in enumerate(windows):
            coverage.starts.append(window.index * self.grid.hop)
            coverage.silent.append(not loud[i])
            coverage.presence.append(presence[i])
        return [(w, presence[i], activity[i], stems[i]) for i, w in enumerate(windows) if stems[i]]

    def _views(self, window: Samples) -> list[int | None]:
        """[None] when the mono mix stands for the window, else its channels, those of digital silence left out."""
        if not cancels(window):
            return [None]
        return [channel for channel, samples in enumerate(window) if np.abs(samples).max() > SILENCE]

    def _separate_views(
        self,
        views: list[tuple[int, int | None]],
        cut: Sequence[Samples],
        presence: NDArray[np.float32],
        activity: NDArray[np.float32],
        stems: list[dict[int, Samples]],
    ) -> None:
        """Encode views once, gate them, decode the pairs that pass; results go into the three arrays given."""
        channels = torch.from_numpy(np.stack([cut[i] if c is None else cut[i][c : c + 1] for i, c in views])).to(
            self.device
        )
        spectra = self.network.analyse(channels)  # (V, C, F, N)
        features = self.network.encode(channels.mean(dim=1), spectra.mean(dim=1))
        heard = self.network.presence(features, self.condition).float().cpu().numpy()  # (V, Q)
        frames = self.network.activity(features, self.condition).float().cpu().numpy()  # (V, Q, N')
        for row, (i, _) in enumerate(views):
            presence[i] = np.maximum(presence[i], heard[row])
            bins = to_bins(frames[row], self.network.activity_hop_samples, self.grid.length, self.sample_rate)
            activity[i] = np.maximum(activity[i], bins)
        passed = [
            (row, query)
            for row, (i, _) in enumerate(views)
            for query in range(presence.shape[1])
            if not self.gate or presence[i, query] >= self.thresholds[query]
        ]
        for row, query, stem in self._decode_pairs(passed, features, spectra):
            i, channel = views[row]
            if channel is None:
                stems[i][query] = stem
            else:
                whole = stems[i].setdefault(query, np.zeros_like(cut[i]))
                whole[channel] = stem[0]

    def _decode_pairs(
        self, pairs: list[tuple[int, int]], features: Features, spectra: Tensor
    ) -> Iterator[tuple[int, int, Samples]]:
        """Stems [C, L] of (view, query) pairs, in mixed batches that are halved when memory runs out."""

        @torch.inference_mode()
        def decode(part: Sequence[tuple[int, int]]) -> Samples:
            first, last = part[0][0], part[-1][0]
            condition = self.condition.select(torch.tensor([query for _, query in part], device=self.device))
            if first == last:  # one window: nothing is copied
                mask = self.network.mask(features.repeat(first, len(part)), condition)
                mixture = spectra[first : first + 1]
            else:
                rows = torch.tensor([row for row, _ in part], device=self.device)
                mask = self.network.mask(features.select(rows), condition)
                mixture = spectra.index_select(0, rows)
            stems: Samples = self.network.render(mask, mixture, self.grid.length).float().cpu().numpy()
            return stems

        for part, stems in self._batches(pairs, decode):
            for (row, query), stem in zip(part, stems, strict=True):
                yield row, query, stem

    def _batches(
        self, pairs: Sequence[tuple[int, int]], decode: Callable[[Sequence[tuple[int, int]]], Samples]
    ) -> Iterator[tuple[Sequence[tuple[int, int]], Samples]]:
        """Batches of pairs with what `decode` makes of them, in order.

        On a CPU as many at a time as there are threads, one thread each: a pair's sixty small operators share two cores
        badly.
        """
        if self._decoders is None:
            yield from halving(pairs, self.pair_batch, decode)
            return
        parts = [pairs[at : at + self.pair_batch] for at in range(0, len(pairs), self.pair_batch)]
        for done in self._decoders.map(lambda part: list(halving(part, self.pair_batch, decode)), parts):
            yield from done


def cancels(samples: Samples) -> bool:
    """True when the mono mix of [C, T] does not stand for its channels, because they are in opposite phase."""
    if samples.shape[0] == 1:
        return False
    return float(np.square(samples.mean(axis=0)).mean()) < CANCELLED * float(np.square(samples).mean())


def mono_of(samples: Samples) -> Samples:
    """One channel [T] to listen to: the mean of [C, T], or the loudest where the mean cancels."""
    mono: Samples = samples[0] if samples.shape[0] == 1 else samples.mean(axis=0)
    if cancels(samples):
        mono = samples[int(np.square(samples).sum(axis=1).argmax())]
    return mono


def halving(
    items: Sequence[tuple[int, int]], size: int, work: Callable[[Sequence[tuple[int, int]]], Result]
) -> Iterator[tuple[Sequence[tuple[int, int]], Result]]:
    """`work` on batches of at most `size` items; out of accelerator memory halves the batch and tries again, down to
    one item."""
    at = 0
    while at < len(items):
        part = items[at : at + size]
        try:
            result = work(part)
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size = max(1, size // 2)
            torch.cuda.empty_cache()
            continue
        at += len(part)
        yield part, result
