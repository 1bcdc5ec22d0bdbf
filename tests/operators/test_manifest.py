"""Manifests: sources with clips, tracks and tags out of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from made_archives import tar_of, zip_of
from made_manifests import listed, write_manifest, write_text

from operators import manifest_sources
from operators.member import Member
from operators.plan import plan_units
from operators.source import Source

ROWS: list[dict[str, Any]] = [
    {"uri": "a é.wav", "start": 1.5, "end": 3.0, "track": 0, "tags": ["dog", "two words"], "licence": "CC0"},
    {"uri": "sub/b.wav"},
    {"uri": "a é.wav", "end": 2},
    {"uri": "a é.wav", "start": 1.5, "end": 3.0, "track": 0, "tags": ["dog", "two words"], "licence": "CC0"},
]


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a é.wav", "sub/b.wav"):
        (tmp_path / name).write_bytes(b"sound")
    return tmp_path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_are_sources_with_clip_track_and_tags(sounds: Path, kind: str) -> None:
    found = listed(write_manifest(sounds / f"m.{kind}", ROWS))
    assert [(s.uri, s.clip_start_seconds, s.clip_end_seconds, s.track, s.tags) for s in found] == [
        (f"{sounds}/a é.wav", 1.5, 3.0, 0, ("dog", "two words", "licence=CC0")),
        (f"{sounds}/sub/b.wav", 0.0, None, None, ()),
        (f"{sounds}/a é.wav", 0.0, 2.0, None, ()),
    ]
    assert len({Member.whole(source).member_id for source in found}) == 3
    assert found[1] == listed(sounds / "sub/b.wav")[0]


def test_tags_may_be_one_string_and_numbers_may_be_those_of_pandas(sounds: Path) -> None:
    rows = [{"uri": "sub/b.wav", "tags": "a;b", "track": 1.0, "year": 1999, "clean": True, "note": None}]
    assert listed(write_manifest(sounds / "m.jsonl", rows))[0].tags == ("a;b", "year=1999", "clean=true")
    (source,) = listed(write_text(sounds / "m.csv", "\ufeffuri,track, tags\nsub/b.wav,1.0,a; b;;a\n\n"))
    assert (source.track, source.tags) == (1, ("a", "b"))


def test_manifest_in_a_bucket_names_what_lies_beside_it_and_elsewhere(sounds: Path) -> None:
    home = f"memory:///{sounds.name}"
    memory = fsspec.filesystem("memory")
    memory.pipe({f"{home}/x.wav": b"sound", f"{home}/lists/m.csv": f"uri\n../x.wav\n{sounds}/sub/b.wav\n".encode()})
    assert [s.uri for s in listed(f"{home}/lists/m.csv")] == [f"{home}/x.wav", f"{sounds}/sub/b.wav"]


def test_manifest_is_read_only_where_it_is_named(sounds: Path) -> None:
    manifest = write_manifest(sounds / "m.csv", ROWS[1:2])
    assert [s.uri for s in listed(sounds)] == [f"{sounds}/a é.wav", f"{sounds}/sub/b.wav"]
    assert [s.uri for s in listed(sounds / "*.csv")] == [s.uri for s in listed(manifest)] == [f"{sounds}/sub/b.wav"]


def test_rows_keep_their_order_however_many_there_are(sounds: Path) -> None:
    rows = [{"uri": ("a é.wav", "sub/b.wav", "gone.wav")[i % 3], "start": float(i)} for i in range(200)]
    found = listed(write_manifest(sounds / "m.jsonl", rows))
    assert [s.clip_start_seconds for s in found] == list(range(200))
    assert [s.problem is not None for s in found] == [i % 3 == 2 for i in range(200)]


def test_archive_in_a_row_gives_its_tags_to_all_members(sounds: Path) -> None:
    (sounds / "x.tar").write_bytes(tar_of([("in.zip", zip_of([("a.wav", b"1"), ("b.wav", b"2")])), ("c.wav", b"3")]))
    rows = [
        {"uri": "x.tar", "tags": ["all"]},
        {"uri": "zip://b.wav::tar://in.zip::x.tar", "start": 1, "tags": ["one"]},
        {"uri": "tar://in.zip::x.tar", "track": 1},
        {"uri": "x.tar", "end": 5},
        {"uri": "tar://gone.wav::x.tar"},
    ]
    found = listed(write_manifest(sounds / "m.jsonl", rows))
    assert [s.tags for s in found[:3]] == [("all",)] * 3
    assert (found[3].uri, found[3].clip_start_seconds) == (f"zip://b.wav::tar://in.zip::{sounds}/x.tar", 1.0)
    assert found[3].tags == ("one",)
    classes = [s.problem.error_class if s.problem else None for s in found]
    assert classes == [None] * 4 + ["part_of_archive", "part_of_archive", "not_found"]


def test_row_whose_source_cannot_be_read_is_a_source_with_a_problem(sounds: Path) -> None:
    (sounds / "bad.zip").write_bytes(b"no zip" * 99)
    rows = ["gone.wav", "sub", "*.wav", "unheardof://x/y.wav", "bad.zip", "zip://a.wav::bad.zip", "sub/b.wav/c.wav"]
    manifest = write_manifest(sounds / "m.jsonl", [{"uri": uri, "tags": "kept"} for uri in [*rows, "sub/b.wav"]])
    *bad, good = listed(manifest)
    assert [s.problem.error_class if s.problem else None for s in [*bad, good]] == [
        "not_found", "not_a_file", "not_found", "cannot_be_opened", "broken_archive", "broken_archive", "not_found",
        None,
    ]  # fmt: skip
    for source in bad:
        assert source.problem is not None
        assert source.problem.status == "unreadable"
        assert source.tags == ("kept",)
        assert source.uri.rpartition("::")[2] in source.problem.message
    rows = [m for row in plan_units([*bad, good], {}) for m in row["members"]]
    assert [m["error_class"] for m in rows].count(None) == 1


def test_longest_tags_and_the_shortest_clip_are_taken(sounds: Path) -> None:
    tags = ["y" * 1000, *map(str, range(199))]
    rows = [{"uri": "sub/b.wav", "start": 5, "end": 5.001, "tags": tags}, {"uri": "sub/b.wav", "end": 1e7}]
    first, second = listed(write_manifest(sounds / "m.jsonl", rows))
    assert (first.tags, first.clip_end_seconds, second.clip_end_seconds) == (tuple(tags), 5.001, 1e7)


def test_whole_source_covers_its_tracks_that_are_named_later(sounds: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"uri": "sub/b.wav"}, {"uri": "sub/b.wav", "track": 0}, {"uri": "a é.wav", "track": 1, "end": 2},
        {"uri": "a é.wav", "track": 0}, {"uri": "a é.wav", "end": 3},
    ]  # fmt: skip
    found = listed(sounds / "sub", write_manifest(sounds / "m.jsonl", rows))
    assert [(Path(s.uri).name, s.track, s.clip_end_seconds) for s in found] == [
        ("b.wav", None, None), ("a é.wav", 1, 2.0), ("a é.wav", 0, None), ("a é.wav", None, 3.0),
    ]  # fmt: skip


def test_rows_that_go_to_and_fro_between_archives_list_each_of_them_once(
    sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    look = manifest_sources._look
    monkeypatch.setattr(manifest_sources, "_look", lambda home: looks.append(Path(home).name) or look(home))
    for name in ("x.zip", "y.zip", "z.zip"):
        (sounds / name).write_bytes(zip_of([(f"{i}.wav", b"sound") for i in range(100)]))
    rows = [{"uri": f"zip://{i}.wav::{name}"} for i in range(100) for name in ("x.zip", "y.zip")]
    assert len(listed(write_manifest(sounds / "m.csv", rows))) == 200
    assert sorted(looks) == ["x.zip", "y.zip"]
    looks.clear()
    monkeypatch.setattr(manifest_sources, "MEMBERS_KEPT", 220)
    rows = [{"uri": f"zip://{i}.wav::{name}"} for name in ("x.zip", "y.zip", "z.zip", "x.zip") for i in range(50)]
    rows += [{"uri": f"zip://99.wav::{name}"} for name in ("z.zip", "x.zip")]
    assert len(listed(write_manifest(sounds / "m.csv", rows))) == 152
    assert sorted(looks) == ["x.zip", "x.zip", "y.zip", "z.zip"]


def test_manifest_and_what_it_names_may_hold_colons(sounds: Path) -> None:
    (sounds / "a::b.tar").write_bytes(tar_of([("c::d.wav", b"sound")]))
    (sounds / "e::f.wav").write_bytes(b"sound")
    found = listed(write_manifest(sounds / "m::n.csv", [{"uri": "tar://c::d.wav::a::b.tar"}, {"uri": "e::f.wav"}]))
    assert [s.problem and s.problem.error_class for s in found] == ["not_found", None]
    rows = [{"uri": f"tar://c::d.wav::{sounds}/a::b.tar"}, {"uri": "a::b.tar"}]
    (member,) = listed(write_manifest(sounds / "m::n.csv", rows))
    assert (member.uri, member.problem) == (f"tar://c::d.wav::{sounds}/a::b.tar", None)


def test_member_without_clip_and_track_is_what_it_was_before_manifests() -> None:
    assert Member(Source("/a.wav", "1-1", 5)).member_id == "f952c7ce913c31b433cbc892d5aa3f61"
    assert (
        Member.whole(Source("/a.wav", "1-1", 5, tags=("x",))).member_id == Member(Source("/a.wav", "1-1", 5)).member_id
    )
