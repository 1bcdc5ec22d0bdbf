"""Runs over time: what a later run plans, and what it finds gone, changed or back. Nothing is separated here: the
planned members are committed as they are."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
from fabricated_dataset import Member, commit_unit, sign
from fsspec.implementations.memory import MemoryFileSystem
from made_archives import tar_of, zip_of

from operators.derived import rebuild_derived
from operators.roll_call import RollCall
from operators.settings import ExtractSettings, MineSettings
from operators.source import Source
from operators.sources import list_sources
from operators.verification import verify_dataset
from operators.whereabouts import Whereabouts
from workflows.extract import ExtractJob
from workflows.planning import plan_run
from workflows.progress import Tally


class Dataset:
    """A dataset that run after run goes on with; each run returns the sources that it did."""

    def __init__(self, out: Path, root: str, settings: ExtractSettings) -> None:
        self.out, self.root, self.settings, self.runs = str(out), root, settings, 0
        sign(self.out, kind=settings.kind)

    def plan(self, *patterns: str | Path) -> tuple[list[dict[str, Any]], Tally]:
        self.runs += 1
        job = ExtractJob(tuple(map(str, patterns)), "", self.out, self.settings)
        tally = Tally()
        plan = plan_run(job, list_sources(job.sources), 32_000, f"run-{self.runs}", tally)
        return plan.to_pylist(), tally

    def run(self, *patterns: str | Path) -> list[str]:
        units, _ = self.plan(*patterns)
        for unit in units:
            commit_unit(self.out, unit["unit_id"], [_committed(m) for m in unit["members"]], run_id=f"run-{self.runs}")
        rebuild_derived(self.out)
        assert verify_dataset(self.out).findings == []
        return sorted(self.short(m["source_uri"]) for unit in units for m in unit["members"])

    @property
    def sources(self) -> list[tuple[str, str]]:
        """(URI, what became of it) of every row: there, gone, replaced, or replaced and gone."""
        rows = pq.read_table(Path(self.out, "sources.parquet")).to_pylist()
        words = {(False, False): "there", (True, False): "gone", (False, True): "replaced", (True, True): "both"}
        return sorted(
            (self.short(row["source_uri"]), words[row["deleted_at"] is not None, row["newer_version"] is not None])
            for row in rows
        )

    def short(self, uri: str) -> str:
        return uri.replace(f"{self.root}/", "")


def _committed(member: dict[str, Any]) -> Member:
    problem = {"status": member["status"], "error_class": member["error_class"]} if member["status"] else {}
    known = {"version": member["source_version"], "member_id": member["member_id"], "present": ()}
    return Member(member["source_uri"], **known, **problem)


def write(path: Path, data: bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture(params=[ExtractSettings(), MineSettings()], ids=["extract", "mine"])
def any_kind(tmp_path: Path, request: pytest.FixtureRequest) -> Dataset:
    return Dataset(tmp_path / "out", str(tmp_path / "media"), request.param)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "out", str(tmp_path / "media"), ExtractSettings())


@pytest.fixture
def media(tmp_path: Path) -> Path:
    for name in ("a/x.wav", "a/y.mp3", "b/z.flac"):
        write(tmp_path / "media" / name)
    return tmp_path / "media"


def test_a_later_run_does_what_is_new_or_changed_and_marks_what_is_gone(any_kind: Dataset, media: Path) -> None:
    assert any_kind.run(media) == ["a/x.wav", "a/y.mp3", "b/z.flac"]
    write(media / "a" / "y.mp3", b"another sound")
    write(media / "new.wav")
    shutil.rmtree(media / "b")
    assert any_kind.run(media) == ["a/y.mp3", "new.wav"]
    rows = [("a/x.wav", "there"), ("a/y.mp3", "replaced"), ("a/y.mp3", "there"), ("b/z.flac", "gone")]
    assert any_kind.sources == [*rows, ("new.wav", "there")]
    assert any_kind.run(media) == []
    assert len(list(Path(any_kind.out, "listings").iterdir())) == 1


def test_a_source_that_comes_back_is_unmarked_and_not_done_again(dataset: Dataset, media: Path, tmp_path: Path) -> None:
    dataset.run(media)
    shutil.move(media / "b", tmp_path / "away")
    dataset.run(media)
    assert ("b/z.flac", "gone") in dataset.sources
    deleted_at = [row["deleted_at"] for row in pq.read_table(Path(dataset.out, "sources.parquet")).to_pylist()][-1]
    dataset.run(media)
    assert deleted_at == pq.read_table(Path(dataset.out, "sources.parquet"))["deleted_at"].to_pylist()[-1]
    shutil.move(tmp_path / "away", media / "b")
    assert dataset.run(media) == []
    assert ("b/z.flac", "there") in dataset.sources


def test_a_version_that_comes_back_replaces_the_one_that_replaced_it(dataset: Dataset, media: Path) -> None:
    file = media / "a" / "x.wav"
    stat = file.stat()
    dataset.run(media)
    write(file, b"other")
    assert dataset.run(media) == ["a/x.wav"]
    write(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert dataset.run(media) == []
    table = pq.read_table(Path(dataset.out, "sources.parquet")).to_pylist()
    of_file = {row["newer_version"]: row["source_version"] for row in table if row["source_uri"] == str(file)}
    assert of_file[of_file[None]] != of_file[None]
    file.unlink()
    dataset.run(media)
    assert [word for name, word in dataset.sources if name == "a/x.wav"] == ["both", "gone"]


def test_what_a_run_did_not_look_at_is_never_marked(dataset: Dataset, media: Path) -> None:
    write(media / "a" / "odd.dat")
    write(media / "a" / ".hidden.wav")
    write(media / "b" / "w.flac")
    (media / "list.csv").write_text("uri\na/x.wav\nb/z.flac\n")
    dataset.run(media, media / "a" / "odd.dat", media / "a" / ".hidden.wav")
    everything = dataset.sources
    (media / "b" / "z.flac").unlink()
    (media / "a" / "y.mp3").unlink()
    dataset.run(media / "a" / "x.wav")
    dataset.run(media / "a" / "x*")
    (media / "list.csv").write_text("uri\na/x.wav\n")
    dataset.run(media / "list.csv")
    assert dataset.sources == everything
    dataset.run(media / "a")
    assert [name for name, word in dataset.sources if word == "gone"] == ["a/y.mp3"]
    dataset.run(media / "**" / "*.flac", media / "a")
    assert [name for name, word in dataset.sources if word == "gone"] == ["a/y.mp3", "b/z.flac"]


def test_a_row_of_a_manifest_whose_source_is_gone_marks_it(dataset: Dataset, media: Path) -> None:
    manifest = media / "list.csv"
    manifest.write_text("uri,start,end\na/x.wav,,\nb/z.flac,0,5\nb/z.flac,3,9\nnever.wav,,\n")
    dataset.run(manifest)
    (media / "b" / "z.flac").unlink()
    assert dataset.run(manifest) == ["b/z.flac"] * 2
    of_file = [word for name, word in dataset.sources if name == "b/z.flac"]
    assert of_file == ["gone"]
    assert ("never.wav", "there") in dataset.sources  # asked for and not found, as before
    manifest.write_text("uri\na/x.wav\nnever.wav\n")
    write(media / "never.wav")
    assert dataset.run(manifest) == ["never.wav"]
    assert ("never.wav", "there") in dataset.sources


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


def test_objects_are_told_apart_by_their_etags(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    s3fs = pytest.importorskip("s3fs")
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        fs = s3fs.S3FileSystem()
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
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


def test_what_was_planned_and_went_before_it_was_done_is_no_fault(dataset: Dataset, media: Path) -> None:
    dataset.plan(media)  # a run that was stopped before its first unit
    (media / "b" / "z.flac").unlink()
    write(media / "a" / "y.mp3", b"another sound")
    units, tally = dataset.plan(media)
    assert tally.deleted == 1
    for unit in units:
        commit_unit(dataset.out, unit["unit_id"], [_committed(m) for m in unit["members"]], run_id="run-2")
    rebuild_derived(dataset.out)
    result = verify_dataset(dataset.out)
    assert ([finding.kind for finding in result.findings], result.clean) == (["source_replaced"], True)
    assert "2 of 4 planned members" in result.findings[0].message


def test_listing_a_million_new_sources_keeps_nothing_of_them() -> None:
    known = {f"/archive/known/{k}.wav": Whereabouts("run-1", "v1") for k in range(1000)}
    roll_call = RollCall(known, "run-2")
    listed = (Source(f"/archive/new/{k}.wav", f"{k}-1", k) for k in range(20_000))
    tracemalloc.start()
    try:
        assert sum(1 for _ in roll_call.over(listed)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
