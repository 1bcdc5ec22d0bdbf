from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from fabricated_dataset import Member, commit_unit, stem_rows

from operators.failure import SourceFailure
from operators.footers import read_records
from operators.records import FOOTER_KEY, UnitRecord
from operators.schema import STEM_SCHEMA
from operators.unit_file import UnitFileWriter, unit_path
from operators.whole_file import find_temporary


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def empty_record(unit_id: str) -> UnitRecord:
    return UnitRecord(unit_id=unit_id, run_id="r", member_ids=[], sources=[], coverage=[])


def test_rows_and_record_come_back_as_they_were_written(tmp_path: Path) -> None:
    member = Member("/archive/a.wav", seconds=130.0, channels=2)
    committed = commit_unit(str(tmp_path), "ab12", [member])
    path = Path(unit_path(str(tmp_path), "ab12"))
    assert files_below(tmp_path) == ["stems/ab/ab12.parquet"]
    assert committed.size_bytes == path.stat().st_size
    assert [record.unit_id for record in read_records(str(tmp_path))] == ["ab12"]
    table = pq.read_table(path)
    assert table.schema.equals(STEM_SCHEMA)
    expected = stem_rows("ab12", member, "dog")
    for row, wanted in zip(table.to_pylist(), expected, strict=True):
        assert row["audio"] == wanted["audio"]
        assert row["events"][0]["end_seconds"] == wanted["events"][0]["end_seconds"]
        assert np.array_equal(np.array(row["embedding"], np.float16), wanted["embedding"])
    samples, _ = soundfile.read(io.BytesIO(table["audio"][2].as_py()["bytes"]), always_2d=True)
    assert samples.shape == (10 * 8000, 2)


def test_row_groups_are_cut_by_bytes_and_audio_has_no_dictionary_and_no_statistics(tmp_path: Path) -> None:
    member = Member("/archive/a.wav", seconds=600.0)
    size = len(stem_rows("ab12", Member("/archive/a.wav", seconds=60.0), "dog")[0]["audio"]["bytes"])
    commit_unit(str(tmp_path), "ab12", [member], row_group_bytes=3 * size)
    metadata = pq.read_metadata(unit_path(str(tmp_path), "ab12"))
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [3, 3, 3, 1]
    columns = {column["path_in_schema"]: column for column in metadata.row_group(0).to_dict()["columns"]}
    audio = columns["audio.bytes"]
    assert audio["compression"] == "UNCOMPRESSED"
    assert audio["statistics"] is None
    assert not audio["has_dictionary_page"]
    assert columns["presence"]["statistics"]["max"] == pytest.approx(0.9)
    assert columns["query_id"]["compression"] == "ZSTD"
    assert columns["query_id"]["has_dictionary_page"]
    assert metadata.row_group(0).column(0).has_offset_index  # the page index


def test_threads_may_write_at_once(tmp_path: Path) -> None:
    members = [Member(f"/archive/{k}.wav", seconds=5.0) for k in range(8)]
    rows = {member.uri: stem_rows("ab12", member, "dog") * 20 for member in members}
    with UnitFileWriter(str(tmp_path), "ab12", row_group_bytes=50_000) as writer:
        threads = [
            threading.Thread(target=lambda rows=rows: [writer.write(row) for row in rows]) for rows in rows.values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sources = [
            {
                "member_id": f"m:{uri}:v1:0:0",
                "source_uri": uri,
                "source_version": "",
                "track": 0,
                "status": "ok",
                "stems": 20,
            }
            for uri in rows
        ]
        record = {"unit_id": "ab12", "run_id": "r", "member_ids": list(rows), "sources": sources, "coverage": []}
        writer.commit(UnitRecord.model_validate(record))
    assert pq.read_metadata(unit_path(str(tmp_path), "ab12")).num_rows == 160


@pytest.mark.filterwarnings("error")
def test_a_writer_that_gives_up_leaves_nothing(tmp_path: Path) -> None:
    writer = UnitFileWriter(str(tmp_path), "ab12", row_group_bytes=1)
    with pytest.raises(RuntimeError), writer:
        writer.write(stem_rows("ab12", Member("/a.wav"), "dog")[0])
        assert len(find_temporary(tmp_path)) == 1
        raise RuntimeError
    del writer
    assert files_below(tmp_path) == []


def test_rows_and_records_that_do_not_belong_are_refused(tmp_path: Path) -> None:
    row = stem_rows("ab12", Member("/a.wav"), "dog")[0]
    with UnitFileWriter(str(tmp_path), "ab12") as writer:
        with pytest.raises(ValueError, match="presence"):
            writer.write({key: value for key, value in row.items() if key != "presence"})
        with pytest.raises(ValueError, match="unit cd34 in the file of unit ab12"):
            writer.write(row | {"unit_id": "cd34"})
        writer.write(row)
        with pytest.raises(ValueError, match="record of unit cd34"):
            writer.commit(empty_record("cd34"))
        with pytest.raises(ValueError, match="the record tells of"):
            writer.commit(empty_record("ab12"))
    assert files_below(tmp_path) == []


def test_a_second_try_that_fails_does_not_undo_the_first(tmp_path: Path) -> None:
    commit_unit(str(tmp_path), "ab12", [Member("/a.wav")])
    failed = Member("/a.wav", status="failed", error_class="timeout")
    kept = commit_unit(str(tmp_path), "ab12", [failed], attempt=2)
    assert kept.record.sources[0].status == "ok"
    assert pq.read_metadata(unit_path(str(tmp_path), "ab12")).num_rows == 1
    better = commit_unit(str(tmp_path), "ab12", [Member("/a.wav", channels=2)], attempt=3)
    assert better.record.attempt == 3
    assert files_below(tmp_path) == ["stems/ab/ab12.parquet"]


@pytest.mark.parametrize("rows_before_the_kill", [0, 300])
def test_a_killed_writer_leaves_no_file_under_the_final_name(tmp_path: Path, rows_before_the_kill: int) -> None:
    script = """
import sys
sys.path.insert(0, sys.argv[2])
from fabricated_dataset import Member, stem_rows
from operators.unit_file import UnitFileWriter
writer = UnitFileWriter(sys.argv[1], "ab12", row_group_bytes=100_000)
row = stem_rows("ab12", Member("/a.wav", seconds=5.0), "dog")[0]
print("ready", flush=True)
while True:
    writer.write(row)
    print("row", flush=True)
"""
    tests = str(Path(__file__).parents[1])
    writer = subprocess.Popen([sys.executable, "-c", script, tmp_path, tests], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(1 + rows_before_the_kill):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert not Path(unit_path(str(tmp_path), "ab12")).exists()
    assert len(find_temporary(tmp_path)) == 1
    assert list(read_records(str(tmp_path))) == []
    commit_unit(str(tmp_path), "ab12", [Member("/a.wav")])  # a new writer is not in the way of the old one
    assert pq.read_metadata(unit_path(str(tmp_path), "ab12")).num_rows == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("row_group_bytes", [1, 2**30])
def test_a_full_disk_is_a_failure_of_the_commit_and_leaves_nothing(tiny_disk: Path, row_group_bytes: int) -> None:
    row = stem_rows("ab12", Member("/a.wav", seconds=20.0), "dog")[0]
    noise = np.random.default_rng(0).bytes(400_000)
    with (
        pytest.raises(SourceFailure) as caught,
        UnitFileWriter(str(tiny_disk), "ab12", row_group_bytes=row_group_bytes) as writer,
    ):
        for _ in range(4):
            writer.write(row | {"audio": {"bytes": noise, "path": "a.flac"}})
        source = {"source_uri": "/a.wav", "source_version": "v1", "track": 0, "status": "ok"}
        source["member_id"] = row["member_id"]
        record = empty_record("ab12").model_dump() | {"member_ids": ["m"], "sources": [source | {"stems": 4}]}
        writer.commit(UnitRecord.model_validate(record))
    assert (caught.value.error_class, caught.value.stage, caught.value.status) == ("disk_full", "commit", "failed")
    assert "no space left" in caught.value.message
    assert files_below(tiny_disk) == []
    commit_unit(str(tiny_disk), "ab12", [Member("/a.wav", status="failed", error_class="disk_full")])
    assert files_below(tiny_disk) == ["stems/ab/ab12.parquet"]  # the failure itself still fits


def test_the_record_is_in_the_footer_and_readable_without_the_rows(tmp_path: Path) -> None:
    commit_unit(str(tmp_path), "ab12", [Member("/a.wav", seconds=600.0)])
    metadata = pq.read_metadata(unit_path(str(tmp_path), "ab12")).metadata
    assert UnitRecord.model_validate_json(metadata[FOOTER_KEY]).coverage[0].windows == 75
    begin = time.perf_counter()
    assert next(iter(read_records(str(tmp_path)))).unit_id == "ab12"
    assert time.perf_counter() - begin < 1.0
    assert os.listdir(tmp_path / "stems" / "ab") == ["ab12.parquet"]
