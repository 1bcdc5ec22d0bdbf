"""From the samples of a piece to the stems of every query: encode once, gate, decode many.

Windows lie on the global grid of the track. Each is encoded once, as a mono mix at the network's rate; the gate scores
every (window, query) pair; the pairs that pass are decoded in batches over queries and windows, at the rate of the
samples, and `operators/stretches.py` puts them together. Nothing here knows of files or of Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoint import Model
from model.mask_sharing import exclusive_masks, residual_mask
from model.separator import Condition, Features
from model.window_grid import Window, WindowGrid
from operators.batching import batch_sizes
from operators.encoded_views import EncodedViews, Pair, halving
from operators.event_spans import BINS_PER_SECOND, to_bins
from operators.stretches import (
    RESIDUAL,
    Finished,
    Samples,
    Stretch,
    StretchAssembler,
    cancels,
    stretch_seconds_for,
)

SILENCE: Final = 10.0 ** (-90.0 / 20.0)
"""A window whose peak is below -90 dBFS is digital silence: the network never sees it."""

Item = TypeVar("Item")
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass
class Coverage:
    """What was looked at in a piece: one entry per window, in the order of the track."""

    starts: list[int] = field(default_factory=list)
    silent: list[bool] = field(default_factory=list)
    presence: list[NDArray[np.float32]] = field(default_factory=list)

    def extend(self, other: Coverage, first: int, last: int) -> None:
        """Append the windows [first, last) of another."""
        self.starts += other.starts[first:last]
        self.silent += other.silent[first:last]
        self.presence += other.presence[first:last]


@dataclass
class _Heard:
    """What was found in one window: presence [Q], activity [Q, bins], stems [C, L] of what was separated."""

    window: Window
    presence: NDArray[np.float32]
    activity: NDArray[np.float32]
    stems: dict[int, Samples] = field(default_factory=dict)


class StemEngine:
    """Separates pieces for a fixed set of queries.

    `thresholds`: presence per query from which a pair is decoded. `gate=False` decodes every pair of every window
    that is not silent. `contents`: equal numbers for queries that ask for the same (default: all differ).
    `residual` adds what no query took, as one more stem; `exclusive` makes the queries share the mixture.
    `precision`: what the network computes in, "auto" for what pays on the device; a model keeps it. Batch sizes: None
    for what memory holds.
    """

    def __init__(
        self,
        model: Model,
        condition: Condition,
        thresholds: Sequence[float],
        *,
        contents: Sequence[int] | None = None,
        residual: bool = False,
        exclusive: bool = False,
        gate: bool = True,
        device: str = "cpu",
        precision: Precision = "auto",
        window_batch: int | None = None,
        pair_batch: int | None = None,
    ) -> None:
        self.network = model.separator.to(device)
        self.precision = self.network.precision(precision, device)
        self.network.set_precision(self.precision)
        self.condition = condition.to(device)
        self.thresholds = np.asarray(thresholds, dtype=np.float32)
        self.contents = list(range(len(condition))) if contents is None else list(contents)
        self.residual, self.exclusive = residual, exclusive
        self.gate, self.device = gate, device
        sizes = batch_sizes(self.network, device)
        self.window_batch, self.pair_batch = window_batch or sizes.windows, pair_batch or sizes.pairs
        self.sample_rate = model.separator.sample_rate
        threads = torch.get_num_threads()
        self._decoders = (
            ThreadPoolExecutor(threads, "decode-pairs", initializer=torch.set_num_threads, initargs=(1,))
            if device == "cpu" and threads > 1
            else None
        )

    def grid_at(self, sample_rate: int) -> WindowGrid:
        """The network's windows in samples of another rate, less a part of a sample where they do not come out
        whole."""
        samples = self.network.window_samples * sample_rate // self.sample_rate
        return WindowGrid.of(samples, self.network.lead_share)

    def stretches(
        self, samples: Samples, first: int, start: int, stop: int, coverage: Coverage, sample_rate: int | None = None
    ) -> Iterator[Stretch]:
        """Finished stems of [start, stop) of a track, in order of time; see `finished`."""
        for part in self.finished(samples, first, start, stop, coverage, sample_rate):
            yield from part.stretches

    def finished(
        self,
        samples: Samples,
        first: int,
        start: int,
        stop: int,
        coverage: Coverage,
        sample_rate: int | None = None,
        *,
        stretch_seconds: int | None = None,
    ) -> Iterator[Finished]:
        """Everything of [start, stop) of a track, a stretch at a time, as soon as it is final; `samples` [C, T] at
        `sample_rate` (None: the network's) begins at sample `first` of the track.

        What was looked at is appended to `coverage`. Samples that windows need beyond `samples` are taken as silence.
        Windows are separated only as far as the iterator is read. `stretch_seconds`: None for what memory allows.
        """
        rate = sample_rate or self.sample_rate
        stems = len(self.condition) + self.residual
        stretch_seconds = stretch_seconds or stretch_seconds_for(samples.shape[0], rate, stems)
        grid = self.grid_at(rate)
        assembler = StretchAssembler(
            grid, rate, samples, first, start, stop,
            stretch_seconds=stretch_seconds, subtract=self.residual and self.exclusive,
        )  # fmt: skip
        windows = grid.covering(start, stop)
        for at in range(0, len(windows), self.window_batch):
            batch = windows[at : at + self.window_batch]
            cut = [_cut(samples, first, window, grid.length) for window in batch]
            for heard in self._hear(batch, cut, rate, coverage, grid):
                for query, stem in heard.stems.items():
                    of_query = () if query == RESIDUAL else (float(heard.presence[query]), heard.activity[query])
                    assembler.add(query, heard.window, stem, *(of_query or (None, None)))
            last = batch[-1] is windows[-1]
            yield from assembler.finish(stop if last else (batch[-1].index + 1) * grid.hop - grid.fade)

    @torch.inference_mode()
    def _hear(
        self, windows: Sequence[Window], cut: Sequence[Samples], rate: int, coverage: Coverage, grid: WindowGrid
    ) -> list[_Heard]:
        """What is found in windows whose samples are `cut`; digital silence is not shown to the network."""
        queries = len(self.condition)
        bins = self.network.window_samples * BINS_PER_SECOND // self.sample_rate
        heard = [_Heard(w, np.zeros(queries, np.float32), np.zeros((queries, bins), np.float32)) for w in windows]
        loud = [bool(np.abs(x).max(initial=0.0) > SILENCE) for x in cut]
        views = [(i, channel) for i, x in enumerate(cut) if loud[i] for channel in _views(x)]
        for single in (False, True):  # windows seen as a mono mix; then channels seen one by one
            part = [view for view in views if (view[1] is not None) == single]
            for _ in halving(part, max(1, len(part)), lambda some: self._separate_views(some, cut, rate, heard)):
                continue
        for i, found in enumerate(heard):
            if self.residual and not self.exclusive:
                found.stems.setdefault(RESIDUAL, cut[i])  # nothing was taken
            coverage.starts.append(found.window.index * grid.hop)
            coverage.silent.append(not loud[i])
            coverage.presence.append(found.presence)
        return heard

    def _separate_views(
        self, views: Sequence[tuple[int, int | None]], cut: Sequence[Samples], rate: int, heard: Sequence[_Heard]
    ) -> None:
        """Encode views once, gate them, decode the pairs that pass; what comes of them goes into `heard`."""
        stacked = np.stack([cut[i] if c is None else cut[i][c : c + 1] for i, c in views])
        channels = torch.from_numpy(stacked).to(self.device)
        spectra = self.network.analyse(channels, rate)  # (V, C, F, N)
        features = self._encode(channels, spectra, rate)
        presence = self.network.presence(features, self.condition).float().cpu().numpy()  # (V, Q)
        frames = self.network.activity(features, self.condition).float().cpu().numpy()  # (V, Q, N')
        for row, (i, _) in enumerate(views):
            bins = to_bins(
                frames[row], self.network.activity_hop_samples, self.network.window_samples, self.sample_rate
            )
            np.maximum(heard[i].presence, presence[row], out=heard[i].presence)
            np.maximum(heard[i].activity, bins, out=heard[i].activity)
        passed = [
            (row, query)
            for row, (i, _) in enumerate(views)
            for query, threshold in enumerate(self.thresholds)
            if not self.gate or heard[i].presence[query] >= threshold
        ]
        if not passed:
            return
        rows = sorted({row for row, _ in passed})  # only these are encoded to the end
        wanted = torch.tensor(rows, device=spectra.device)
        features = self.network.deepen(features, wanted)
        if len(rows) < len(views):
            spectra = spectra.index_select(0, wanted)
            views, passed = [views[row] for row in rows], [(rows.index(row), query) for row, query in passed]
        decoding = EncodedViews(self.network, self.condition, features, spectra, rate, stacked.shape[-1])
        for (row, query), stem in self._decode(passed, decoding):
            i, channel = views[row]
            if channel is None:
                heard[i].stems[query] = stem
            else:
                rest = cut[i].copy() if query == RESIDUAL else np.zeros_like(cut[i])
                heard[i].stems.setdefault(query, rest)[channel] = stem[0]

    def _encode(self, channels: Tensor, spectra: Tensor, rate: int) -> Features:
        """Features of the views' mono mixes at the network's own rate."""
        if rate == self.sample_rate:
            return self.network.encode(channels.mean(dim=1), spectra.mean(dim=1))
        mono = channels.mean(dim=1).cpu().numpy()
        own = np.stack([soxr.resample(view, rate, self.sample_rate) for view in mono])
        return self.network.encode(torch.from_numpy(own).to(self.device))

    def _decode(self, pairs: list[Pair], decoding: EncodedViews) -> Iterator[tuple[Pair, Samples]]:
        """Stems [C, L] of pairs, in mixed batches that are halved when memory runs out; residuals of views, if wished.

        Queries that share a window need the masks of all of them before the first stem.
        """
        if not (self.residual or self.exclusive):
            yield from self._batches(pairs, lambda part: decoding.render(part, decoding.masks(part)))
            return
        for row in dict.fromkeys(row for row, _ in pairs):  # one view at a time: its masks are megabytes each
            queries = [query for of, query in pairs if of == row]
            contents = [self.contents[query] for query in queries]
            masks = self._batches([(row, query) for query in queries], decoding.masks)
            bands = torch.stack([mask for _, mask in masks])
            shared: list[tuple[Pair, Tensor]] = []
            if self.residual and not self.exclusive:
                shared.append(((row, RESIDUAL), residual_mask(bands, contents)))
            if self.exclusive:
                bands = exclusive_masks(bands, contents)
            shared += [((row, query), mask) for query, mask in zip(queries, bands, strict=True)]
            rendered = self._batches(
                shared, lambda part: decoding.render([p for p, _ in part], torch.stack([mask for _, mask in part]))
            )
            for (pair, _), stem in rendered:
                yield pair, stem

    def _batches(self, items: Sequence[Item], work: Callable[[Sequence[Item]], Any]) -> Iterator[tuple[Item, Any]]:
        """Every item with what `work` makes of it, in order.

        On a CPU as many batches at a time as there are threads, one thread each: a pair's sixty small operators share
        two cores badly.
        """
        parts = [items[at : at + self.pair_batch] for at in range(0, len(items), self.pair_batch)]
        if self._decoders is None:
            done = iter([list(halving(items, self.pair_batch, work))])
        else:
            done = self._decoders.map(lambda part: list(halving(part, self.pair_batch, work)), parts)
        for part in done:
            for batch, results in part:
                yield from zip(batch, results, strict=True)


def _cut(samples: Samples, first: int, window: Window, length: int) -> Samples:
    """The window's samples [C, L], silence where the track has none."""
    low, high = window.start - first, window.start - first + length
    inside = samples[:, max(low, 0) : max(high, 0)]
    left = max(0, -low)
    return np.pad(inside, ((0, 0), (left, length - left - inside.shape[1])))


def _views(window: Samples) -> list[int | None]:
    """[None] when the mono mix stands for the window, else its channels, those of digital silence left out."""
    if not cancels(window):
        return [None]
    return [channel for channel, samples in enumerate(window) if np.abs(samples).max() > SILENCE]
