"""Stems that add up: exclusive ones with their residual, and everything at the rate of the source."""

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
    many_kinds,
    mono,
    run,
    stereo,
    summed,
)
from small_model import RATE, Samples, lively, random_condition, small_model

from operators.event_spans import BINS_PER_SECOND
from operators.stem_engine import Coverage, StemEngine
from operators.stretches import RESIDUAL, Stretch, is_audible


@pytest.fixture(scope="module")
def track() -> Samples:
    return many_kinds()


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
