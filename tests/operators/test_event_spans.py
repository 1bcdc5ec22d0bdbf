"""Events: where a query sounds, on a grid of tenths of a second that belongs to the track."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from operators import event_spans
from operators.event_spans import BINS_PER_SECOND, CLOSE_BINS, MIN_BINS, Event, events_of, level_per_bin, to_bins

RATE = 4000


def spans(heard: str, *, level: float = -20.0, start: float = 0.0) -> list[tuple[float, float]]:
    """Events of a picture: '#' is a tenth of a second in which the query is heard."""
    activity = np.array([0.9 if bin == "#" else 0.1 for bin in heard], np.float32)
    levels = np.full(len(heard), level, np.float32)
    events = events_of(activity, levels, levels, 0.5, start_seconds=start)
    return [(event.start_seconds, event.end_seconds) for event in events]


def test_the_example_of_the_docstring_runs() -> None:
    assert doctest.testmod(event_spans).failed == 0


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("", []),
        ("......", []),
        ("######", [(0.0, 0.6)]),
        (".##...", [(0.1, 0.3)]),
        (".#....", []),  # a speck
        ("##...##", [(0.0, 0.7)]),  # a hole of three bins is closed,
        ("##....##", [(0.0, 0.2), (0.6, 0.8)]),  # one of four is not
        ("#..#....", [(0.0, 0.4)]),  # specks that are close make an event
        ("....##", [(0.4, 0.6)]),
    ],
)
def test_holes_are_closed_and_specks_dropped(heard: str, expected: list[tuple[float, float]]) -> None:
    assert spans(heard) == expected


def test_the_time_is_that_of_the_track() -> None:
    assert spans(".##..", start=3600.0) == [(3600.1, 3600.3)]


def test_what_lies_below_the_noise_or_far_below_the_mixture_is_no_event() -> None:
    heard = np.full(30, 0.9, np.float32)
    level = np.repeat(np.array([-20, -60, -30], np.float32), 10)
    mixture = np.repeat(np.array([-10, -20, -10], np.float32), 10)
    events = events_of(heard, level, mixture, 0.5, start_seconds=0.0)
    assert [(event.start_seconds, event.end_seconds) for event in events] == [(0.0, 1.0), (2.0, 3.0)]
    assert spans("####", level=-71.0) == []
    assert spans("####", level=-69.0) == [(0.0, 0.4)]


def test_an_event_tells_its_highest_presence() -> None:
    heard = np.array([0.6, 0.8, 0.7, 0, 0, 0, 0, 0, 0.95, 0.5], np.float32)
    loud = np.full(10, -20, np.float32)
    events = events_of(heard, loud, loud, 0.5, start_seconds=0.0)
    assert [event.presence for event in events] == pytest.approx([0.8, 0.95])
    assert isinstance(events[0], Event)


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(np.bool_, st.integers(1, 80)))
def test_events_are_apart_and_long_enough_and_hold_every_run_of_activity(heard: np.ndarray) -> None:
    found = spans("".join("#" if bin else "." for bin in heard))
    bins = [(round(start * BINS_PER_SECOND), round(end * BINS_PER_SECOND)) for start, end in found]
    assert all(end - start >= MIN_BINS for start, end in bins)
    assert all(heard[start] and heard[end - 1] for start, end in bins)
    assert all(after[0] - before[1] >= CLOSE_BINS for before, after in itertools.pairwise(bins))
    inside = np.zeros(len(heard), bool)
    for start, end in bins:
        inside[start:end] = True
    assert not (heard[:-1] & heard[1:] & ~inside[:-1]).any()


@pytest.mark.parametrize("hop", [128, 256, 4096 * RATE // 32_000, 400])
def test_activity_of_frames_becomes_activity_at_the_same_time(hop: int) -> None:
    """Frames may reach beyond the window: time follows the hop, not the number of frames."""
    window = 10 * RATE
    frames = -(-window // hop) + 2
    time = (np.arange(frames) + 0.5) * hop / RATE
    bins = to_bins(np.stack([time, 2 * time]).astype(np.float32), hop, window, RATE)
    assert bins.shape == (2, 100)
    centres = (np.arange(100) + 0.5) / BINS_PER_SECOND
    inside = centres > time[0]
    assert np.allclose(bins[0, inside], centres[inside], atol=1e-3)
    assert np.allclose(bins[1], 2 * bins[0], atol=1e-3)


def test_the_level_of_a_bin_is_its_power_over_all_channels() -> None:
    stem = np.zeros((2, RATE), np.float32)
    stem[0, : RATE // 10] = 0.1
    level = level_per_bin(stem, RATE)
    assert level.shape == (10,)
    assert level[0] == pytest.approx(-23.01, abs=0.01)
    assert (level[1:] < -119).all()


def test_a_last_shorter_bin_counts_as_one() -> None:
    assert level_per_bin(np.ones((1, RATE + 1), np.float32), RATE).shape == (11,)
