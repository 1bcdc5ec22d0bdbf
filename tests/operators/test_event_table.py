from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fabricated_dataset import Event, Member, commit_events, commit_unit, sign

import operators.event_table
from operators.dataset import read_ledger
from operators.event_score import event_scores
from operators.event_table import rebuild_events
from operators.failure import SourceFailure
from operators.schema import EVENT_TABLE_SCHEMA
from operators.verification import verify_dataset

BARK, BARK_AGAIN, HOWL, RAIN = (
    Event("/a.wav", 1.0, presence=0.8, embedding=(1, 0)),
    Event("/b.wav", 5.0, presence=0.9, embedding=(0.99, 0.14)),
    Event("/a.wav", 9.0, presence=0.7, embedding=(0, 1), continued=True),
    Event("/b.wav", 2.0, query="rain", presence=0.6, embedding=(1, 0)),
)


def table_of(out: str) -> pa.Table:
    rows = rebuild_events(out)
    table = pq.read_table(f"{out}/events.parquet")
    assert len(table) == rows
    assert table.schema.equals(EVENT_TABLE_SCHEMA)
    return table


def ranks(table: pa.Table) -> list[tuple[str, int, str]]:
    return [(row["query_id"], row["rank"], row["stem_id"]) for row in table.to_pylist()]


def test_events_are_ranked_within_their_query_and_repetitions_named(tmp_path: Path) -> None:
    commit_events(str(tmp_path), "bb02", [BARK, HOWL])
    commit_events(str(tmp_path), "aa01", [RAIN, BARK_AGAIN])
    rows = table_of(str(tmp_path)).to_pylist()
    assert [(row["query_id"], row["rank"], row["stem_id"], row["duplicate_of"]) for row in rows] == [
        ("dog", 1, BARK_AGAIN.stem_id, None),
        ("dog", 2, BARK.stem_id, BARK_AGAIN.stem_id),
        ("dog", 3, HOWL.stem_id, None),
        ("rain", 1, RAIN.stem_id, None),  # alike, and of another query
    ]
    assert [row["unit_id"] for row in rows] == ["aa01", "bb02", "bb02", "aa01"]
    expected = event_scores(np.array([0.9, 0.8, 0.7, 0.6]), np.full(4, 0.5), np.full(4, -3.0))
    assert [row["score"] for row in rows] == pytest.approx(expected.tolist())
    bark = rows[1]
    assert (bark["event_start_seconds"], bark["event_end_seconds"]) == (1.0, 3.0)
    assert (bark["start_seconds"], bark["end_seconds"]) == (0.75, 3.25)
    assert rows[2]["continued"]
    assert bark["embedding"] == [1.0, 0.0]


def test_equal_scores_are_told_apart_by_presence_then_source_then_start(tmp_path: Path) -> None:
    silent = {"similarity": None, "embedding": None}  # every score is 0
    events = [
        Event("/b.wav", 1.0, presence=0.9, **silent),
        Event("/a.wav", 7.0, presence=0.5, **silent),
        Event("/a.wav", 3.0, presence=0.5, **silent),
        Event("/b.wav", 2.0, presence=0.5, **silent),
    ]
    commit_events(str(tmp_path), "aa01", events)
    rows = table_of(str(tmp_path)).to_pylist()
    assert [(row["source_uri"], row["event_start_seconds"]) for row in rows] == [
        ("/b.wav", 1.0), ("/a.wav", 3.0), ("/a.wav", 7.0), ("/b.wav", 2.0),
    ]  # fmt: skip
    assert {row["score"] for row in rows} == {0.0}
    assert {row["duplicate_of"] for row in rows} == {None}  # without an embedding nothing is alike


def many(count: int) -> list[Event]:
    random_ = np.random.default_rng(0)
    vectors = random_.standard_normal((count, 8))
    vectors[count // 2 :: 2] = vectors[: count // 2 : 2] + 0.05 * random_.standard_normal((count // 4, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        Event(
            f"/{k % 5}.wav", float(k), query="dog rain wind".split()[k % 3], presence=0.5 + 0.1 * (k % 4), embedding=v
        )
        for k, v in enumerate(vectors)
    ]


def commit_in_parts(out: str, events: Sequence[Event], parts: int) -> None:
    for part in range(parts):
        names = {f"/{k}.wav" for k in range(5) if k % parts == part}
        commit_events(out, f"{part:02}", [event for event in events if event.uri in names])


def test_neither_the_order_of_rows_nor_units_nor_the_spool_changes_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = many(60)  # 15 of them sound like one that is half a minute earlier
    commit_in_parts(str(tmp_path / "one"), events, 1)
    one = table_of(str(tmp_path / "one"))
    random.Random(0).shuffle(events)
    commit_in_parts(str(tmp_path / "five"), events, 5)
    monkeypatch.setattr(operators.event_table, "SPOOLED_ROWS", 7)
    five = table_of(str(tmp_path / "five"))
    assert one.drop_columns(["unit_id"]).equals(five.drop_columns(["unit_id"]))
    assert len(one) - one["duplicate_of"].null_count == 15
    for query in ("dog", "rain", "wind"):
        of_query = [row for row in one.to_pylist() if row["query_id"] == query]
        assert [row["rank"] for row in of_query] == list(range(1, 21))
        kept = {row["stem_id"]: row["rank"] for row in of_query if row["duplicate_of"] is None}
        assert all(kept[row["duplicate_of"]] < row["rank"] for row in of_query if row["duplicate_of"])


def test_events_of_a_member_that_another_unit_tells_better_of_are_left_out(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_events(out, "aa01", [BARK, BARK_AGAIN])
    before = ranks(table_of(out))
    commit_events(out, "bb02", [BARK], attempt=2)
    table = table_of(out)
    assert ranks(table) == before
    assert set(zip(table["source_uri"].to_pylist(), table["unit_id"].to_pylist(), strict=True)) == {
        ("/a.wav", "bb02"), ("/b.wav", "aa01"),
    }  # fmt: skip


def test_a_library_without_events_has_an_empty_table(tmp_path: Path) -> None:
    assert len(table_of(str(tmp_path / "new"))) == 0


def test_rows_that_are_no_events_are_refused_and_leave_the_table_as_it_was(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_events(out, "aa01", [BARK])
    before = table_of(out)
    several = commit_unit(out, "bb02", [Member("/c.wav", seconds=130.0)])
    rows = pq.read_table(several.uri)
    footer = pq.read_metadata(several.uri).metadata
    none = rows.set_column(
        rows.schema.get_field_index("events"), rows.schema.field("events"), pa.array([[], [], []], rows["events"].type)
    )
    with pq.ParquetWriter(several.uri, none.schema) as writer:
        writer.write_table(none)
        writer.add_key_value_metadata({b"soundquarry.unit": footer[b"soundquarry.unit"]})
    with pytest.raises(ValueError, match="3 rows of a library that do not hold exactly one event"):
        rebuild_events(out)
    assert pq.read_table(f"{out}/events.parquet").equals(before)
    assert not list(tmp_path.glob(".*.tmp"))


def test_duckdb_and_pandas_open_the_table(tmp_path: Path) -> None:
    duckdb, pandas = pytest.importorskip("duckdb"), pytest.importorskip("pandas")
    commit_events(str(tmp_path), "aa01", [BARK, BARK_AGAIN, replace(HOWL, embedding=None), RAIN])
    file = f"{tmp_path}/events.parquet"
    rebuild_events(str(tmp_path), read_ledger(str(tmp_path)))
    best = duckdb.sql(f"select stem_id, len(embedding) from '{file}' where query_id = 'dog' and rank = 1").fetchall()
    assert best == [(BARK_AGAIN.stem_id, 2)]
    frame = pandas.read_parquet(file)
    assert list(frame[frame.duplicate_of.isna()].stem_id) == [BARK_AGAIN.stem_id, HOWL.stem_id, RAIN.stem_id]


@pytest.mark.parametrize("tiny_disk", ["64k"], indirect=True)
def test_a_temporary_disk_that_is_full_is_named_and_not_the_library(
    tmp_path: Path, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "library")
    sign(out)
    commit_events(out, "aa01", many(60))
    rebuild_events(out)
    monkeypatch.setattr(operators.event_table, "SPOOLED_ROWS", 5)
    monkeypatch.setattr("tempfile.tempdir", str(tiny_disk))
    (tiny_disk / "filling").write_bytes(bytes(60_000))
    with pytest.raises(SourceFailure, match=rf"no space left while writing temporary files in {tiny_disk} .*TMPDIR"):
        rebuild_events(out)
    assert not list((tmp_path / "library").glob(".*.tmp"))
    assert "derived_unmade" in {finding.kind for finding in verify_dataset(out).findings}
