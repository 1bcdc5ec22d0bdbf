"""The stem engine: results belong to the track, not to how it was cut, batched or mixed down."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from small_model import EMBEDDING, RATE, Samples, lively, random_condition, small_model, small_separator
from torch import Tensor

from model.compact_clapsep import CompactCLAPSep
from model.gated import GatedSeparator
from model.separator import Condition, Features, Mask
from operators.encoded_views import halving
from operators.event_spans import BINS_PER_SECOND
from operators.stem_engine import SILENCE, Coverage, StemEngine
from operators.stretches import RESIDUAL, STRETCH_SECONDS, Stretch, cancels, is_audible, mono_of

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


@pytest.fixture(scope="module")
def track() -> Samples:
    """Stereo; loud, quiet, antiphase and silent parts."""
    sound = lively(SECONDS, channels=2)
    sound[:, 30 * RATE : 33 * RATE] *= 0.01
    sound[1, 80 * RATE : 110 * RATE] = -sound[0, 80 * RATE : 110 * RATE]
    sound[:, 130 * RATE : 155 * RATE] = 0.0
    return sound


@pytest.fixture(scope="module")
def thresholds(track: Samples) -> list[float]:
    return telling_thresholds(engine_of(), track)


@pytest.fixture(scope="module")
def whole(track: Samples, thresholds: list[float]) -> tuple[list[Stretch], Coverage]:
    return run(engine_of(thresholds=thresholds), track)


@pytest.mark.parametrize("unit_seconds", [20, 45, 60, 600])
def test_spans_laid_end_to_end_equal_the_whole(
    track: Samples, thresholds: list[float], whole: tuple[list[Stretch], Coverage], unit_seconds: int
) -> None:
    engine = engine_of(thresholds=thresholds)
    context, length = 10 * RATE, track.shape[1]
    stretches, coverage = list[Stretch](), Coverage()
    for start in range(0, length, unit_seconds * RATE):
        stop = min(start + unit_seconds * RATE, length)
        first = max(0, start - context)
        stretches += engine.stretches(track[:, first : stop + context], first, start, stop, coverage)
    stems, activity = laid_out(track, stretches)
    whole_stems, whole_activity = laid_out(track, whole[0])
    assert np.abs(stems - whole_stems).max() < 1e-4
    assert np.abs(activity - whole_activity).max() < 1e-4
    presence = dict(zip(coverage.starts, coverage.presence, strict=True))
    whole_presence = dict(zip(whole[1].starts, whole[1].presence, strict=True))
    assert presence.keys() == whole_presence.keys()
    assert all(np.allclose(presence[start], whole_presence[start], atol=1e-4) for start in presence)
    assert max(s.presence for s in stretches) == pytest.approx(max(s.presence for s in whole[0]), abs=1e-4)


def test_the_whole_is_no_trivial_one(
    track: Samples, thresholds: list[float], whole: tuple[list[Stretch], Coverage]
) -> None:
    stretches, coverage = whole
    presence = np.stack(coverage.presence)
    passed = (presence >= np.float32(thresholds)) & ~np.array(coverage.silent)[:, None]
    assert (passed.mean(axis=0) > 0.1).all()
    assert (passed.mean(axis=0) < 0.9).all()
    stems, _ = laid_out(track, stretches)
    assert np.square(stems).mean() > 0.01 * np.square(track).mean()


def test_stretches_are_finished_in_order_and_end_at_minutes(
    track: Samples, whole: tuple[list[Stretch], Coverage]
) -> None:
    stretches = whole[0]
    assert [s.start for s in stretches] == sorted(s.start for s in stretches)
    assert len({(s.start, s.query) for s in stretches}) == len(stretches)
    for stretch in stretches:
        assert stretch.start % (STRETCH_SECONDS * RATE) == 0
        assert stretch.stem.shape[1] == min(STRETCH_SECONDS * RATE, track.shape[1] - stretch.start)
        assert np.array_equal(stretch.mixture, track[:, stretch.start : stretch.start + stretch.stem.shape[1]])
        assert len(stretch.activity) == -(-stretch.stem.shape[1] * BINS_PER_SECOND // RATE)


@pytest.mark.parametrize(("window_batch", "pair_batch"), [(1, 1), (2, 3), (7, 64), (64, 2)])
def test_batch_sizes_change_nothing(
    track: Samples,
    thresholds: list[float],
    whole: tuple[list[Stretch], Coverage],
    window_batch: int,
    pair_batch: int,
) -> None:
    engine = engine_of(thresholds=thresholds, window_batch=window_batch, pair_batch=pair_batch)
    stretches, coverage = run(engine, track)
    for ours, theirs in zip(laid_out(track, stretches), laid_out(track, whole[0]), strict=True):
        assert np.abs(ours - theirs).max() < 1e-5
    assert coverage.starts == whole[1].starts
    assert coverage.silent == whole[1].silent
    assert np.allclose(np.stack(coverage.presence), np.stack(whole[1].presence), atol=1e-5)


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


@pytest.mark.parametrize("make", [mono, stereo, antiphase, surround, antiphase_surround])
@pytest.mark.parametrize("seconds", [0.05, 8.0, 70.3])
def test_a_mask_of_ones_gives_back_the_mixture(make: object, seconds: float) -> None:
    track = make(seconds)  # type: ignore[operator]
    stretches, _ = run(engine_of(Transparent), track)
    stems, activity = laid_out(track, stretches)
    assert np.abs(stems - track).max() < 1e-4
    assert (activity > 0.99).all()
    assert all(stretch.presence > 0.99 for stretch in stretches)
    assert all(np.abs(stretch.best_window).max() > 0.01 for stretch in stretches if stretch.start == 0)


def test_a_shorter_or_odder_piece_than_a_bin_is_whole(track: Samples) -> None:
    for samples in (1, 399, 401):
        stretches, _ = run(engine_of(Transparent), track[:, :samples])
        assert [stretch.stem.shape for stretch in stretches] == [(2, samples)] * QUERIES
        assert len(stretches[0].activity) == -(-samples * BINS_PER_SECOND // RATE)


def test_nothing_comes_of_an_empty_span(track: Samples) -> None:
    assert run(engine_of(), track[:, :0]) == ([], Coverage())


def test_digital_silence_is_never_shown_to_the_network() -> None:
    track = lively(60.0)
    track[:, 10 * RATE : 50 * RATE] = 0.0
    track[:, 30 * RATE : 32 * RATE] = 0.9 * SILENCE
    engine, network = watched(gate=False)
    _, coverage = run(engine, track)
    assert min(network.peaks) > SILENCE
    assert coverage.silent == [False, False, True, True, True, True, False, False]
    assert not np.stack(coverage.presence)[2:6].any()
    assert network.pairs == 4 * QUERIES


def test_a_silent_channel_of_a_window_that_cancels_is_not_shown_either() -> None:
    engine, network = watched(gate=False)
    stretches, _ = run(engine, antiphase_surround(20.0))
    assert min(network.peaks) > SILENCE
    assert not any(stretch.stem[2:].any() for stretch in stretches)


def test_the_gate_skips_what_lies_below_the_threshold(
    track: Samples, thresholds: list[float], whole: tuple[list[Stretch], Coverage]
) -> None:
    engine, network = watched(thresholds=thresholds)
    mono_track = np.ascontiguousarray(track[:1])
    _, coverage = run(engine, mono_track)
    passed = np.stack(coverage.presence) >= np.float32(thresholds)
    assert network.pairs == int((passed & ~np.array(coverage.silent)[:, None]).sum())
    shut, network = watched(thresholds=[1.0] * QUERIES)
    stretches, coverage = run(shut, mono_track)
    assert stretches == []
    assert network.pairs == 0
    assert np.stack(coverage.presence).max() > 0.0  # what was looked at is told all the same
    open_, network = watched(thresholds=[1.0] * QUERIES, gate=False)
    run(open_, mono_track)
    assert network.pairs == QUERIES * (len(coverage.silent) - sum(coverage.silent))


def gated(thresholds: Sequence[float]) -> tuple[StemEngine, Watched]:
    """An engine whose network is watched, behind a gate that hears the queries in other words."""
    model = small_model(seed=1, network=Watched)
    network = model.separator
    assert isinstance(network, Watched)
    network.peaks, network.pairs = [], 0
    both = dataclasses.replace(model, separator=GatedSeparator(network, small_separator(seed=2)))
    condition = Condition(random_condition(QUERIES).embedding, random_condition(QUERIES, seed=9).embedding)
    return StemEngine(both, condition, thresholds, window_batch=4, pair_batch=8), network


def test_behind_a_gate_only_windows_of_which_something_passes_reach_the_network() -> None:
    sound = lively(124.0, channels=2)
    shut, _ = gated([2.0] * QUERIES)
    ranked = np.sort(np.stack(run(shut, sound)[1].presence), axis=0)
    passing = [2, 4, 6]  # so many windows of each query
    thresholds = np.array([ranked[-n - 1 : len(ranked) - n + 1, q].mean() for q, n in enumerate(passing)])
    engine, network = gated(thresholds.tolist())
    stretches, coverage = run(engine, sound)
    passed = np.stack(coverage.presence) >= np.float32(thresholds)
    assert passed.sum(axis=0).tolist() == passing
    assert passed.any(axis=1).sum() < len(passed) - 6
    assert network.pairs == passed.sum()
    assert len(network.peaks) == passed.any(axis=1).sum()

    plain = StemEngine(small_model(seed=1), random_condition(QUERIES), [0.0] * QUERIES, gate=False)
    stems, expected = laid_out(sound, stretches)[0], laid_out(sound, run(plain, sound)[0])[0]
    for row, start in enumerate(coverage.starts):
        alone = slice(start + RATE // 2, start + 15 * RATE // 2)  # what no other window reaches
        for query in range(QUERIES):
            if passed[row, query]:
                assert np.abs(stems[query, :, alone] - expected[query, :, alone]).max() < 1e-5
                assert expected[query, :, alone].any()
            else:
                assert not stems[query, :, alone].any()


def test_where_nothing_passes_the_network_hears_nothing(track: Samples) -> None:
    engine, network = gated([1.0] * QUERIES)
    stretches, coverage = run(engine, track[:, : 60 * RATE])
    assert stretches == []
    assert (network.peaks, network.pairs) == ([], 0)
    assert 0.0 < np.stack(coverage.presence).max() < 1.0


def test_a_query_does_not_depend_on_the_other_queries(track: Samples) -> None:
    together, _ = run(engine_of(), track[:, : 40 * RATE])
    model = small_model()
    for query in range(QUERIES):
        alone = StemEngine(model, random_condition(QUERIES).select(torch.tensor([query])), [0.0])
        stretch = next(iter(alone.stretches(track[:, : 40 * RATE], 0, 0, 40 * RATE, Coverage())))
        assert np.abs(stretch.stem - together[query].stem).max() < 1e-5
        assert stretch.presence == pytest.approx(together[query].presence, abs=1e-5)


def test_presence_is_the_highest_of_the_windows_that_reach_the_stretch() -> None:
    """Only one window sounds, and the fade at its end is all that the third minute gets of it."""
    track = np.zeros((1, 130 * RATE), np.float32)
    track[:, round(113.5 * RATE) : 118 * RATE] = lively(4.5)
    stretches, coverage = run(engine_of(), track)
    assert coverage.silent == [True] * 14 + [False] + [True] * 2
    assert coverage.starts[14] == 112 * RATE
    heard = coverage.presence[14]
    assert [(s.start // RATE, s.query) for s in stretches] == [(60, 0), (60, 1), (60, 2), (120, 0), (120, 1), (120, 2)]
    assert [s.presence for s in stretches] == [*heard, *heard]
    assert not any(s.activity.any() for s in stretches if s.start == 120 * RATE)


@pytest.mark.parametrize("room", [1, 2, 3])
def test_out_of_memory_halves_the_batch_and_changes_nothing(track: Samples, room: int) -> None:
    part = track[:, : 40 * RATE]
    cramped = engine_of(Cramped, pair_batch=8)
    assert isinstance(cramped.network, Cramped)
    cramped.network.room = room
    for ours, theirs in zip(run(cramped, part)[0], run(engine_of(), part)[0], strict=True):
        assert (ours.query, ours.start) == (theirs.query, theirs.start)
        assert np.abs(ours.stem - theirs.stem).max() < 1e-5


def test_out_of_memory_for_a_single_pair_is_raised(track: Samples) -> None:
    cramped = engine_of(Cramped)
    assert isinstance(cramped.network, Cramped)
    cramped.network.room = 0
    with pytest.raises(torch.OutOfMemoryError):
        run(cramped, track[:, : 10 * RATE])


def test_halving_does_every_item_once_and_in_order() -> None:
    tried: list[int] = []

    def work(part: Sequence[tuple[int, int]]) -> int:
        tried.append(len(part))
        if len(part) > 3:
            raise torch.OutOfMemoryError
        return len(part)

    items = [(row, 0) for row in range(20)]
    done = list(halving(items, 16, work))
    assert [item for part, _ in done for item in part] == items
    assert tried == [16, 8, 4, *[2] * 10]  # what did not fit once is not tried again


def test_mono_is_the_mean_unless_it_cancels() -> None:
    left, right = lively(1.0, channels=2)
    assert not cancels(left[None])
    assert not cancels(np.stack([left, right]))
    assert not cancels(np.zeros((2, 10), np.float32))
    assert cancels(np.stack([left, -left]))
    assert np.allclose(mono_of(np.stack([left, right])), (left + right) / 2)
    assert np.allclose(mono_of(np.stack([0.9 * left, -left])), -left)


def test_samples_and_conditions_are_left_untouched(track: Samples) -> None:
    before, condition = track.copy(), random_condition(QUERIES)
    assert condition.embedding.shape == (QUERIES, 2 * EMBEDDING)
    run(engine_of(), track)
    assert np.array_equal(track, before)


def summed(track: Samples, stretches: Sequence[Stretch], *, only: int | None = None) -> Samples:
    """Everything laid out and added up; `only`: of one query (or of the residual)."""
    total = np.zeros(track.shape, np.float32)
    for stretch in stretches:
        if only is None or stretch.query == only:
            total[:, stretch.start : stretch.start + stretch.stem.shape[1]] += stretch.stem
    return total


@pytest.mark.parametrize("make", [mono, stereo, antiphase, antiphase_surround])
@pytest.mark.parametrize("gate", [True, False])
def test_exclusive_stems_and_residual_add_up_to_the_mixture(make: object, gate: bool) -> None:
    track = make(70.3)  # type: ignore[operator]
    track[:, 20 * RATE : 40 * RATE] = 0.0
    engine = engine_of(thresholds=[0.025] * QUERIES, gate=gate, residual=True, exclusive=True)
    stretches, _ = run(engine, track)
    assert len({stretch.query for stretch in stretches}) > 2
    assert np.abs(summed(track, stretches) - track).max() < 1e-6


def test_a_stem_that_is_too_quiet_to_keep_stays_in_the_residual(track: Samples) -> None:
    faint = track * np.float32(2e-4)
    stretches, _ = run(engine_of(residual=True, exclusive=True), faint)
    kept = [stretch for stretch in stretches if stretch.query == RESIDUAL or is_audible(stretch.stem)]
    assert len(kept) < len(stretches)
    assert np.abs(summed(faint, kept) - faint).max() < 1e-9


def test_the_residual_is_what_no_mask_takes_and_leaves_the_stems_alone(track: Samples) -> None:
    plain, _ = run(engine_of(), track)
    stretches, _ = run(engine_of(residual=True), track)
    for ours, theirs in zip([s for s in stretches if s.query != RESIDUAL], plain, strict=True):
        assert np.abs(ours.stem - theirs.stem).max() < 1e-6
    alone, _ = run(engine_of(queries=1, residual=True), track)  # one query never takes more than there is
    assert np.abs(summed(track, alone) - track).max() < 1e-5
    everything, _ = run(engine_of(Transparent, residual=True), track)
    assert np.abs(summed(track, everything, only=RESIDUAL)).max() < 1e-5
    nothing, coverage = run(engine_of(residual=True, thresholds=[1.0] * QUERIES), track)
    assert {stretch.query for stretch in nothing} == {RESIDUAL}
    assert np.abs(summed(track, nothing) - track).max() < 1e-6
    assert all(stretch.presence is None for stretch in nothing)
    assert len(coverage.starts) == len(set(coverage.starts))


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_query_asked_twice_leaves_the_residual_of_asking_once(track: Samples, exclusive: bool) -> None:
    model, condition = small_model(), random_condition(2)
    once = StemEngine(model, condition, [0.5, 0.5], residual=True, exclusive=exclusive)
    rows = condition.select(torch.tensor([0, 1, 0]))
    twice = StemEngine(model, rows, [0.5, 0.5, 0.5], contents=[0, 1, 0], residual=True, exclusive=exclusive)
    first, second = run(once, track)[0], run(twice, track)[0]
    assert np.abs(summed(track, first, only=RESIDUAL) - summed(track, second, only=RESIDUAL)).max() < 1e-5
    assert np.abs(summed(track, second, only=0) - summed(track, second, only=2)).max() < 1e-5
    if exclusive:
        assert np.abs(summed(track, second) - track).max() < 1e-6


@pytest.mark.parametrize("rate", [2000, 4410, 5500, 9600])
@pytest.mark.parametrize("make", [mono, stereo, antiphase])
def test_at_the_rate_of_the_source_a_mask_of_ones_gives_back_the_mixture(rate: int, make: object) -> None:
    track = make(20.3 * rate / RATE)[:, : round(20.3 * rate)]  # type: ignore[operator]
    engine = engine_of(Transparent, residual=True)
    stretches = list(engine.stretches(track, 0, 0, track.shape[1], Coverage(), rate))
    for query in range(QUERIES):
        assert np.abs(summed(track, stretches, only=query) - track).max() < 1e-4
    assert np.abs(summed(track, stretches, only=RESIDUAL)).max() < 1e-4
    assert {stretch.sample_rate for stretch in stretches} == {rate}
    assert len(stretches[0].activity) == -(-track.shape[1] * BINS_PER_SECOND // rate)


@pytest.mark.parametrize("unit_seconds", [7, 20])
def test_at_the_rate_of_the_source_spans_equal_the_whole(unit_seconds: int) -> None:
    rate = 4410
    track = lively(50.0 * rate / RATE, channels=2)[:, : 50 * rate]
    engine = engine_of(thresholds=[0.5] * QUERIES, exclusive=True, residual=True)
    whole = list(engine.stretches(track, 0, 0, track.shape[1], Coverage(), rate))
    parts = list[Stretch]()
    for start in range(0, track.shape[1], unit_seconds * rate):
        stop = min(start + unit_seconds * rate, track.shape[1])
        first = max(0, start - 10 * rate)
        parts += engine.stretches(track[:, first : stop + 10 * rate], first, start, stop, Coverage(), rate)
    for query in (RESIDUAL, *range(QUERIES)):
        assert np.abs(summed(track, whole, only=query) - summed(track, parts, only=query)).max() < 1e-4


def test_where_windows_are_no_whole_number_of_samples_they_lose_less_than_one() -> None:
    model = small_model(network=Transparent)
    model.separator.window_samples = 7 * RATE + 1
    engine = StemEngine(model, random_condition(1), [0.5])
    assert engine.grid_at(4411).length == 7 * 4411 + 1  # 30,878.1
    track = lively(20.0 * 4411 / RATE)[:, : 20 * 4411]
    stretches = list(engine.stretches(track, 0, 0, track.shape[1], Coverage(), 4411))
    assert np.abs(summed(track, stretches, only=0) - track).max() < 1e-4
