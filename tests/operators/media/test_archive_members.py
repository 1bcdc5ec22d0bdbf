"""Archives in archives: listed through, read by one range of the outermost file, and what is said of the others."""

from __future__ import annotations

import struct
from pathlib import Path

import fsspec
import pytest
from made_archives import bytes_of, listed, problems, tar_of, zip_of

from operators.sources import list_sources

SOUND = b"some sound " * 500


def test_archives_in_archives_are_listed_through(tmp_path: Path) -> None:
    inner = [("é 1.wav", SOUND), ("b.mp3", b"x" * 999)]
    kinds = {"tar": tar_of, "zip": zip_of}
    for outer_kind, pack_outer in kinds.items():
        for inner_kind, pack_inner in kinds.items():
            home = tmp_path / f"outer.{outer_kind}"
            packed = [("first.wav", SOUND), (f"d/in.{inner_kind}", pack_inner(inner)), ("last.wav", SOUND)]
            sources = listed(home, pack_outer(packed))
            chained = f"{outer_kind}://d/in.{inner_kind}::{home}"
            assert [s.uri for s in sources] == [
                f"{outer_kind}://first.wav::{home}",
                f"{inner_kind}://é 1.wav::{chained}",
                f"{inner_kind}://b.mp3::{chained}",
                f"{outer_kind}://last.wav::{home}",
            ]
            assert [bytes_of(s, tmp_path) for s in sources] == [SOUND, SOUND, b"x" * 999, SOUND]
            for source in sources:
                with fsspec.open(source.uri, "rb") as file:
                    assert len(file.read()) == source.size_bytes
            assert list(list_sources([chained])) == sources[1:3]


def test_deflated_member_of_an_inner_zip_is_inflated_in_a_bucket_too(tmp_path: Path) -> None:
    home = f"memory:///{tmp_path.name}/outer.tar"
    fsspec.filesystem("memory").pipe(home, tar_of([("in.zip", zip_of([("a.wav", SOUND)], deflated=True))]))
    (source,) = list_sources([home])
    assert source.uri == f"zip://a.wav::tar://in.zip::{home}"
    assert bytes_of(source, tmp_path) == SOUND


def test_compressed_and_broken_inner_archives_are_rows_and_the_rest_is_listed(tmp_path: Path) -> None:
    members = [
        ("in.zip", zip_of([("a.wav", SOUND)])), ("x.tar.gz", b"gz"), ("bad.tar", b"no tar" * 200), ("b.wav", SOUND),
    ]  # fmt: skip
    sources = listed(tmp_path / "x.zip", zip_of(members, deflated=True))
    assert problems(sources) == [
        ("in.zip", "compressed_archive"), ("x.tar.gz", "compressed_archive"), ("bad.tar", "compressed_archive"),
        ("b.wav", None),
    ]  # fmt: skip
    sources = listed(tmp_path / "x.zip", zip_of(members[1:]))
    assert problems(sources)[1:] == [("bad.tar", "broken_archive"), ("b.wav", None)]


def test_member_that_ends_behind_its_own_archive_takes_no_bytes_of_the_neighbour(tmp_path: Path) -> None:
    cut = tar_of([("a.wav", SOUND), ("b.wav", SOUND)])[: 512 + 5632 + 512 + 1000]
    longer = zip_of([("a.wav", SOUND)])
    members = [("in.tar", cut), ("in.zip", longer[: len(longer) // 2]), ("c.wav", b"neighbour " * 999)]
    for pack in (tar_of, zip_of):
        sources = listed(tmp_path / f"x.{pack.__name__[:3]}", pack(members))
        assert problems(sources) == [
            ("a.wav", None), ("b.wav", "broken_archive"), ("in.tar", "broken_archive"), ("in.zip", "broken_archive"),
            ("c.wav", None),
        ]  # fmt: skip
        assert bytes_of(sources[0], tmp_path) == SOUND
        assert sources[1].problem is not None
        assert "copy the archive again" in sources[1].problem.message
    assert problems(listed(tmp_path / "cut.tar", cut))[:2] == [("a.wav", None), ("b.wav", "broken_archive")]


@pytest.mark.parametrize(("field", "value"), [(24, 9_999), (20, 1)], ids=["more unpacked", "fewer packed"])
def test_stored_archive_of_two_sizes_is_broken(tmp_path: Path, field: int, value: int) -> None:
    data = zip_of([("in.tar", tar_of([("a.wav", SOUND)])), ("b.wav", SOUND)])
    entry = data.index(b"PK\x01\x02") + field
    sources = listed(tmp_path / "x.zip", data[:entry] + struct.pack("<I", value) + data[entry + 4 :])
    assert problems(sources) == [("in.tar", "broken_archive"), ("b.wav", None)]


def test_stored_archive_whose_header_pushes_it_out_of_the_one_around_it_is_broken(tmp_path: Path) -> None:
    tar = tar_of([("a.wav", SOUND)])
    inner = zip_of([("in.tar", tar)])
    to_the_neighbour = len(inner) + -len(inner) % 512 + 512 - 30 - len("in.tar")
    inner = inner[:28] + struct.pack("<H", to_the_neighbour) + inner[30:]  # the length of the header's extra field
    sources = listed(tmp_path / "x.tar", tar_of([("mid.zip", inner), ("next.tar", tar)]))
    assert problems(sources) == [("in.tar", "broken_archive"), ("a.wav", None)]


def test_nesting_ends_at_a_depth(tmp_path: Path) -> None:
    data = zip_of([("a.wav", SOUND)])
    for _ in range(8):
        data = zip_of([("in.zip", data)])
    (source,) = listed(tmp_path / "x.zip", data)
    assert bytes_of(source, tmp_path) == SOUND
    (source,) = listed(tmp_path / "x.zip", zip_of([("in.zip", data)]))
    assert source.problem is not None
    assert source.problem.error_class == "nested_too_deep"


@pytest.mark.parametrize("named", [True, False])
def test_compressed_tar_is_a_row_that_says_what_to_do(tmp_path: Path, named: bool) -> None:
    path = tmp_path / "clips.TAR.gz"
    path.write_bytes(b"gz")
    (source,) = list_sources([str(path if named else tmp_path)])
    assert source.problem is not None
    assert (source.uri, source.problem.error_class) == (str(path), "compressed_archive")
    assert "unpack it" in source.problem.message
