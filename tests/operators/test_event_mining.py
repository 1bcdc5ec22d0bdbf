"""Mining: every event whole and once, whatever unit its time falls into, with its padding and its fades."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import RATE, Samples, random_condition, small_model
from torch import Tensor

from model.clapsep import CLAPSep
from model.separator import Condition, Features
from operators import event_mining
from operators.event_mining import EventMiner, Range, parts_of
from operators.event_spans import BINS_PER_SECOND, CLOSE_BINS
from operators.settings import MineSettings
from operators.stem_engine import Coverage, StemEngine
from operators.stretches import Stretch

BIN = RATE // BINS_PER_SECOND
LONGEST_SECONDS = 6
MINING = MineSettings(max_event_seconds=LONGEST_SECONDS, padding_seconds=0.5, fade_seconds=0.1)

Times = list[tuple[float, float, bool]]


class LoudIsPresent(CLAPSep):
    """Hears every query wherever it is loud, and lets everything through: what the events are can be told by hand."""

    def __init__(self, config: object) -> None:
        super().__init__(config)  # type: ignore[arg-type]
        self.activity_hop_samples = BIN // 4

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        features = super().encode(mixture, spectrum)
        return replace(features, activity=mixture.unfold(-1, BIN // 4, BIN // 4).abs().amax(-1)[:, None])

    def activity_logits(self, features: Features, condition: Condition) -> Tensor:
        loud = (features.activity > 0.05).float() * 60.0 - 30.0  # (B, 1, N')
        return loud.expand(-1, len(condition), -1)

    def mask_logits(self, features: Features, condition: Condition) -> Tensor:
        return torch.full_like(super().mask_logits(features, condition), 30.0)


def miner_of(settings: MineSettings = MINING, network: type[CLAPSep] = LoudIsPresent) -> EventMiner:
    engine = StemEngine(small_model(network=network), random_condition(1), [0.5], window_batch=2)
    return EventMiner(engine, settings, [0.5])


def bursts(active: Sequence[bool], channels: int = 1) -> Samples:
    """Noise in the active tenths of a second, silence in the others: float32[C, T]."""
    noise = np.random.default_rng(len(active)).uniform(0.3, 0.5, (channels, len(active) * BIN))
    signs = np.where(np.arange(noise.shape[1]) % 2, 1.0, -1.0)
    return (noise * signs * np.repeat(active, BIN)).astype(np.float32)


def mined(
    miner: EventMiner, track: Samples, unit_seconds: float, *, clip: tuple[float, float] | None = None
) -> tuple[list[Stretch], Coverage]:
    """The events of all units of a track, as the separating stage would ask for them."""
    length, coverage, events = track.shape[1], Coverage(), list[Stretch]()
    low, high = (0, length) if clip is None else (round(clip[0] * RATE), round(clip[1] * RATE))
    look, size = MINING.look_seconds * RATE, round(unit_seconds * RATE)
    for start in range(low // size * size, high, size):
        start, stop = max(start, low), min(start + size, high)
        first = max(0, start - look - 10 * RATE)
        piece = track[:, first : stop + look + 10 * RATE]
        span = Range(start, stop, max(low, start - look, 0), min(high, length, stop + look))
        events += miner.events(piece, first, span, coverage, RATE)
    return events, coverage


def times(events: Sequence[Stretch]) -> Times:
    found = []
    for event in events:
        assert event.events is not None
        (only,) = event.events
        found.append((only.start_seconds, only.end_seconds, event.continued))
    return sorted(found)


def expected(active: Sequence[bool]) -> Times:
    """What a person would mark: runs, holes below 0.4 s closed, specks dropped, long ones cut at multiples of 6 s."""
    runs: list[list[int]] = []
    for at in np.flatnonzero(active).tolist():
        if runs and at - runs[-1][1] <= CLOSE_BINS - 1:
            runs[-1][1] = at + 1
        else:
            runs.append([at, at + 1])
    longest = LONGEST_SECONDS * BINS_PER_SECOND
    found: Times = []
    for start, stop in runs:
        if stop - start < 2:
            continue
        cuts = [] if stop - start <= longest else [c for c in range(0, stop, longest) if start + 2 <= c <= stop - 2]
        edges = [start, *cuts, stop]
        found += [(low / 10, high / 10, low != start) for low, high in pairwise(edges)]
    return found


def test_the_example_of_the_docstring_runs() -> None:
    assert doctest.testmod(event_mining).failed == 0


@st.composite
def patterns(draw: st.DrawFn) -> list[bool]:
    """Runs and pauses of every length that matters, up to half a minute in all."""
    lengths = draw(st.lists(st.sampled_from([1, 2, 3, 4, 5, 9, 20, 59, 60, 61, 62, 119, 121, 150]), max_size=12))
    return [bool(index % 2) for index, length in enumerate(lengths) for _ in range(length)][:320]


@settings(max_examples=40, deadline=None)
@given(patterns(), st.sampled_from([2.0, 3.0, 5.5, 7.3, 600.0]))
def test_events_are_those_a_person_would_mark_whatever_the_units(active: list[bool], unit_seconds: float) -> None:
    events, _ = mined(miner_of(), bursts(active), unit_seconds)
    assert times(events) == expected(active)


def test_cuts_of_units_change_neither_audio_nor_presence() -> None:
    generator = np.random.default_rng(3)
    active = np.repeat(generator.random(60) < 0.5, generator.integers(1, 40, 60)).tolist()
    track = bursts(active, channels=2)
    whole = {event.start: event for event in mined(miner_of(), track, 600.0)[0]}
    assert len(whole) > 10
    for unit_seconds in (4.0, 9.7):
        events, _ = mined(miner_of(), track, unit_seconds)
        assert sorted(event.start for event in events) == sorted(whole)
        for event in events:
            same = whole[event.start]
            assert event.stem.shape == same.stem.shape
            assert np.abs(event.stem - same.stem).max() < 1e-4
            assert event.presence == pytest.approx(same.presence, abs=1e-4)
            assert np.abs(event.best_window - same.best_window).max() < 1e-4


def test_an_event_has_its_padding_and_is_faded_at_both_ends() -> None:
    active = [False] * 30 + [True] * 10 + [False] * 30
    track = bursts(active) + np.float32(0.01) * np.sin(np.arange(70 * BIN), dtype=np.float32)
    ((event,), _) = mined(miner_of(), track, 600.0)
    assert (event.start, event.stem.shape) == (round(2.5 * RATE), (1, 2 * RATE))
    assert event.core == (RATE // 2, RATE // 2 + RATE)
    left, right = event.core
    original = track[:, event.start : event.start + event.stem.shape[1]]
    assert np.abs(event.stem - original)[:, left:right].max() < 1e-4
    assert np.abs(event.stem[:, 0]) < 1e-4
    assert np.abs(event.stem[:, -1]) < 1e-4
    fade = round(0.1 * RATE)
    assert np.abs(event.stem - original)[:, fade:-fade].max() < 1e-4
    assert np.square(event.stem[:, :fade]).sum() < 0.5 * np.square(original[:, :fade]).sum()
    assert np.array_equal(event.mixture, original)


def test_padding_ends_where_the_track_does() -> None:
    active = [True] * 10 + [False] * 20 + [True] * 5
    first, last = mined(miner_of(), bursts(active), 600.0)[0]
    assert (first.start, first.core) == (0, (0, RATE))
    assert last.start + last.stem.shape[1] == 35 * BIN


def test_nothing_outside_a_clip_is_heard() -> None:
    active = [True] * 300
    whole, coverage = mined(miner_of(), bursts(active), 10.0, clip=(7.25, 22.5))
    assert times(whole) == [(7.25, 12.0, False), (12.0, 18.0, True), (18.0, 22.5, True)]
    assert min(event.start for event in whole) == round(7.25 * RATE)
    assert max(event.start + event.stem.shape[1] for event in whole) == round(22.5 * RATE)
    assert coverage.starts == [0, 8 * RATE, 16 * RATE]


def test_every_window_is_told_once() -> None:
    track = bursts([True, False] * 400)
    for unit_seconds in (5.5, 20.0, 600.0):
        _, coverage = mined(miner_of(), track, unit_seconds)
        assert coverage.starts == [k * 8 * RATE for k in range(10)]


def test_a_unit_looks_ahead_no_further_than_its_last_event() -> None:
    track = bursts([True] * 15 + [False] * 600)
    miner = miner_of()
    seen: list[int] = []
    encode = miner.engine.network.encode

    def watched(mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        seen.append(len(mixture))
        return encode(mixture, spectrum)

    miner.engine.network.encode = watched  # type: ignore[method-assign]
    coverage = Coverage()
    span = Range(0, 2 * RATE, 0, 60 * RATE)
    assert len(list(miner.events(track, 0, span, coverage, RATE))) == 1
    assert sum(seen) <= 2  # of the eight windows that it may look at


@pytest.mark.parametrize(
    ("run", "parts"),
    [
        ((0, 300), [(0, 300)]),  # just the longest
        ((1, 302), [(1, 300), (300, 302)]),
        ((1, 301 + 1), [(1, 300), (300, 302)]),
        ((0, 301), [(0, 301)]),  # one bin more stays with its neighbour
        ((299, 700), [(299, 600), (600, 700)]),  # a first part of one bin, too
        ((298, 700), [(298, 300), (300, 600), (600, 700)]),
    ],
)
def test_long_activity_is_cut_at_multiples_and_leaves_no_crumbs(
    run: tuple[int, int], parts: list[tuple[int, int]]
) -> None:
    found = parts_of(*run, 300, 2)
    assert [(part.start, part.stop) for part in found] == parts
    assert [part.continued for part in found] == [part.start != run[0] for part in found]


def test_the_embedding_is_made_of_the_event_without_its_padding() -> None:
    active = [False] * 20 + [True] * 10 + [False] * 20
    ((event,), _) = mined(miner_of(), bursts(active), 600.0)
    assert event.best_window.shape == (RATE,)
    assert np.abs(event.best_window).min() > 0.2


def test_a_rate_whose_tenths_are_no_whole_samples_has_its_events_too() -> None:
    rate = 11_025
    track = np.zeros((1, 20 * rate), np.float32)
    start, stop = 5 * rate, 8 * rate
    track[:, start:stop] = np.where(np.arange(stop - start) % 8 < 4, 0.4, -0.4)
    miner, coverage = miner_of(), Coverage()
    (event,) = miner.events(track, 0, Range(0, track.shape[1], 0, track.shape[1]), coverage, rate)
    ((begin, end, _),) = times([event])
    assert begin == pytest.approx(5.0, abs=0.11)
    assert end == pytest.approx(8.0, abs=0.11)
    assert event.sample_rate == rate
