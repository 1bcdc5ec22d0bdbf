"""Runs over time: what a later run plans, and what it finds gone, changed or back. Nothing is separated here: the
planned members are committed as they are."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fabricated_dataset import commit_unit
from runs_over_time import Dataset, committed_as, write

from operators.derived import rebuild_derived
from operators.roll_call import RollCall
from operators.settings import ExtractSettings, MineSettings
from operators.source import Source
from operators.verification import verify_dataset
from operators.whereabouts import Whereabouts


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


def test_what_was_planned_and_went_before_it_was_done_is_no_fault(dataset: Dataset, media: Path) -> None:
    dataset.plan(media)  # a run that was stopped before its first unit
    (media / "b" / "z.flac").unlink()
    write(media / "a" / "y.mp3", b"another sound")
    units, tally = dataset.plan(media)
    assert tally.deleted == 1
    for unit in units:
        commit_unit(dataset.out, unit["unit_id"], [committed_as(m) for m in unit["members"]], run_id="run-2")
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
