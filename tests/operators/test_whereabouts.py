from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fabricated_dataset import Member, commit_unit, write_plan

from operators.dataset import read_ledger, rebuild_sources
from operators.schema import LISTING_SCHEMA
from operators.whereabouts import Whereabouts, read_listings, whereabouts, write_listing

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def columns(out: str) -> dict[tuple[str, str], tuple[datetime | None, str | None]]:
    rows = rebuild_sources(out).to_pylist()
    return {(row["source_uri"], row["source_version"]): (row["deleted_at"], row["newer_version"]) for row in rows}


def test_a_version_is_replaced_by_the_one_of_a_later_run(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_unit(out, "aa01", [Member("/a.wav", version="v1"), Member("/b.wav")], run_id="run-1")
    commit_unit(out, "bb02", [Member("/a.wav", version="v2")], run_id="run-2")
    latest = (None, None)
    assert columns(out) == {("/a.wav", "v1"): (None, "v2"), ("/a.wav", "v2"): latest, ("/b.wav", "v1"): latest}


def test_the_latest_word_counts_whether_it_is_of_a_listing_or_of_a_commit(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_unit(out, "aa01", [Member("/a.wav", version="v1")], run_id="run-1")
    write_listing(out, "run-2", {"/a.wav": Whereabouts("run-2", "v1", NOON)})
    assert columns(out) == {("/a.wav", "v1"): (NOON, None)}
    commit_unit(out, "bb02", [Member("/a.wav", version="v2")], run_id="run-3")
    assert columns(out) == {("/a.wav", "v1"): (None, "v2"), ("/a.wav", "v2"): (None, None)}
    write_listing(out, "run-4", {"/a.wav": Whereabouts("run-4", "v1")})
    assert columns(out) == {("/a.wav", "v1"): (None, None), ("/a.wav", "v2"): (None, "v1")}
    write_listing(out, "run-5", {"/a.wav": Whereabouts("run-5", "v1", NOON)})
    assert columns(out) == {("/a.wav", "v1"): (NOON, None), ("/a.wav", "v2"): (NOON, "v1")}


def test_a_failure_without_a_version_says_nothing_of_the_version_that_was_read(tmp_path: Path) -> None:
    out = str(tmp_path)
    missing = Member("/a.wav", version="", status="unreadable", error_class="not_found")
    commit_unit(out, "aa01", [missing], run_id="run-3")
    assert columns(out) == {("/a.wav", ""): (None, None)}
    commit_unit(out, "bb02", [Member("/a.wav", version="v1")], run_id="run-2")
    # The failure of the source as a whole has stopped counting.
    assert columns(out) == {("/a.wav", "v1"): (None, None)}
    write_listing(out, "run-3", {"/a.wav": Whereabouts("run-3", "v1", NOON)})
    assert columns(out) == {("/a.wav", "v1"): (NOON, None)}


def test_a_listing_is_a_table_of_what_is_otherwise_and_no_file_when_that_is_nothing(tmp_path: Path) -> None:
    write_listing(str(tmp_path), "run-1", {})
    assert list(tmp_path.iterdir()) == []
    words = {"/b.wav": Whereabouts("run-2", "v1", NOON), "/a.wav": Whereabouts("run-2", "v2")}
    write_listing(str(tmp_path), "run-2", words)
    table = pq.read_table(tmp_path / "listings" / "run-2.parquet")
    assert table.schema.equals(LISTING_SCHEMA)
    assert table["source_uri"].to_pylist() == ["/a.wav", "/b.wav"]
    assert read_listings(str(tmp_path)) == words


def test_what_was_planned_and_never_committed_is_known_when_it_is_asked_for(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_unit(out, "aa01", [Member("/a.wav")], run_id="run-1")
    write_plan(out, {"aa01": [Member("/a.wav")], "bb02": [Member("/left.wav")]}, name="run-1")
    write_plan(out, {"cc03": [Member("/a.wav", version="v2")]}, name="run-2")
    assert set(whereabouts(out, read_ledger(out))) == {"/a.wav"}
    known = whereabouts(out, read_ledger(out), planned=True)
    assert known == {"/a.wav": Whereabouts("run-2", "v2"), "/left.wav": Whereabouts("run-1", "v1")}


@pytest.mark.parametrize("damage", [b"cut off", None])
def test_a_listing_that_cannot_be_read_is_named(tmp_path: Path, damage: bytes | None) -> None:
    out = str(tmp_path)
    write_listing(out, "run-1", {"/a.wav": Whereabouts("run-1", "v1")})
    file = tmp_path / "listings" / "run-1.parquet"
    if damage is None:
        pq.write_table(pq.read_table(file).drop_columns(["deleted_at"]), file)
    else:
        file.write_bytes(damage)
    with pytest.raises(OSError, match=r"run-1\.parquet is not of this version, or damaged"):
        read_listings(out)
