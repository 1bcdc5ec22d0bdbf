"""Listing: what is found, in which order, under which URI and version, and what is said of the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
from made_archives import bytes_of, tar_of
from made_media import RATE, chirp, encode, pieces_of

from operators.decode import Decode
from operators.media.access import for_decoding, for_probing
from operators.media.archive_slice import archive_slice
from operators.media.scratch_cache import ScratchCache
from operators.plan import plan_units, write_plan
from operators.sources import SourcesNotFoundError, list_sources


def write(path: Path, data: bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def make_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    return write(path, tar_of(members))


def uris(*patterns: str | Path) -> list[str]:
    return [source.uri for source in list_sources([str(pattern) for pattern in patterns])]


def test_directory_is_searched_for_media_names_in_a_stable_order(tmp_path: Path) -> None:
    for name in ("b/late.MP3", "a/x.wav", "a/notes.txt", "a/.hidden.wav", "z.flac", "a/deep/er/film.mkv"):
        write(tmp_path / name)
    expected = ["a/deep/er/film.mkv", "a/x.wav", "b/late.MP3", "z.flac"]
    assert uris(tmp_path) == [str(tmp_path / name) for name in expected]


def test_file_given_by_name_is_taken_whatever_its_extension(tmp_path: Path) -> None:
    assert uris(write(tmp_path / "recording.dat")) == [str(tmp_path / "recording.dat")]


def test_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x.wav")
    monkeypatch.chdir(tmp_path)
    assert uris("x.wav") == uris(f"file://{tmp_path}/x.wav") == [str(tmp_path / "x.wav")]


def test_glob_matches_files_and_searches_matched_directories(tmp_path: Path) -> None:
    for name in ("2023-a/x.wav", "2024-a/x.wav", "2024-b/y.ogg", "2024-c.txt"):
        write(tmp_path / name)
    assert uris(tmp_path / "2024-*") == [str(tmp_path / "2024-a/x.wav"), str(tmp_path / "2024-b/y.ogg")]
    assert uris(tmp_path / "**" / "x.wav") == [str(tmp_path / f"202{n}-a/x.wav") for n in (3, 4)]
    assert uris(tmp_path / "*.txt") == [str(tmp_path / "2024-c.txt")]


def test_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    write(tmp_path / "talk 2.wav")
    assert uris(write(tmp_path / "talk [12].wav")) == [str(tmp_path / "talk [12].wav")]


def test_what_is_named_twice_is_listed_once(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav")
    assert uris(path, tmp_path, tmp_path / "*.wav") == [str(path)]


def test_link_to_a_parent_directory_ends(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.wav")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert uris(tmp_path) == uris(tmp_path / "**" / "*.wav") == uris(tmp_path / "**") == [str(tmp_path / "a/x.wav")]


def test_links_to_files_and_directories_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "store" / "blob", b"some sound")
    write(tmp_path / "far" / "away" / "y.wav")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "x.wav").symlink_to("../store/blob")
    (tmp_path / "lib" / "dir").symlink_to(tmp_path / "far")
    expected = [str(tmp_path / "lib" / name) for name in ("dir/away/y.wav", "x.wav")]
    for pattern in (tmp_path / "lib", tmp_path / "lib" / "**" / "*.wav", tmp_path / "l*"):
        assert sorted(uris(pattern)) == expected
    link = tmp_path / "lib" / "x.wav"
    (walked,) = (source for source in list_sources([str(tmp_path / "lib")]) if source.uri == str(link))
    assert (walked.size_bytes, [walked]) == (10, list(list_sources([str(link)])))
    with for_decoding(walked.uri, walked.version, ScratchCache(tmp_path), timeout_seconds=10) as address:
        assert address == f"file:{link}"


@pytest.mark.parametrize("pattern", ["", "*", "**", "*/x.wav", "**/x.wav", "*.wav"])
def test_link_that_leads_nowhere_is_a_row(tmp_path: Path, pattern: str) -> None:
    write(tmp_path / "z.wav")
    for name, target in (("gone", "/nowhere/disk"), ("gone.wav", "gone.dat"), ("self", "self"), ("b/x.wav", "y.wav")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(target)
    sources = {os.path.relpath(s.uri, tmp_path): s.problem for s in list_sources([str(tmp_path / pattern)])}
    bad = {name: problem for name, problem in sources.items() if problem is not None}
    expected = {"gone.wav"} if pattern == "*.wav" else {"gone", "gone.wav", "self", "b/x.wav"}
    assert set(bad) == expected
    assert {(p.status, p.error_class, p.stage) for p in bad.values()} == {("unreadable", "not_found", "list")}
    assert str(tmp_path / "gone.wav") in bad["gone.wav"].message


def test_name_with_colons_is_read_wherever_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "in::side").mkdir()
    wav = encode(tmp_path / "in::side" / "a::b.wav", chirp(16_000, 1), 16_000)
    tar = make_tar(tmp_path / "in::side" / "c::d.tar", [("e::f.wav", wav.read_bytes())])
    expected = [str(wav), f"tar://e::f.wav::{tar}"]
    for pattern in (tmp_path, f"{tmp_path}/in::side/", tmp_path / "*::*", tmp_path / "in::side" / "*"):
        assert uris(pattern) == expected
    assert uris(wav, tar) == uris(*expected) == expected
    pieces = [piece for source in list_sources([str(tmp_path)]) for piece in pieces_of(Decode(), source)]
    assert [(piece["status"], piece["span_samples"]) for piece in pieces] == [("ok", RATE)] * 2
    with for_probing(str(wav), "", 0) as address:
        assert address == f"file:{wav}"
    memory = f"memory:///{tmp_path.name}/::b.wav"
    fsspec.filesystem("memory").pipe({f"/{tmp_path.name}/::b.wav": wav.read_bytes()})
    (source,) = list_sources([memory])
    assert source.uri == memory
    assert bytes_of(source, tmp_path) == wav.read_bytes()


@pytest.mark.parametrize("missing", ["gone.wav", "*.wav", "empty", "nowhere/*.mp3"])
def test_nothing_found_is_an_error_before_the_first_source(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    present = write(tmp_path / "present.flac")
    with pytest.raises(SourcesNotFoundError, match="check the path") as caught:
        list_sources([str(present), str(tmp_path / missing)])
    assert str(tmp_path / missing) in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)


def test_version_changes_with_the_time_of_modification_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav")
    versions = []
    for time_ns in (1_700_000_000_123_000_000, 1_700_000_000_124_000_000):
        os.utime(path, ns=(time_ns, time_ns))
        versions += [source.version for source in list_sources([str(path)])]
    assert versions[0] != versions[1]
    assert all(version.startswith("5-") for version in versions)


def test_tar_members_have_their_place_in_the_version(tmp_path: Path) -> None:
    members = [("a/klänge 1.wav", b"one"), ("a/klänge 1.json", b"{}"), ("._x.wav", b"fork"), ("b.mp3", b"three")]
    tar = make_tar(tmp_path / "clips.tar", members)
    found = list(list_sources([str(tar)]))
    assert [s.uri for s in found] == [f"tar://a/klänge 1.wav::{tar}", f"tar://b.mp3::{tar}"]
    for source, data in zip(found, (b"one", b"three"), strict=True):
        part = archive_slice(source.uri, source.version)
        assert part is not None
        assert tar.read_bytes()[part.extent.offset : part.extent.offset + part.extent.size_bytes] == data
        with fsspec.open(source.uri, "rb") as file:
            assert file.read() == data
    assert uris(found[1].uri) == [found[1].uri]


@pytest.mark.parametrize(
    ("damage", "status"),
    [(lambda data: b"this is no archive" * 100, "unreadable"), (lambda data: data[:1600], "partial")],
    ids=["not a tar", "cut short"],
)
def test_damaged_tar_is_a_source_with_a_problem(tmp_path: Path, damage: Callable[[bytes], bytes], status: str) -> None:
    tar = make_tar(tmp_path / "x.tar", [("a.wav", b"1" * 400), ("b.wav", b"2" * 900)])
    tar.write_bytes(damage(tar.read_bytes()))
    *_, last = list_sources([str(tar)])
    assert last.problem is not None
    assert (last.uri, last.problem.status, last.problem.error_class) == (str(tar), status, "broken_archive")
    assert str(tar) in last.problem.message


def test_memory_file_system_is_listed(tmp_path: Path) -> None:
    root = f"memory://{tmp_path.name}"
    fsspec.filesystem("memory").pipe({f"/{tmp_path.name}/a.wav": b"1", f"/{tmp_path.name}/b/c.mp3": b"22"})
    found = list(list_sources([root]))
    assert [(s.uri.rsplit(tmp_path.name)[1], s.size_bytes) for s in found] == [("/a.wav", 1), ("/b/c.mp3", 2)]
    with fsspec.open(found[0].uri, "rb") as file:
        assert file.read() == b"1"


def test_a_name_that_is_not_utf8_is_a_problem_and_can_be_planned(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"bad\xff.wav"), "wb") as file:
        file.write(b"sound")
    write(tmp_path / "good.wav")
    bad, good = list_sources([str(tmp_path)])
    assert (bad.uri, good.problem) == (f"{tmp_path}/bad\\xff.wav", None)
    assert bad.problem is not None
    assert bad.problem.error_class == "name_not_text"
    plan = write_plan(plan_units([bad, good], {}), str(tmp_path / "out"), "run")
    members = [member for members in pq.read_table(plan)["members"].to_pylist() for member in members]
    assert {member["source_uri"] for member in members} == {bad.uri, good.uri}


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("pipe.wav")
    write(tmp_path / "x.wav")
    assert uris(tmp_path) == [str(tmp_path / "x.wav")]


def test_a_store_that_nobody_knows_is_wrong_use() -> None:
    with pytest.raises(SourcesNotFoundError, match="Protocol not known: unheardof"):
        list_sources(["unheardof://bucket/x.wav"])
