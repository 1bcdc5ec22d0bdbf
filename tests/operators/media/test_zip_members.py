"""Zips: what is listed, that the version alone is enough to read a member, and what is said of what cannot be read."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest
from made_archives import bytes_of, listed, problems, zip_of
from made_media import chirp, encode, ffmpeg, pieces_of, plain_decode, source_of, span, whole

from operators import plan
from operators.decode import Decode
from operators.failure import SourceFailure
from operators.media import access as media_access
from operators.media.access import for_decoding, for_probing
from operators.media.scratch_cache import ScratchCache
from operators.plan import plan_units
from operators.source import Source
from operators.sources import list_sources

SOUND = b"some sound " * 500
NAMES = ["a.wav", "é/日本.wav", "two words.mp3", "../up.flac", "per%20cent#.ogg"]


def failure_of(source: Source, scratch: Path) -> SourceFailure:
    with (
        pytest.raises(SourceFailure) as caught,
        for_decoding(source.uri, source.version, ScratchCache(scratch), timeout_seconds=10),
    ):
        pass
    return caught.value


@pytest.mark.parametrize("place", ["local", "memory"])
@pytest.mark.parametrize(("deflated", "zip64"), [(False, False), (True, False), (False, True), (True, True)])
def test_members_are_read_by_their_version_alone(tmp_path: Path, place: str, deflated: bool, zip64: bool) -> None:
    data = zip_of([(name, SOUND + name.encode()) for name in [*NAMES, "notes.txt", "._a.wav"]], deflated=deflated,
                  zip64=zip64)  # fmt: skip
    home = f"{tmp_path}/x.zip" if place == "local" else f"memory:///{tmp_path.name}/x.zip"
    with fsspec.open(home, "wb") as file:
        file.write(data)
    sources = list(list_sources([home]))
    assert [source.uri for source in sources] == [f"zip://{name}::{home}" for name in NAMES]
    for source, name in zip(sources, NAMES, strict=True):
        assert source.size_bytes == len(SOUND + name.encode())
        assert bytes_of(source, tmp_path) == SOUND + name.encode()
        with fsspec.open(source.uri, "rb") as file:
            assert file.read() == SOUND + name.encode()
    assert list(list_sources([sources[1].uri])) == [sources[1]]
    assert not (tmp_path.parent / "up.flac").exists()


def test_name_that_no_address_can_hold_is_only_a_name(tmp_path: Path) -> None:
    sources = listed(tmp_path / "x.zip", zip_of([("a::b.wav", b"1" * 99), ("/abs.wav", b"2" * 99)], deflated=True))
    assert [bytes_of(source, tmp_path) for source in sources] == [b"1" * 99, b"2" * 99]


def test_name_without_the_utf8_flag_is_read_as_fsspec_reads_it(tmp_path: Path) -> None:
    data = zip_of([("kl_nge.wav", SOUND)]).replace(b"kl_nge", b"kl\x84nge")  # ä in code page 437
    (source,) = listed(tmp_path / "x.zip", data)
    assert source.uri == f"zip://klänge.wav::{tmp_path}/x.zip"
    with fsspec.open(source.uri, "rb") as file:
        assert file.read() == SOUND == bytes_of(source, tmp_path)


def test_name_in_utf8_without_the_flag_is_read_as_it_was_written(tmp_path: Path) -> None:
    """As `zip` on Linux and macOS write it."""
    name = "é 日本.wav"
    bare = "x" * len(name.encode())
    data = zip_of([(f"{bare[:-4]}.wav", SOUND)], deflated=True).replace(bare[:-4].encode(), name.encode()[:-4])
    (source,) = listed(tmp_path / "x.zip", data)
    assert source.uri == f"zip://{name}::{tmp_path}/x.zip"
    assert bytes_of(source, tmp_path) == SOUND
    assert list(list_sources([source.uri])) == [source]


def test_zip_behind_other_bytes_is_read(tmp_path: Path) -> None:
    (source,) = listed(tmp_path / "x.zip", b"#!/bin/sh\n" * 7 + zip_of([("a.wav", SOUND)], deflated=True))
    assert bytes_of(source, tmp_path) == SOUND


def test_of_two_members_of_one_name_the_last_counts_as_in_fsspec(tmp_path: Path) -> None:
    whole_zip = io.BytesIO()
    with zipfile.ZipFile(whole_zip, "w") as archive:
        archive.writestr("a.wav", b"old")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.wav", b"new")
    (source,) = listed(tmp_path / "x.zip", whole_zip.getvalue())
    assert bytes_of(source, tmp_path) == b"new"


def flagged(data: bytes, name: str, field: int, value: int) -> bytes:
    """The zip with a 16-bit field of a member's entry in the central directory replaced."""
    entry = data.index(b"PK\x01\x02", data.rindex(name.encode()) - 60)
    return data[: entry + field] + struct.pack("<H", value) + data[entry + field + 2 :]


def test_encrypted_and_unknown_members_are_problems_and_the_rest_is_listed(tmp_path: Path) -> None:
    data = zip_of([("a.wav", SOUND), ("b.wav", SOUND), ("c.wav", SOUND)])
    data = flagged(flagged(data, "a.wav", 8, 1), "b.wav", 10, 14)
    sources = listed(tmp_path / "x.zip", data)
    assert problems(sources) == [("a.wav", "encrypted"), ("b.wav", "unsupported_compression"), ("c.wav", None)]
    assert sources[1].problem is not None
    assert "lzma" in sources[1].problem.message
    assert bytes_of(sources[2], tmp_path) == SOUND


def test_member_whose_data_do_not_fit_in_is_a_problem_and_the_rest_is_listed(tmp_path: Path) -> None:
    data = zip_of([("a.wav", SOUND), ("b.wav", SOUND)])
    entry = data.index(b"PK\x01\x02")
    longer = data[: entry + 20] + struct.pack("<I", len(SOUND) + 99) + data[entry + 24 :]
    assert problems(listed(tmp_path / "x.zip", longer)) == [("a.wav", "broken_archive"), ("b.wav", None)]


@pytest.mark.parametrize(
    ("damage", "error_class"),
    [
        (lambda data: b"no zip at all" * 99, "broken_archive"),
        (lambda data: data[:-40], "broken_archive"),
        (lambda data: b"", "broken_archive"),
        (lambda data: zip_of([]), "no_media_members"),
        (lambda data: zip_of([("notes.txt", SOUND)]), "no_media_members"),
    ],
    ids=["no zip", "cut off", "no bytes", "empty", "no media"],
)
def test_damaged_or_empty_zip_is_one_source_with_a_problem(
    tmp_path: Path, damage: Callable[[bytes], bytes], error_class: str
) -> None:
    (source,) = listed(tmp_path / "x.zip", damage(zip_of([("a.wav", SOUND)])))
    assert source.problem is not None
    assert (source.uri, source.problem.error_class) == (str(tmp_path / "x.zip"), error_class)
    assert str(tmp_path / "x.zip") in source.problem.message


def with_bytes(data: bytes, position: int, new: bytes) -> bytes:
    return data[:position] + new + data[position + len(new) :]


def test_damaged_member_fails_at_the_fetch_and_says_why(tmp_path: Path) -> None:
    data = zip_of([("a.wav", bytes(np.random.default_rng(1).bytes(4000)))], deflated=True)
    entry = data.index(b"PK\x01\x02")
    for damaged, said in (
        (with_bytes(data, entry + 16, b"\0\0\0\0"), "checksum"),
        (with_bytes(data, entry + 24, struct.pack("<I", 3000)), "more in it than the 3000 bytes"),
        (with_bytes(data, entry + 24, struct.pack("<I", 9000)), "4000 of 9000 bytes"),
        (with_bytes(data, 35, b"\xff" * 50), "damaged"),
        (with_bytes(data, 0, b"XX"), "no member begins"),
    ):
        (source,) = listed(tmp_path / "x.zip", damaged)
        failure = failure_of(source, tmp_path)
        assert (failure.status, failure.error_class, failure.stage) == ("unreadable", "broken_archive", "fetch")
        assert said in failure.message
        assert source.uri in failure.message


def test_bomb_is_inflated_no_further_than_the_zip_tells(tmp_path: Path) -> None:
    data = zip_of([("a.wav", bytes(200 << 20))], deflated=True)
    (source,) = listed(tmp_path / "x.zip", with_bytes(data, data.index(b"PK\x01\x02") + 24, struct.pack("<I", 9 << 20)))
    assert "more in it" in failure_of(source, tmp_path / "scratch").message
    assert [path.name for path in (tmp_path / "scratch").iterdir() if not path.suffix] == []


@pytest.mark.parametrize("deflated", [True, False], ids=["deflated", "stored"])
def test_decode_of_a_zip_member_is_the_decode_of_the_file(tmp_path: Path, deflated: bool) -> None:
    path = encode(tmp_path / "x.mp4", chirp(44_100, 40), 44_100)
    home = tmp_path / "x.zip"
    home.write_bytes(zip_of([("日本.mp4", path.read_bytes()), ("y.wav", SOUND)], deflated=deflated))
    member = next(list_sources([str(home)]))
    assert np.array_equal(whole(member), whole(source_of(path)))
    decode = Decode(scratch=str(tmp_path / "scratch"))
    units = [span(pieces_of(decode, member, 0, a, b)[0]) for a, b in ((0.0, 15.0), (15.0, None))]
    assert np.array_equal(np.concatenate(units), plain_decode(path, 2))


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_large_deflated_member_is_probed_and_inflated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("SOUNDQUARRY_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setattr(plan, "SMALL_SOURCE_BYTES", 0)
    monkeypatch.setattr(media_access, "SMALL_FETCH_BYTES", 0)
    path = encode(tmp_path / "x.wav", chirp(16_000, 9, 1), 16_000)
    home = f"{scheme}{tmp_path}/x.zip"
    with fsspec.open(home, "wb") as file:
        file.write(zip_of([("x.wav", path.read_bytes())], deflated=True))
    (source,) = list_sources([home])
    rows = list(plan_units([source], {}, unit_seconds=5.0))
    assert [(m["start_seconds"], m["end_seconds"]) for row in rows for m in row["members"]] == [(0.0, 5.0), (5.0, None)]
    decode = Decode()
    units = [span(pieces_of(decode, source, 0, a, b)[0]) for a, b in ((0.0, 5.0), (5.0, None))]
    assert np.array_equal(np.concatenate(units), plain_decode(path, 1))
    assert len([p for p in (tmp_path / "scratch" / "media").iterdir() if not p.suffix]) == 1


def test_stored_member_in_a_bucket_is_probed_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = f"memory:///{tmp_path.name}/x.zip"
    fsspec.filesystem("memory").pipe(home, zip_of([("first.wav", SOUND), ("x.wav", SOUND)]))
    monkeypatch.setattr(media_access, "default_scratch", lambda: pytest.fail("it needs no copy"))
    _, source = list_sources([home])
    with for_probing(source.uri, source.version, source.size_bytes or 0) as address:
        assert ffmpeg("-f", "data", "-i", address, "-map", "0", "-c", "copy", "-f", "data", "pipe:1") == SOUND
