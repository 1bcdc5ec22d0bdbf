"""Planning: spans at multiples of the unit length, stable groups, nothing lost and nothing done twice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
from made_media import RATE, chirp, encode, ffmpeg, source_of

from operators import plan
from operators.buckets import BUCKETS, UNIT_PCM_BYTES, bucket_of, decoded_bytes
from operators.failure import LONG_SOURCE, SourceFailure
from operators.member import Member
from operators.plan import RetryPolicy, plan_units, write_plan
from operators.schema import PLAN_SCHEMA
from operators.source import Source
from operators.sources import list_sources
from operators.standing import MemberOutcome

CLIPS = [Source(f"/clips/{index}.wav", "1", 100_000) for index in range(500)]


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SMALL_SOURCE_BYTES", 0)


def rows_of(sources: Iterable[Source], committed: Mapping[str, MemberOutcome] | None = None, **options: Any) -> Any:
    return list(plan_units(sources, committed or {}, **options))


def member_ids(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return [member["member_id"] for row in rows for member in row["members"]]


def spans(rows: Iterable[Mapping[str, Any]]) -> list[tuple[int | None, float, float | None]]:
    return [(m["track"], m["start_seconds"], m["end_seconds"]) for row in rows for m in row["members"]]


@pytest.mark.usefixtures("everything_is_large")
def test_tracks_are_cut_at_multiples_of_the_unit_length_and_the_last_span_is_open(tmp_path: Path) -> None:
    one = encode(tmp_path / "one.wav", chirp(16_000, 20, 1), 16_000)
    two = encode(tmp_path / "two.wav", chirp(16_000, 9, 2), 16_000)
    both = tmp_path / "both.mov"
    ffmpeg("-i", str(one), "-i", str(two), "-map", "0", "-map", "1", str(both))
    rows = rows_of([source_of(both)], unit_seconds=7.3)
    assert spans(rows) == [(0, 0.0, 7.3), (0, 7.3, 14.6), (0, 14.6, None), (1, 0.0, 7.3), (1, 7.3, None)]
    assert [row["seconds"] for row in rows] == pytest.approx([7.3, 7.3, 5.4, 7.3, 1.7], abs=0.01)
    assert all(row["attempt"] == 1 and len(row["unit_id"]) == 32 for row in rows)


@pytest.mark.usefixtures("everything_is_large")
def test_many_channels_make_shorter_units(tmp_path: Path) -> None:
    source = source_of(encode(tmp_path / "x.wav", chirp(8000, 40, 6), 8000))
    most = 30 * 6 * 4 * RATE
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(plan, "UNIT_PCM_BYTES", most - 1)
        assert spans(rows_of([source], unit_seconds=30.0)) == [(0, 0.0, 15.0), (0, 15.0, 30.0), (0, 30.0, None)]


def test_ten_minutes_of_surround_fit_into_two_units() -> None:
    assert 300 * 6 * 4 * RATE <= UNIT_PCM_BYTES < 600 * 6 * 4 * RATE


@pytest.mark.usefixtures("everything_is_large")
def test_source_that_cannot_be_probed_is_a_unit_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "bad.mp3").write_bytes(b"no sound" * 100)
    encode(tmp_path / "good.wav", chirp(8000, 1), 8000)
    bad, good = rows_of(list_sources([str(tmp_path)]))
    (member,) = bad["members"]
    assert (member["status"], member["error_class"], member["stage"]) == ("unreadable", "not_media", "probe")
    assert str(tmp_path / "bad.mp3") in member["message"]
    assert good["members"][0]["status"] is None


def test_problem_found_while_listing_is_a_unit_of_its_own() -> None:
    problem = SourceFailure(status="unreadable", error_class="broken_archive", message="repack it", stage="list")
    (row,) = rows_of([Source("/x.tar", "1", 5, problem=problem)])
    assert row["members"][0]["message"] == "repack it"


def test_small_sources_are_grouped_without_a_look_at_them() -> None:
    rows = rows_of(CLIPS)
    assert sorted(m["source_uri"] for row in rows for m in row["members"]) == sorted(s.uri for s in CLIPS)
    for row in rows:
        assert len({bucket_of(member["source_uri"]) for member in row["members"]}) == 1
        assert all(m["track"] is None and m["end_seconds"] is None for m in row["members"])


def test_small_source_that_was_found_to_be_long_is_cut_by_the_next_run(tmp_path: Path) -> None:
    source = source_of(encode(tmp_path / "x.flac", chirp(16_000, 9, 1), 16_000))
    committed = {Member(source).member_id: MemberOutcome("failed", LONG_SOURCE, 1)}
    rows = rows_of([source], committed, unit_seconds=5.0)
    assert spans(rows) == [(0, 0.0, 5.0), (0, 5.0, None)]
    done = {member_id: MemberOutcome("ok", None, 1) for member_id in member_ids(rows)}
    assert rows_of([source], committed | done, unit_seconds=5.0) == []


def test_new_file_moves_no_other_files_unit() -> None:
    before, new = rows_of(CLIPS), Source("/clips/new.wav", "1", 100_000)
    after = rows_of([*CLIPS, new])
    moved = {r["unit_id"] for r in before} ^ {r["unit_id"] for r in after}
    assert len(moved) <= 3
    assert 0 <= bucket_of(new.uri) < BUCKETS


def test_full_bucket_is_split_by_what_it_takes_decoded() -> None:
    uri = next(f"/clips/{i}.mp3" for i in range(100_000) if bucket_of(f"/clips/{i}.mp3") == 7)
    same = [Source(uri, str(version), 3 << 20) for version in range(10)]  # as many versions: one bucket
    rows = rows_of(same)
    assert len(member_ids(rows)) == 10
    assert len(rows) == math.ceil(10 / (UNIT_PCM_BYTES // decoded_bytes(uri, 3 << 20)))


def test_short_clips_of_a_file_share_a_unit() -> None:
    clips = [Source("/x.mp3", "1", 7 << 20, None, float(i), i + 1.0) for i in range(20)]
    assert len(rows_of(clips)) == 1
    assert len(rows_of([Source("/x.mp3", str(i), 7 << 20) for i in range(20)])) == 20


def test_what_is_committed_is_not_planned_again() -> None:
    first = rows_of(CLIPS[:400])
    committed = dict.fromkeys(member_ids(first), MemberOutcome("ok", None, 1))
    rest = rows_of(CLIPS, committed)
    assert set(member_ids(rest)) == {Member(source).member_id for source in CLIPS[400:]}
    assert rows_of(CLIPS, committed | dict.fromkeys(member_ids(rest), MemberOutcome("no_audio", "x", 1))) == []


@pytest.mark.parametrize("small_bytes", [0, 1 << 30], ids=["probed and cut", "in a bucket"])
def test_member_that_comes_twice_is_planned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bytes: int
) -> None:
    monkeypatch.setattr(plan, "SMALL_SOURCE_BYTES", small_bytes)
    source = source_of(encode(tmp_path / "x.wav", chirp(16_000, 3), 16_000))
    again = source if small_bytes else replace(source, track=0)
    rows = rows_of([source, again], unit_seconds=2.0)
    assert len(rows) == (1 if small_bytes else 2)
    assert len(set(member_ids(rows))) == len(member_ids(rows)) == len(rows)


def test_changed_source_is_planned_again() -> None:
    committed = {Member(CLIPS[0]).member_id: MemberOutcome("ok", None, 1)}
    assert rows_of([CLIPS[0]], committed) == []
    assert len(rows_of([Source(CLIPS[0].uri, "2", 100_000)], committed)) == 1


@pytest.mark.parametrize(
    ("outcome", "retry", "attempt"),
    [
        (MemberOutcome("failed", "timeout", 1), RetryPolicy(), 2),
        (MemberOutcome("failed", "throttled", 3), RetryPolicy(), None),
        (MemberOutcome("failed", "throttled", 3), RetryPolicy(failed=True), 4),
        (MemberOutcome("unreadable", "no_index", 1), RetryPolicy(), None),
        (MemberOutcome("unreadable", "no_index", 1), RetryPolicy(failed=True), 2),
        (MemberOutcome("partial", "truncated", 1), RetryPolicy(failed=True), 2),
        (MemberOutcome("ok", None, 1), RetryPolicy(failed=True), None),
        (MemberOutcome("no_audio", "no_audio_track", 1), RetryPolicy(failed=True), None),
    ],
)
def test_failures_are_tried_again_as_they_deserve(
    outcome: MemberOutcome, retry: RetryPolicy, attempt: int | None
) -> None:
    rows = rows_of([CLIPS[0]], {Member(CLIPS[0]).member_id: outcome}, retry=retry)
    assert [row["attempt"] for row in rows] == ([] if attempt is None else [attempt])


@pytest.mark.usefixtures("everything_is_large")
def test_remote_sources_are_probed_in_place(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4", chirp(44_100, 20), 44_100)  # its index lies at the end
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/x.mp4", path.read_bytes())
    rows = rows_of(list_sources([f"memory://{tmp_path.name}/x.mp4"]), unit_seconds=15)
    assert spans(rows) == [(0, 0.0, 15), (0, 15, None)]


@pytest.mark.usefixtures("everything_is_large")
def test_remote_source_that_is_gone_says_so() -> None:
    (row,) = rows_of([Source("memory:///nowhere/x.mp4", "1", 1000)])
    assert (row["members"][0]["error_class"], row["members"][0]["stage"]) == ("vanished", "fetch")


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_plan_is_written_whole(tmp_path: Path, scheme: str) -> None:
    rows = rows_of(CLIPS)
    uri = write_plan(iter(rows), f"{scheme}{tmp_path}/out", "run-1")
    assert uri == f"{scheme}{tmp_path}/out/plan/run-1.parquet"
    with fsspec.open(uri, "rb") as file:
        table = pq.read_table(file)
    assert table.schema.equals(PLAN_SCHEMA)
    assert table.to_pylist() == rows


def test_plan_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterable[Mapping[str, Any]]:
        yield rows_of(CLIPS[:1])[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_plan(broken(), str(tmp_path), "run-1")
    assert not list(tmp_path.glob("plan/*.parquet"))
