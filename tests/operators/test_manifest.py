"""Manifests: sources with clips, tracks and tags out of tables, and what is said of tables that cannot be followed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_archives import tar_of, zip_of
from made_media import RATE, chirp, encode, ffmpeg, piece_of, plain_decode, span

from operators import manifest_sources, plan
from operators.decode import Decode
from operators.failure import LONG_SOURCE
from operators.manifest_rows import ManifestError
from operators.member import Member
from operators.plan import plan_units
from operators.schema import PLAN_SCHEMA
from operators.source import Source
from operators.sources import SourcesNotFoundError, list_sources
from operators.standing import MemberOutcome

ROWS: list[dict[str, Any]] = [
    {"uri": "a é.wav", "start": 1.5, "end": 3.0, "track": 0, "tags": ["dog", "two words"], "licence": "CC0"},
    {"uri": "sub/b.wav"},
    {"uri": "a é.wav", "end": 2},
    {"uri": "a é.wav", "start": 1.5, "end": 3.0, "track": 0, "tags": ["dog", "two words"], "licence": "CC0"},
]


def write_manifest(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The rows as the kind of table that the path's extension names."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows]), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:

        def text(value: Any) -> str:
            return ";".join(value) if isinstance(value, list) else "" if value is None else str(value)

        lines = [names, *([text(row.get(name)) for name in names] for row in rows)]
        path.write_text("".join(",".join(line) + "\n" for line in lines), "utf-8")
    return path


def write_text(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def listed(*patterns: Path | str) -> list[Source]:
    return list(list_sources([str(pattern) for pattern in patterns]))


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


WRONG = [
    ("m.csv", "path,start\nx.wav,1\n", "no column 'uri' (found: path, start)"),
    ("m.csv", "", "no column 'uri' (found: nothing)"),
    ("m.csv", "uri,start\n", "no entries"),
    ("m.csv", "uri,start\n\"x\n.wav\",1\nx.wav,abc\n", "line 4: start 'abc' is not a number"),
    ("m.csv", "uri,start\nx.wav,nan\n", "line 2: start 'nan' is not a number"),
    ("m.csv", "uri,start\nx.wav,-1\n", "line 2: start '-1' is negative"),
    ("m.csv", "uri,start,end\nx.wav,5,5.0\n", "line 2: end 5.0 is not after start 5"),
    ("m.csv", "uri,start,end\nx.wav,5,5.0004\n", "line 2: end 5.0004 is less than 0.001 s after start 5.0"),
    ("m.csv", "uri,start\nx.wav,1e17\n", "line 2: start '1e17' is beyond 10000000 s"),
    ("m.jsonl", '{"uri": "x.wav", "end": 1e300}\n', "line 1: end 1e+300 is beyond 10000000 s"),
    ("m.jsonl", '{"uri": "x.wav", "tags": ["a\\u0000b"]}\n', "tag 'a\\x00b' holds the control character U+0000"),
    ("m.csv", 'uri,text\nx.wav,"a\nb"\n', "line 3: tag 'text=a\\nb' holds the control character U+000A"),
    ("m.csv", f"uri,tags\nx.wav,{'y' * 1001}\n", "has 1001 characters, a tag has at most 1000"),
    ("m.csv", f"uri,tags\nx.wav,{';'.join(map(str, range(201)))}\n", "line 2: number of tags 201 is more than 200"),
    ("m.jsonl", json.dumps({"uri": "x.wav", "tags": ["é" * 990 + str(i) for i in range(99)]}),
     "line 1: bytes of all tags 196404 is more than 100000"),
    ("m.csv", "uri,track\nx.wav,1.5\n", "line 2: track '1.5' is not an audio track"),
    ("m.csv", "uri,track\nx.wav,-1\n", "line 2: track '-1' is not an audio track"),
    ("m.csv", "uri,track\nx.wav\n", "line 2: 1 values for the 2 columns"),
    ("m.csv", ",uri\n0,x.wav\n", "column 1 has no name"),
    ("m.csv", "uri,uri\nx.wav,y.wav\n", "'uri' is there 2 times"),
    ("m.csv", "uri\n\"x.wav\n", "not CSV"),
    ("m.csv", "uri\nx.wav\n\xe9.wav\n".encode("latin-1"), "line 3: not UTF-8 (byte 0xe9)"),
    ("m.csv", b"x" * (1 << 20), "line 1: longer than 1048576 bytes"),
    ("m.csv", "uri,tags\n ,x\n", "line 2: uri ' ' is no address"),
    ("m.jsonl", "", "no entries"),
    ("m.jsonl", '{"uri": "x.wav"}\n{"uri": \n', "line 2: not JSON"),
    ("m.jsonl", "[1]\n", "line 1: list instead of an object"),
    ("m.jsonl", '{"path": "x.wav"}\n', "line 1: uri None is no address"),
    ("m.jsonl", '{"uri": "x.wav", "start": true}\n', "line 1: start True is not a number"),
    ("m.jsonl", '{"uri": "x.wav", "end": NaN}\n', "line 1: end nan is not a number"),
    ("m.jsonl", '{"uri": "x.wav", "tags": [1]}\n', "line 1: tags [1] is no list of strings"),
    ("m.jsonl", '{"uri": "x.wav", "box": {"a": 1}}\n', "line 1: box {'a': 1} cannot be a tag"),
    ("m.jsonl", '{"uri": "x.wav", "tags": ["\\ud800"]}\n', "is not text"),
    ("m.parquet", b"PAR1 or not", "not a whole Parquet file"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "said"), WRONG, ids=[said[:40] for _, _, said in WRONG])
def test_wrong_manifest_is_an_error_of_the_job_before_the_first_source(
    sounds: Path, name: str, text: str | bytes, said: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        list_sources([str(sounds / "sub"), str(write_text(sounds / name, text))])
    assert str(caught.value).startswith(f"{sounds}/{name}")
    assert said in str(caught.value)


def test_wrong_parquet_is_told_by_row(sounds: Path) -> None:
    for rows, said in (
        ([{"path": "x.wav"}], "no column 'uri' (found: path)"),
        ([{"uri": "x.wav", "end": 1.0}, {"uri": "x.wav", "end": -1.0}], "row 2: end -1.0 is negative"),
        ([{"uri": "x.wav", "cover": b"\xff"}], "row 1: cover b'\\xff' cannot be a tag"),
    ):
        with pytest.raises(ManifestError) as caught:
            listed(write_manifest(sounds / "m.parquet", rows))
        assert said in str(caught.value)


def test_manifest_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(SourcesNotFoundError, match=r"gone\.csv"):
        listed(tmp_path / "gone.csv")


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


def test_whole_source_after_one_of_its_tracks_is_refused(sounds: Path) -> None:
    manifest = write_manifest(sounds / "m.jsonl", [{"uri": "sub/b.wav", "track": 0}, {"uri": "gone.wav", "track": 0}])
    with pytest.raises(ManifestError, match="name the whole first") as caught:
        listed(manifest, sounds / "sub")
    assert str(caught.value).startswith(f"{sounds}/sub/b.wav: ")
    gone = write_manifest(sounds / "gone.jsonl", [{"uri": "gone.wav", "track": 0}, {"uri": "gone.wav"}])
    assert len(listed(gone)) == 2


@pytest.mark.parametrize("small_bytes", [0, 1 << 30], ids=["probed and cut", "in a bucket"])
def test_audio_that_is_asked_for_twice_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bytes: int
) -> None:
    monkeypatch.setattr(plan, "SMALL_SOURCE_BYTES", small_bytes)
    encode(tmp_path / "x.wav", chirp(16_000, 3, 1), 16_000)
    manifest = write_manifest(tmp_path / "m.csv", [{"uri": "x.wav", "track": None}, {"uri": "x.wav", "track": 0}])
    (piece,) = decoded(list(plan_units(listed(tmp_path / "x.wav", manifest), {})), Decode())
    assert (piece["track"], piece["span_samples"]) == (0, 3 * RATE)


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


def test_member_without_clip_and_track_is_what_it_was_before_manifests() -> None:
    assert Member(Source("/a.wav", "1-1", 5)).member_id == "f952c7ce913c31b433cbc892d5aa3f61"
    assert (
        Member.whole(Source("/a.wav", "1-1", 5, tags=("x",))).member_id == Member(Source("/a.wav", "1-1", 5)).member_id
    )
