"""The whole life of a dataset in a bucket, through a real S3 protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fabricated_dataset import Member, commit_unit, stem_rows
from s3_store import s3_files, s3_server

from operators import whole_file
from operators.dataset import (
    SignatureError,
    committed_members,
    create_or_check_signature,
    rebuild_coverage,
    rebuild_sources,
    remove_superseded,
)
from operators.failure import SourceFailure
from operators.footers import read_records
from operators.unit_file import UnitFileWriter
from operators.verification import verify_dataset
from operators.whole_file import find_temporary, place


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def out(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(whole_file, "scratch_directory", lambda: tmp_path / "scratch")
    bucket = f"b{abs(hash(tmp_path)) % 10**8}"
    with s3_files(endpoint, monkeypatch) as files:
        files.mkdir(bucket)
        yield f"s3://{bucket}/out"


def names_in(out: str) -> list[str]:
    root = place(out)
    root.fs.invalidate_cache()
    return sorted(path.removeprefix(root.path + "/") for path in root.fs.find(root.path))


def test_units_are_committed_read_and_summed_up_in_a_bucket(out: str) -> None:
    create_or_check_signature(out, {"threshold": 0.5})
    create_or_check_signature(out, {"threshold": 0.5})
    with pytest.raises(SignatureError, match="threshold"):
        create_or_check_signature(out, {"threshold": 0.6})
    commit_unit(out, "aa01", [Member("s3://b/a.wav"), Member("s3://b/b.wav", status="failed", error_class="throttled")])
    assert committed_members(out)["m:s3://b/b.wav:v1:0:0"].error_class == "throttled"
    commit_unit(out, "bb02", [Member("s3://b/b.wav", seconds=70.0)], attempt=2)
    commit_unit(out, "aa02", [Member("s3://b/b.wav", seconds=70.0)], attempt=2)
    assert committed_members(out)["m:s3://b/b.wav:v1:0:0"].status == "ok"
    assert remove_superseded(out) == 2
    table = rebuild_sources(out)
    assert [(row["source_uri"], row["status"], row["stems"]) for row in table.to_pylist()] == [
        ("s3://b/a.wav", "ok", 1),
        ("s3://b/b.wav", "ok", 2),
    ]
    assert rebuild_coverage(out) == 4
    assert names_in(out) == [
        "coverage.parquet", "dataset.json", "sources.parquet", "stems/aa/aa01.parquet", "stems/bb/bb02.parquet",
    ]  # fmt: skip
    with place(out).fs.open(f"{out}/stems/bb/bb02.parquet", "rb") as file:
        assert pq.read_table(file).num_rows == 2
    assert find_temporary(out) == []
    checked = verify_dataset(out, decode=True)
    assert (checked.findings, checked.units, checked.stems, checked.decoded) == ([], 2, 3, 3)


def test_an_aborted_writer_leaves_nothing_in_the_bucket_or_on_the_disk(out: str) -> None:
    with pytest.raises(RuntimeError), UnitFileWriter(out, "ab12", row_group_bytes=1) as writer:
        writer.write(stem_rows("ab12", Member("/a.wav"), "dog")[0])
        assert len(find_temporary(out)) == 1
        raise RuntimeError
    assert names_in(out) == []
    assert find_temporary(out) == []


def test_a_bucket_that_takes_nothing_is_a_transient_failure(out: str) -> None:
    with pytest.raises(SourceFailure) as caught:
        commit_unit("s3://no-such-bucket-here/out", "ab12", [Member("/a.wav")])
    assert (caught.value.error_class, caught.value.stage) == ("connection", "commit")
    assert "no-such-bucket-here" in caught.value.message
    assert find_temporary(out) == []


def test_footers_are_read_with_one_ranged_request_each(out: str, caplog: pytest.LogCaptureFixture) -> None:
    commit_unit(out, "aa01", [Member("s3://b/a.wav", seconds=240.0)])
    with caplog.at_level("INFO", logger="werkzeug"):
        caplog.clear()
        (record,) = read_records(out)
    assert record.unit_id == "aa01"
    (request,) = [message for message in caplog.messages if "aa01.parquet" in message]
    assert "GET" in request
    assert " 206 " in request
