"""The stem engine: results belong to the track, not to how it was cut, batched or mixed down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_tracks import (
    QUERIES,
    Transparent,
    antiphase,
    antiphase_surround,
    engine_of,
    laid_out,
    many_kinds,
    mono,
    run,
    stereo,
    surround,
    telling_thresholds,
)
from small_model import EMBEDDING, RATE, Samples, lively, random_condition, small_model

from operators.event_spans import BINS_PER_SECOND
from operators.stem_engine import Coverage, StemEngine
from operators.stretches import STRETCH_SECONDS, Stretch, cancels, mono_of


@pytest.fixture(scope="module")
def track() -> Samples:
    return many_kinds()


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
