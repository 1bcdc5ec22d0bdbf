"""Mining: every event whole and once, whatever unit its time falls into, with its padding and its fades."""

from __future__ import annotations

import doctest
import math
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

from model.compact_clapsep import CompactCLAPSep
from model.separator import Condition, Features
from operators import event_mining
from operators.event_mining import EventMiner, Range, parts_of
from operators.event_spans import BINS_PER_SECOND, CLOSE_BINS
from operators.member import next_border
from operators.settings import MineSettings
from operators.stem_engine import Coverage, StemEngine
from operators.stretches import Stretch

BIN = RATE // BINS_PER_SECOND
LONGEST_SECONDS = 6
MINING = MineSettings(max_event_seconds=LONGEST_SECONDS, padding_seconds=0.5, fade_seconds=0.1)

Times = list[tuple[float, float, bool]]


class LoudIsPresent(CompactCLAPSep):
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


def miner_of(settings: MineSettings = MINING, *, window_batch: int = 2) -> EventMiner:
    engine = StemEngine(small_model(network=LoudIsPresent), random_condition(1), [0.5], window_batch=window_batch)
    return EventMiner(engine, settings, [0.5])


def bursts(active: Sequence[bool], channels: int = 1) -> Samples:
    """Noise in the active tenths of a second, silence in the others: float32[C, T]."""
    noise = np.random.default_rng(len(active)).uniform(0.3, 0.5, (channels, len(active) * BIN))
    signs = np.where(np.arange(noise.shape[1]) % 2, 1.0, -1.0)
    return (noise * signs * np.repeat(active, BIN)).astype(np.float32)


def mined(
    miner: EventMiner,
    track: Samples,
    unit_seconds: float,
    *,
    settings: MineSettings = MINING,
    rate: int = RATE,
    clip: tuple[float, float] | None = None,
) -> tuple[list[Stretch], Coverage]:
    """The events of all units of a track, as the separating stage would ask for them."""
    length, coverage, events = track.shape[1], Coverage(), list[Stretch]()
    low, high = (0, length) if clip is None else (round(clip[0] * rate), min(length, round(clip[1] * rate)))
    look = settings.look_seconds * rate
    context = look + 10 * rate
    start, border = low, next_border(low / rate, unit_seconds)
    while start < high:
        stop = min(round(border * rate), high)
        first = max(0, start - context)
        span = Range(start, stop, max(low, start - look), min(high, stop + look))
        events += miner.events(track[:, first : stop + context], first, span, coverage, rate)
        start, border = stop, next_border(border, unit_seconds)
    return events, coverage


def times(events: Sequence[Stretch]) -> Times:
    found = []
    for event in events:
        assert event.events is not None
        (only,) = event.events
        found.append((only.start_seconds, only.end_seconds, event.continued))
    return sorted(found)


def expected(active: Sequence[bool], settings: MineSettings = MINING) -> Times:
    """What a person would mark: runs, holes below 0.4 s closed, short ones dropped, long ones cut at multiples."""
    runs: list[list[int]] = []
    for at in np.flatnonzero(active).tolist():
        if runs and at - runs[-1][1] <= CLOSE_BINS - 1:
            runs[-1][1] = at + 1
        else:
            runs.append([at, at + 1])
    longest = settings.max_event_seconds * BINS_PER_SECOND
    shortest = math.ceil(settings.min_seconds * BINS_PER_SECOND - 1e-9)
    found: Times = []
    for start, stop in runs:
        if stop - start < shortest:
            continue
        cuts = [cut for cut in range(0, stop, longest) if start + shortest <= cut <= stop - shortest]
        edges = [start, *(cuts if stop - start > longest else []), stop]
        found += [(low / 10, high / 10, low != start) for low, high in pairwise(edges)]
    return found


def test_the_example_of_the_docstring_runs() -> None:
    assert doctest.testmod(event_mining).failed == 0


@st.composite
def patterns(draw: st.DrawFn) -> list[bool]:
    """Runs and pauses of every length that matters, up to a minute in all."""
    lengths = draw(st.lists(st.sampled_from([1, 2, 3, 4, 5, 9, 20, 59, 60, 61, 62, 119, 121, 150, 300]), max_size=12))
    return [bool(index % 2) for index, length in enumerate(lengths) for _ in range(length)][:600]


@st.composite
def minings(draw: st.DrawFn) -> MineSettings:
    """Settings in which every border case of cutting occurs."""
    longest = draw(st.sampled_from([1, 2, 5, 6, 7, 12]))
    shortest = draw(st.sampled_from([0.1, 0.2, 0.25, 0.9, 2.0, 5.0]).filter(lambda seconds: seconds < longest))
    padding = draw(st.sampled_from([0.0, 0.05, 0.5, 1.3]))
    return MineSettings(max_event_seconds=longest, min_seconds=shortest, padding_seconds=padding, fade_seconds=0.1)


CASES = (patterns(), minings(), st.sampled_from([2.0, 3.0, 5.5, 7.37, 45.0, 600.0]), st.sampled_from([1, 2, 16]))


@settings(max_examples=15, deadline=None)
@given(*CASES)
def test_events_are_those_a_person_would_mark_whatever_the_units(
    active: list[bool], mining: MineSettings, unit_seconds: float, window_batch: int
) -> None:
    expect_those_a_person_would_mark(active, mining, unit_seconds, window_batch)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(*CASES)
def test_in_a_hundred_cases_events_are_those_a_person_would_mark(
    active: list[bool], mining: MineSettings, unit_seconds: float, window_batch: int
) -> None:
    expect_those_a_person_would_mark(active, mining, unit_seconds, window_batch)


def expect_those_a_person_would_mark(
    active: list[bool], mining: MineSettings, unit_seconds: float, window_batch: int
) -> None:
    miner = miner_of(mining, window_batch=window_batch)
    events, coverage = mined(miner, bursts(active), unit_seconds, settings=mining)
    assert times(events) == expected(active, mining)
    assert coverage.starts == [k * 8 * RATE for k in range(-(-len(active) // 80))]
    for event in events:
        assert event.stem.shape == event.mixture.shape
        assert np.abs(event.stem - event.mixture).max() < 1e-4  # its own samples, not those of another time


@pytest.mark.parametrize(
    ("mining", "unit_seconds", "active"),
    [
        pytest.param({"max_event_seconds": 7, "min_seconds": 2.0}, 45.0, [(0, 1000)], id="a cut that comes late"),
        pytest.param({"max_event_seconds": 7, "min_seconds": 2.0}, 5.5, [(0, 1000)], id="a cut behind the border"),
        pytest.param({"max_event_seconds": 30, "min_seconds": 5.0}, 25.2, [(251, 640)], id="a long first part"),
        pytest.param({"max_event_seconds": 30, "min_seconds": 5.0}, 25.2, [(251, 670)], id="a long first part, cut"),
    ],
)
def test_long_activity_at_borders_is_cut_once(
    mining: dict[str, float], unit_seconds: float, active: list[tuple[int, int]]
) -> None:
    chosen = MineSettings.model_validate(mining)
    heard = [any(start <= at < stop for start, stop in active) for at in range(1000)]
    events, _ = mined(miner_of(chosen), bursts(heard), unit_seconds, settings=chosen)
    assert times(events) == expected(heard, chosen)


@pytest.mark.parametrize("rate", [4001, 4410, 11_025])
@pytest.mark.parametrize("clip", [None, (3.217, 31.5), (0.05, 99.0)])
def test_units_of_any_length_agree_at_odd_rates_and_in_clips(rate: int, clip: tuple[float, float] | None) -> None:
    generator = np.random.default_rng(rate)
    gate = np.repeat(generator.random(25) < 0.6, generator.integers(1, 40, 25))
    time = np.arange(len(gate) * rate // 10)
    tone = 0.4 * np.sign(np.sin(2 * np.pi * 500 * time / rate))
    track = (tone * gate[np.minimum(time * 10 // rate, len(gate) - 1)])[None].astype(np.float32)
    whole, looked = mined(miner_of(), track, 600.0, rate=rate, clip=clip)
    assert len(whole) > 3
    for unit_seconds in (2.0, 7.37):
        parts, coverage = mined(miner_of(), track, unit_seconds, rate=rate, clip=clip)
        assert times(parts) == times(whole)
        assert coverage.starts == looked.starts
        for ours, theirs in zip(parts, whole, strict=True):
            assert (ours.start, ours.core) == (theirs.start, theirs.core)
            assert np.abs(ours.stem - theirs.stem).max() < 1e-4
    if clip is not None:
        assert min(event.start for event in whole) >= round(clip[0] * rate)
        assert max(event.start + event.stem.shape[1] for event in whole) <= round(clip[1] * rate)


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
    original = track[:, event.start : event.start + event.stem.shape[1]]
    assert np.abs(event.stem - original).max() < 1e-4  # what is measured
    fade = round(0.1 * RATE)
    assert np.abs(event.audio - original)[:, fade:-fade].max() < 1e-4  # what is kept
    assert np.abs(event.audio[:, 0]) < 1e-4
    assert np.abs(event.audio[:, -1]) < 1e-4
    assert np.square(event.audio[:, :fade]).sum() < 0.5 * np.square(original[:, :fade]).sum()
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
