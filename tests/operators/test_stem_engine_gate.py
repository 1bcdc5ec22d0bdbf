"""What the stem engine shows to the network: nothing silent, nothing below the threshold, no more than fits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from engine_tracks import (
    QUERIES,
    Cramped,
    Watched,
    antiphase_surround,
    engine_of,
    laid_out,
    many_kinds,
    run,
    telling_thresholds,
    watched,
)
from small_model import RATE, Samples, lively, random_condition, small_model, small_separator

from model.gated import GatedSeparator
from model.separator import Condition
from operators.encoded_views import halving
from operators.stem_engine import SILENCE, StemEngine


@pytest.fixture(scope="module")
def track() -> Samples:
    return many_kinds()


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


def test_the_gate_skips_what_lies_below_the_threshold(track: Samples) -> None:
    mono_track = np.ascontiguousarray(track[:1])
    thresholds = telling_thresholds(engine_of(), mono_track)
    engine, network = watched(thresholds=thresholds)
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
