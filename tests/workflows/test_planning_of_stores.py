"""Runs over time, of what hides its members: archives, links, directories that may not be listed, buckets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from made_archives import tar_of, zip_of
from runs_over_time import Dataset, write
from s3_store import s3_files, s3_server

from operators.settings import ExtractSettings


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "out", str(tmp_path / "media"), ExtractSettings())


@pytest.fixture
def media(tmp_path: Path) -> Path:
    for name in ("a/x.wav", "a/y.mp3", "b/z.flac"):
        write(tmp_path / "media" / name)
    return tmp_path / "media"


@pytest.mark.parametrize(("pack", "scheme"), [(tar_of, "tar"), (zip_of, "zip")])
@pytest.mark.parametrize("through", ["", "lib.{scheme}", "lib.*", "list.csv"])
def test_members_that_an_archive_no_longer_holds_are_marked(
    dataset: Dataset, media: Path, pack: Callable[..., bytes], scheme: str, through: str
) -> None:
    library = media / f"lib.{scheme}"
    inner = pack([("deep.wav", b"deep"), ("deeper.wav", b"deeper")])
    write(library, pack([("a.wav", b"one"), ("b.wav", b"two"), (f"in.{scheme}", inner)]))
    (media / "list.csv").write_text(f"uri\nlib.{scheme}\n")
    pattern = media / through.format(scheme=scheme)
    assert len(dataset.run(pattern)) == (7 if through == "" else 4)
    write(library, pack([("a.wav", b"one"), (f"in.{scheme}", pack([("deep.wav", b"deep")]))]))
    dataset.run(pattern)
    gone = [name for name, word in dataset.sources if word == "gone"]
    assert gone == [f"{scheme}://b.wav::lib.{scheme}", f"{scheme}://deeper.wav::{scheme}://in.{scheme}::lib.{scheme}"]
    if through != "lib.{scheme}":
        library.unlink()
        write(media / "lib.wav")
        dataset.run(pattern)
        members = {name: word for name, word in dataset.sources if name.endswith(f"::lib.{scheme}")}
        assert set(members.values()) <= {"gone", "both"}


def test_members_of_an_archive_that_cannot_be_listed_to_its_end_are_left_alone(dataset: Dataset, media: Path) -> None:
    members = [("a.wav", b"1" * 400), ("b.wav", b"2" * 900), ("c.wav", b"3" * 100)]
    write(media / "x.tar", tar_of(members))
    dataset.run(media)
    write(media / "x.tar", tar_of(members)[:1600])
    dataset.run(media)
    assert [word for name, word in dataset.sources if name == "tar://c.wav::x.tar"] == ["there"]
    write(media / "x.tar", tar_of(members))
    dataset.run(media)
    assert ("x.tar", "gone") in dataset.sources  # the failure of the archive as a whole is over


def test_what_lies_behind_a_link_that_leads_nowhere_is_left_alone(
    dataset: Dataset, media: Path, tmp_path: Path
) -> None:
    write(tmp_path / "disk" / "far.wav")
    (media / "disk").symlink_to(tmp_path / "disk")
    (media / "one.wav").symlink_to(tmp_path / "disk" / "far.wav")
    dataset.run(media)
    shutil.move(tmp_path / "disk", tmp_path / "unplugged")
    dataset.run(media)
    assert {word for _, word in dataset.sources} == {"there"}
    (media / "disk").unlink()
    (media / "one.wav").unlink()
    dataset.run(media)
    gone = [name for name, word in dataset.sources if word == "gone"]
    assert gone == ["disk", "disk/far.wav", "one.wav"]


class Moody(MemoryFileSystem):  # type: ignore[misc]
    """A store of which some directories may not be listed, or do not answer."""

    protocol = "moody"
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    refused: dict[str, OSError] = {}  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("moody://", "memory://")))

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        if self._strip_protocol(path) in self.refused:
            raise self.refused[self._strip_protocol(path)]
        return super().ls(path, detail=detail, **options)

    def info(self, path: str, **options: Any) -> Any:
        for closed, error in self.refused.items():
            if self._strip_protocol(path).startswith(f"{closed}/"):
                raise error
        return super().info(path, **options)


@pytest.fixture
def moody() -> Iterator[Moody]:
    fsspec.register_implementation("moody", Moody, clobber=True)
    fs = fsspec.filesystem("moody")
    fs.pipe({f"/shelf/{name}": b"sound" for name in ("a/x.wav", "a/deep/y.wav", "b/z.wav")})
    yield fs
    fs.refused.clear()
    fs.rm("/shelf", recursive=True)


def test_what_could_not_be_listed_is_left_alone(dataset: Dataset, moody: Moody) -> None:
    dataset.root = "moody:///shelf"
    assert dataset.run("moody://shelf") == ["a/deep/y.wav", "a/x.wav", "b/z.wav"]
    moody.rm("/shelf/b/z.wav")
    moody.refused["/shelf/a"] = PermissionError("403: not yours")
    dataset.run("moody://shelf")
    rows = [("a", "there"), ("a/deep/y.wav", "there"), ("a/x.wav", "there"), ("b/z.wav", "gone")]
    assert dataset.sources == rows
    moody.refused["/shelf/a"] = OSError("503: slow down")
    with pytest.raises(OSError, match="slow down"):
        dataset.plan("moody://shelf")
    assert [file.stem for file in Path(dataset.out, "listings").iterdir()] == ["run-2"]
    assert dataset.sources == rows
    moody.refused.clear()
    dataset.run("moody://shelf")
    assert dataset.sources[0] == ("a", "gone")  # the directory is no failure any more
    assert [word for _, word in dataset.sources[1:]] == ["there", "there", "gone"]


def test_objects_are_told_apart_by_their_etags(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server() as address, s3_files(address, monkeypatch) as fs:
        fs.mkdir("shelf")
        for name in ("talks/a.wav", "talks/b.wav", "talks/c.wav", "music/d.wav"):
            fs.pipe_file(f"shelf/{name}", name.encode())
        dataset.root = "s3://shelf"
        assert len(dataset.run("s3://shelf")) == 4
        fs.pipe_file("shelf/talks/a.wav", b"talks/a.wav")  # uploaded again, the same bytes
        fs.pipe_file("shelf/talks/b.wav", b"other bytes")
        fs.rm_file("shelf/talks/c.wav")
        fs.rm_file("shelf/music/d.wav")
        assert dataset.run("s3://shelf/talks") == ["talks/b.wav"]
        rows = [("music/d.wav", "there"), ("talks/a.wav", "there"), ("talks/b.wav", "replaced")]
        assert dataset.sources == [*rows, ("talks/b.wav", "there"), ("talks/c.wav", "gone")]
        fs.pipe_file("shelf/talks/c.wav", b"talks/c.wav")
        assert dataset.run("s3://shelf/*/*.wav") == []
        assert [word for name, word in dataset.sources if name in ("music/d.wav", "talks/c.wav")] == ["gone", "there"]
