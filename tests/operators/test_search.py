from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fabricated_dataset import Event, Member, commit_events, commit_unit, sign

from operators.derived import rebuild_derived
from operators.search import (
    COLUMNS,
    NEGATIVE_WEIGHT,
    NothingToSearchError,
    Search,
    SearchError,
    Sought,
    Vectors,
    searchable_rows,
)

EAST, NORTH, WEST = np.float32([1, 0]), np.float32([0, 1]), np.float32([-1, 0])
NOTHING = np.empty((0, 2), np.float32)
WORDS = {"east": EAST, "north": NORTH, "west": WEST}


def embed_texts(texts: Sequence[str]) -> Vectors:
    """A tower that knows three words."""
    return np.stack([WORDS[text] for text in texts])


def direction(degrees: float) -> tuple[float, float]:
    return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))


def event(start: float, degrees: float, query: str = "dog", text: str = "north") -> Event:
    return Event("/a.wav", start, query=query, query_text=text, embedding=direction(degrees))


def library(path: Path, events: list[Event]) -> str:
    out = str(path)
    sign(out)
    if events:
        commit_events(out, "aa01", events)
    rebuild_derived(out)
    return out


def starts(search: Search, out: str, count: int = 10, *, duplicates: bool = True) -> list[float]:
    return [hit.start_seconds for hit in search.top(searchable_rows(out, duplicates=duplicates), count)]


def test_the_nearest_events_come_first_with_their_own_times(tmp_path: Path) -> None:
    out = library(tmp_path, [event(3, 80), event(6, 10), event(9, 40), replace(event(12, 0), embedding=None)])
    search = Search(Sought(EAST, NOTHING), embed_texts, wording_share=0.0)
    hits = search.top(searchable_rows(out), 2)
    assert [(hit.rank, hit.start_seconds, hit.end_seconds) for hit in hits] == [(1, 6.0, 8.0), (2, 9.0, 11.0)]
    best = hits[0]
    assert (best.query_id, best.query_text, best.source_uri, best.track) == ("dog", "north", "/a.wav", 0)
    assert best.stem_id == event(6, 10).stem_id
    assert best.score == best.similarity == pytest.approx(np.cos(np.radians(10)), abs=1e-3)
    assert starts(search, out) == [6.0, 9.0, 3.0]  # what has no embedding is not found


def test_the_wording_of_the_query_counts_with_its_share(tmp_path: Path) -> None:
    out = library(tmp_path, [event(3, 30, "cat", "north"), event(6, 60, "dog", "east")])
    assert starts(Search(Sought(EAST, NOTHING), embed_texts, wording_share=0.0), out) == [3.0, 6.0]
    assert starts(Search(Sought(EAST, NOTHING), embed_texts, wording_share=0.5), out) == [6.0, 3.0]
    (best,) = Search(Sought(EAST, NOTHING), embed_texts, wording_share=0.25).top(searchable_rows(out), 1)
    assert (best.start_seconds, best.similarity) == (3.0, pytest.approx(0.866, abs=1e-3))
    assert best.score == pytest.approx(0.75 * 0.866, abs=1e-3)


def test_what_is_unwanted_lowers_the_score_and_what_is_opposite_does_not_raise_it(tmp_path: Path) -> None:
    out = library(tmp_path, [event(3, 45), event(6, -50)])
    assert starts(Search(Sought(EAST, NOTHING), embed_texts, wording_share=0.0), out) == [3.0, 6.0]
    hits = Search(Sought(EAST, np.stack([NORTH, WEST])), embed_texts, wording_share=0.0).top(searchable_rows(out), 2)
    assert [hit.start_seconds for hit in hits] == [6.0, 3.0]
    assert hits[0].score == hits[0].similarity
    assert hits[1].score == pytest.approx((1 - NEGATIVE_WEIGHT) * hits[1].similarity, abs=1e-3)


def test_one_query_can_be_searched_alone_and_an_unknown_one_is_told_of(tmp_path: Path) -> None:
    out = library(tmp_path, [event(3, 0, "cat"), event(6, 60, "dog")])
    assert starts(Search(Sought(EAST, NOTHING), embed_texts, query_id="dog"), out) == [6.0]
    with pytest.raises(SearchError, match="no row has the query 'cow'; there are cat, dog"):
        starts(Search(Sought(EAST, NOTHING), embed_texts, query_id="cow"), out)


def test_repetitions_can_be_left_out_of_a_library_only(tmp_path: Path) -> None:
    events = [event(3, 0), replace(event(6, 1), presence=0.95), event(9, 50)]
    out = library(tmp_path / "library", events)
    search = Search(Sought(EAST, NOTHING), embed_texts)
    assert starts(search, out) == [3.0, 6.0, 9.0]
    assert starts(search, out, duplicates=False) == [6.0, 9.0]  # the better one of the two is kept
    stems = str(tmp_path / "stems")
    sign(stems, kind="extract")
    commit_unit(stems, "aa01", [Member("/a.wav")])
    with pytest.raises(SearchError, match="is no library"):
        list(searchable_rows(stems, duplicates=False))


def test_rows_of_stems_are_searched_without_those_that_no_longer_count(tmp_path: Path) -> None:
    out = str(tmp_path)
    sign(out, kind="extract")
    shared = Member("/b.wav", seconds=70.0)
    commit_unit(out, "aa01", [Member("/a.wav"), shared])
    commit_unit(out, "bb02", [shared], attempt=2)
    tables = list(searchable_rows(out))
    assert all(table.column_names == list(COLUMNS) for table in tables)
    ids = [stem_id for table in tables for stem_id in table["stem_id"].to_pylist()]
    assert sorted(ids) == ["/a.wav|v1|0|dog|0", "/b.wav|v1|0|dog|0", "/b.wav|v1|0|dog|60"]


@pytest.mark.parametrize("count", [1, 3, 8, 20, 100])
def test_pieces_change_nothing_and_ties_are_broken_by_place(count: int, tmp_path: Path) -> None:
    events = [event(float(3 * k), 15.0 * (k * 7 % 6), "cat" if k % 2 else "dog") for k in range(20)]
    out = library(tmp_path, events)
    (table,) = searchable_rows(out)
    search = Search(Sought(NORTH, NOTHING), embed_texts)
    whole = search.top([table], count)
    assert whole == search.top([table.slice(k, 3) for k in reversed(range(0, 20, 3))], count)
    assert [hit.rank for hit in whole] == list(range(1, min(count, 20) + 1))
    order = [(-hit.score, hit.start_seconds) for hit in whole]
    assert order == sorted(order)


def test_what_holds_nothing_to_find_says_why(tmp_path: Path) -> None:
    search = Search(Sought(EAST, NOTHING), embed_texts)
    with pytest.raises(NothingToSearchError, match="it has no rows"):
        starts(search, library(tmp_path / "empty", []))
    mute = [replace(event(start, 0), embedding=None) for start in (3.0, 6.0)]
    with pytest.raises(NothingToSearchError, match="its 2 rows have no embedding"):
        starts(search, library(tmp_path / "mute", mute))
    other = [replace(event(3, 0), embedding=(1.0, 0.0, 0.0))]
    with pytest.raises(NothingToSearchError, match="embeddings of 3 numbers, the model's have 2"):
        starts(search, library(tmp_path / "other", other))


def test_a_library_whose_table_is_missing_is_told_of(tmp_path: Path) -> None:
    out = library(tmp_path, [event(3, 0)])
    (tmp_path / "events.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"events\.parquet is missing.*run the same command again"):
        list(searchable_rows(out))


def test_a_table_that_is_older_than_the_events_is_searched_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = library(tmp_path, [event(3, 0)])
    search = Search(Sought(EAST, NOTHING), embed_texts)
    assert starts(search, out) == [3.0]
    assert caplog.messages == []
    commit_events(out, "bb02", [replace(event(6, 0), uri="/b.wav")])
    assert starts(search, out) == [3.0]
    (said,) = caplog.messages
    assert "events.parquet tells of 1 events and 2 are committed" in said
    assert "run the same command again" in said
    rebuild_derived(out)
    assert starts(search, out) == [3.0, 6.0]
    assert len(caplog.messages) == 1
