"""The global window grid: weights add up to one, and what is asked for never depends on how a track is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.window_grid import WindowGrid, overlap_add

GRIDS = st.builds(
    lambda lead, extra: WindowGrid(length=4 * lead + extra, hop=2 * lead + extra, lead=lead),
    st.integers(0, 12),
    st.integers(1, 40),
)
SPANS = st.tuples(st.integers(0, 500), st.integers(1, 300)).map(lambda span: (span[0], span[0] + span[1]))


@settings(max_examples=200, deadline=None)
@given(GRIDS, SPANS)
@example(WindowGrid(length=10, hop=8, lead=1), (0, 16))
def test_weights_add_up_to_one_at_every_sample_of_any_span(grid: WindowGrid, span: tuple[int, int]) -> None:
    start, stop = span
    total = np.zeros((1, stop - start), np.float32)
    ones = np.ones((1, grid.length), np.float32)
    for window in grid.covering(start, stop):
        overlap_add(total, start, ones, window.start, grid.weights(window))
    assert np.allclose(total, 1.0, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(GRIDS, SPANS)
def test_every_window_of_a_span_has_a_positive_weight_in_it(grid: WindowGrid, span: tuple[int, int]) -> None:
    start, stop = span
    for window in grid.covering(start, stop):
        weights = grid.weights(window)
        assert weights.shape == (grid.length,)
        assert weights[max(0, start - window.start) : max(0, stop - window.start)].max(initial=0.0) > 0.0


@settings(max_examples=100, deadline=None)
@given(GRIDS, SPANS, st.integers(0, 2**32 - 1))
def test_overlap_add_of_identity_returns_the_input(grid: WindowGrid, span: tuple[int, int], seed: int) -> None:
    start, stop = span
    margin = grid.context
    track = np.random.default_rng(seed).standard_normal((2, stop + 2 * margin)).astype(np.float32)
    padded = np.pad(track, ((0, 0), (grid.lead, 0)))
    out = np.zeros((2, stop - start), np.float32)
    for window in grid.covering(start, stop):
        first = window.start + grid.lead
        overlap_add(out, start, padded[:, first : first + grid.length], window.start, grid.weights(window))
    assert np.allclose(out, track[:, start:stop], atol=1e-5)


@settings(max_examples=200, deadline=None)
@given(GRIDS, SPANS, SPANS)
def test_covering_a_part_gives_the_windows_of_the_whole(
    grid: WindowGrid, span: tuple[int, int], part: tuple[int, int]
) -> None:
    start, stop = span
    low, high = max(start, min(part[0], stop)), max(start, min(part[1], stop))
    whole, piece = grid.covering(start, stop), grid.covering(low, high)
    assert piece == [window for window in whole if window in piece]
    left, right = grid.covering(start, low), grid.covering(low, stop)
    assert sorted({*left, *right}, key=lambda window: window.index) == whole


@settings(max_examples=100, deadline=None)
@given(GRIDS, SPANS)
def test_the_context_is_enough_for_every_window_to_be_whole(grid: WindowGrid, span: tuple[int, int]) -> None:
    start, stop = span
    for window in grid.covering(start, stop):
        assert window.start >= start - grid.context
        assert window.start + grid.length <= stop + grid.context


def test_the_grid_of_ten_seconds_is_the_one_of_the_design() -> None:
    grid = WindowGrid.of(320_000)
    assert (grid.hop, grid.lead, grid.fade, grid.context) == (256_000, 32_000, 16_000, 320_000)
    assert [window.start / 32_000 for window in grid.covering(0, 20 * 32_000)] == [-1, 7, 15]
    weights = grid.weights(grid.covering(256_000, 256_001)[1])
    assert not weights[:16_000].any()  # half a second of context
    assert weights[15_999 + 32_000] == pytest.approx(1.0, abs=1e-4)  # after a second of cross-fade


def test_the_first_window_fades_in_from_nobody() -> None:
    grid = WindowGrid.of(100)
    assert (grid.weights(grid.covering(0, 1)[0])[grid.lead : grid.lead + 20] == 1.0).all()


def test_nothing_covers_an_empty_span() -> None:
    assert WindowGrid.of(100).covering(30, 30) == []


@pytest.mark.parametrize(("length", "hop", "lead"), [(10, 9, 1), (8, 10, -1), (10, 2, 4), (2, 0, 1)])
def test_a_grid_that_does_not_add_up_is_refused(length: int, hop: int, lead: int) -> None:
    with pytest.raises(ValueError, match=rf"self.hop = {hop}, self.lead = {lead}"):
        WindowGrid(length=length, hop=hop, lead=lead)
