"""Clips and tracks that a manifest asks for, planned and decoded: each is that stretch of the whole file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made_manifests import listed, write_manifest
from made_media import RATE, chirp, encode, ffmpeg, piece_of, plain_decode, span

from operators import plan
from operators.decode import Decode
from operators.failure import LONG_SOURCE
from operators.member import Member
from operators.plan import plan_units
from operators.schema import PLAN_SCHEMA
from operators.standing import MemberOutcome


@pytest.mark.parametrize("small_bytes", [0, 1 << 30], ids=["probed and cut", "in a bucket"])
def test_audio_that_is_asked_for_twice_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bytes: int
) -> None:
    monkeypatch.setattr(plan, "SMALL_SOURCE_BYTES", small_bytes)
    encode(tmp_path / "x.wav", chirp(16_000, 3, 1), 16_000)
    manifest = write_manifest(tmp_path / "m.csv", [{"uri": "x.wav", "track": None}, {"uri": "x.wav", "track": 0}])
    (piece,) = decoded(list(plan_units(listed(tmp_path / "x.wav", manifest), {})), Decode())
    assert (piece["track"], piece["span_samples"]) == (0, 3 * RATE)


def decoded(rows: Sequence[Mapping[str, Any]], decode: Decode) -> list[dict[str, Any]]:
    """The pieces of planned units, in the order of the plan."""
    table = decode(pa.Table.from_pylist(list(rows), schema=PLAN_SCHEMA))
    return [piece_of(piece) for units in table["pieces"] for piece in units]


@pytest.mark.parametrize("name", ["x.flac", "x.m4a"])
@pytest.mark.parametrize("small_bytes", [0, 1 << 30], ids=["probed and cut", "in a bucket"])
def test_clip_in_units_is_that_stretch_of_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, small_bytes: int
) -> None:
    monkeypatch.setattr(plan, "SMALL_SOURCE_BYTES", small_bytes)
    path = encode(tmp_path / name, chirp(44_100, 30), 44_100)
    expected = plain_decode(path, 2)
    clips = [(3.25, 17.5), (6.0, 12.0), (20.0, 99.0), (8.0, None)]
    manifest = [{"uri": name, "start": a, "end": b, "tags": [f"{a:g}"]} for a, b in clips]
    sources = listed(write_manifest(tmp_path / "m.parquet", manifest))
    rows = list(plan_units(sources, {}, unit_seconds=6.0))
    members = [member for row in rows for member in row["members"]]
    if not small_bytes:
        spans = [(m["start_seconds"], m["end_seconds"]) for m in members]
        assert spans[:4] == [(3.25, 6.0), (6.0, 12.0), (12.0, 17.5), (6.0, 12.0)]
        assert spans[4:6] == [(20.0, 24.0), (24.0, 99.0)]
        assert [row["seconds"] for row in rows[:3]] == [2.75, 6.0, 5.5]
    assert len({member["member_id"] for member in members}) == len(members)
    pieces = decoded(rows, Decode(unit_seconds=6.0, context_seconds=1.0))
    for start, end in clips:
        mine = [p for p in pieces if (p["clip_start_seconds"], p["clip_end_seconds"]) == (start, end)]
        assert {(p["status"], *p["tags"]) for p in mine} == {("ok", f"{start:g}")}
        stop = None if end is None else round(end * RATE)
        stretch = expected[round(start * RATE) : stop]
        units = np.concatenate([span(p) for p in mine])
        assert units.shape == stretch.shape
        assert np.abs(units - stretch).max() <= 1e-5


@pytest.mark.parametrize("small_bytes", [0, 1 << 30], ids=["probed and cut", "in a bucket"])
def test_track_is_the_only_one_taken_and_one_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bytes: int
) -> None:
    monkeypatch.setattr(plan, "SMALL_SOURCE_BYTES", small_bytes)
    one = encode(tmp_path / "one.wav", chirp(16_000, 3, 1), 16_000)
    two = encode(tmp_path / "two.wav", chirp(16_000, 2, 2), 16_000)
    ffmpeg("-i", str(one), "-i", str(two), "-map", "0", "-map", "1", "-c:a", "flac", str(tmp_path / "both.mkv"))
    manifest = write_manifest(tmp_path / "m.csv", [{"uri": "both.mkv", "track": 1}, {"uri": "both.mkv", "track": 2}])
    good, bad = decoded(list(plan_units(listed(manifest), {})), Decode())
    assert (good["track"], good["channels"], good["status"]) == (1, 2, "ok")
    assert (bad["status"], bad["error_class"]) == ("failed", "no_such_track")
    assert "audio track 2 was asked for, it has 2" in bad["message"]


@pytest.mark.parametrize("small_bytes", [0, 1 << 30], ids=["probed and cut", "in a bucket"])
def test_clip_behind_the_end_is_a_failure_with_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bytes: int
) -> None:
    monkeypatch.setattr(plan, "SMALL_SOURCE_BYTES", small_bytes)
    encode(tmp_path / "x.wav", chirp(16_000, 3, 1), 16_000)
    rows = [{"uri": "x.wav", "start": start, "end": 1e7} for start in (3.0, 9e6, 2.0)]
    sources = listed(write_manifest(tmp_path / "m.jsonl", rows))
    pieces = decoded(list(plan_units(sources, {})), Decode())
    by_start = {p["clip_start_seconds"]: p for p in pieces}
    for start in (3.0, 9e6):
        assert (by_start[start]["status"], by_start[start]["error_class"]) == ("failed", "clip_outside")
        assert "audio track 0 ends at 3 s" in by_start[start]["message"]
        assert f"begins at {start:g} s" in by_start[start]["message"]
    assert (by_start[2.0]["status"], by_start[2.0]["span_samples"]) == ("ok", RATE)


def test_clips_of_a_small_file_of_many_hours_are_taken_and_the_rest_is_left_to_the_planner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operators.decode.LONGEST_UNCUT_BYTES", 4 * RATE * 4)
    encode(tmp_path / "x.flac", chirp(16_000, 9, 1), 16_000)
    rows = [{"uri": "x.flac", "start": 1, "end": 3}, {"uri": "x.flac", "start": 1, "track": 0}]
    sources = listed(write_manifest(tmp_path / "m.csv", rows))
    short, long = decoded(list(plan_units(sources, {}, unit_seconds=4.0)), Decode())
    assert (short["status"], long["error_class"], long["track"]) == ("ok", LONG_SOURCE, None)
    committed = {Member.whole(sources[1]).member_id: MemberOutcome("failed", LONG_SOURCE, 1)}
    cut = [m for row in plan_units(sources[1:], committed, unit_seconds=4.0) for m in row["members"]]
    assert [(m["start_seconds"], m["end_seconds"]) for m in cut] == [(1.0, 4.0), (4.0, 8.0), (8.0, None)]
    assert all(m["clip_start_seconds"] == 1.0 and m["clip_end_seconds"] is None for m in cut)
