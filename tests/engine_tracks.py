"""Engines around small networks that are watched or cramped, and tracks of all kinds for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from small_model import RATE, Samples, lively, random_condition, small_model
from torch import Tensor

from model.compact_clapsep import CompactCLAPSep
from model.separator import Condition, Features, Mask
from operators.event_spans import BINS_PER_SECOND
from operators.stem_engine import Coverage, StemEngine
from operators.stretches import Stretch

QUERIES = 3
SECONDS = 203.7


class Transparent(CompactCLAPSep):
    """Hears every query everywhere, and lets everything through."""

    def mask_logits(self, features: Features, condition: Condition) -> Tensor:
        return torch.full_like(super().mask_logits(features, condition), 30.0)

    def activity_logits(self, features: Features, condition: Condition) -> Tensor:
        return torch.full_like(super().activity_logits(features, condition), 30.0)


class Watched(CompactCLAPSep):
    """Notes the peak of every window that it is shown, and how many pairs it decodes."""

    peaks: list[float]
    pairs: int

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        self.peaks += mixture.abs().amax(dim=1).tolist()
        return super().encode(mixture, spectrum)

    def mask(self, features: Features, condition: Condition) -> Mask:
        self.pairs += len(condition)
        return super().mask(features, condition)


class Cramped(CompactCLAPSep):
    """Has memory for so many pairs at a time."""

    room: int = 2

    def mask(self, features: Features, condition: Condition) -> Mask:
        if len(condition) > self.room:
            raise torch.OutOfMemoryError("out of memory")
        return super().mask(features, condition)


def engine_of(
    network: type[CompactCLAPSep] = CompactCLAPSep,
    *,
    thresholds: Sequence[float] | None = None,
    queries: int = QUERIES,
    gate: bool = True,
    window_batch: int = 4,
    pair_batch: int = 8,
    **sharing: Any,
) -> StemEngine:
    return StemEngine(
        small_model(network=network),
        random_condition(queries),
        [0.0] * queries if thresholds is None else thresholds,
        gate=gate,
        **sharing,
        window_batch=window_batch,
        pair_batch=pair_batch,
    )


def watched(**options: object) -> tuple[StemEngine, Watched]:
    engine = engine_of(Watched, **options)
    assert isinstance(engine.network, Watched)
    engine.network.peaks, engine.network.pairs = [], 0
    return engine, engine.network


def run(engine: StemEngine, track: Samples) -> tuple[list[Stretch], Coverage]:
    coverage = Coverage()
    return list(engine.stretches(track, 0, 0, track.shape[1], coverage)), coverage


def laid_out(track: Samples, stretches: Sequence[Stretch]) -> tuple[Samples, Samples]:
    """Stems [Q, C, T] and activity [Q, bins] of the whole track, zero where there is no stretch."""
    stems = np.zeros((QUERIES, *track.shape), np.float32)
    activity = np.zeros((QUERIES, -(-track.shape[1] * BINS_PER_SECOND // RATE)), np.float32)
    for stretch in stretches:
        stems[stretch.query, :, stretch.start : stretch.start + stretch.stem.shape[1]] = stretch.stem
        first = stretch.start * BINS_PER_SECOND // RATE
        activity[stretch.query, first : first + len(stretch.activity)] = stretch.activity
    return stems, activity


def telling_thresholds(engine: StemEngine, track: Samples) -> list[float]:
    """Thresholds that about half of the windows pass, none of them by a hair."""
    presence = np.sort(np.stack(run(engine, track)[1].presence), axis=0)
    low, high = presence[5:-5][:-1], presence[5:-5][1:]
    best = (high - low).argmax(axis=0)
    return [float((low[row, q] + high[row, q]) / 2) for q, row in enumerate(best)]


def many_kinds() -> Samples:
    """Stereo; loud, quiet, antiphase and silent parts."""
    sound = lively(SECONDS, channels=2)
    sound[:, 30 * RATE : 33 * RATE] *= 0.01
    sound[1, 80 * RATE : 110 * RATE] = -sound[0, 80 * RATE : 110 * RATE]
    sound[:, 130 * RATE : 155 * RATE] = 0.0
    return sound


def mono(seconds: float) -> Samples:
    return lively(seconds)


def stereo(seconds: float) -> Samples:
    return lively(seconds, channels=2)


def antiphase(seconds: float) -> Samples:
    sound = lively(seconds)
    return np.concatenate([sound, -sound])


def surround(seconds: float) -> Samples:
    return lively(seconds, channels=6)


def antiphase_surround(seconds: float) -> Samples:
    """5.1 with an antiphase front pair; the other channels are digital silence."""
    return np.concatenate([antiphase(seconds), np.zeros((4, round(seconds * RATE)), np.float32)])


def summed(track: Samples, stretches: Sequence[Stretch], *, only: int | None = None) -> Samples:
    """Everything laid out and added up; `only`: of one query (or of the residual)."""
    total = np.zeros(track.shape, np.float32)
    for stretch in stretches:
        if only is None or stretch.query == only:
            total[:, stretch.start : stretch.start + stretch.stem.shape[1]] += stretch.stem
    return total
