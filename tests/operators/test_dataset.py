from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fabricated_dataset import Member, commit_unit

from operators.dataset import (
    SignatureError,
    committed_members,
    create_or_check_signature,
    read_ledger,
    rebuild_coverage,
    rebuild_sources,
    remove_superseded,
    totals,
)
from operators.footers import read_records
from operators.schema import COVERAGE_SCHEMA, SOURCE_SCHEMA
from operators.standing import MemberOutcome
from operators.unit_file import unit_path

SIGNATURE = {"model": {"name": "mini", "hash": "0123"}, "threshold": 0.5, "gate": True, "catalog_hash": "c0ffee"}


def rows_in(out: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in out.glob("stems/*/*.parquet"))


def test_a_signature_is_written_once_and_every_difference_is_named(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    create_or_check_signature(out, SIGNATURE)
    create_or_check_signature(out, dict(reversed(SIGNATURE.items())))
    assert json.loads((tmp_path / "out" / "dataset.json").read_text()) == SIGNATURE
    other = {"model": {"name": "clapsep", "hash": "0123"}, "gate": True, "catalog_hash": "c0ffee", "new": 1}
    with pytest.raises(SignatureError) as caught:
        create_or_check_signature(out, other)
    message = str(caught.value)
    assert "model.name: the dataset has 'mini', this run 'clapsep'" in message
    assert "threshold: the dataset has 0.5, this run '(not set)'" in message
    assert "new: the dataset has '(not set)', this run 1" in message
    assert "model.hash" not in message
    assert "another --out" in message


def test_a_damaged_signature_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(SignatureError, match="not JSON"):
        create_or_check_signature(str(tmp_path), SIGNATURE)


def test_of_runs_that_start_at_once_exactly_one_writes_the_signature(tmp_path: Path) -> None:
    script = "import sys; from operators.dataset import create_or_check_signature as c;"
    script += "sys.stdin.readline()\ntry: c(sys.argv[1], {'run': sys.argv[2]}); print('ok')\n"
    script += "except ValueError as error: print('refused')"
    command = [sys.executable, "-c", script, tmp_path]
    runs = [
        subprocess.Popen([*command, str(k)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for k in range(4)
    ]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    answers = [run.communicate()[0].strip() for run in runs]
    assert sorted(answers) == ["ok", "refused", "refused", "refused"]
    assert json.loads((tmp_path / "dataset.json").read_text()) == {"run": str(answers.index("ok"))}
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]


def test_spans_of_a_track_become_one_source_row(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_unit(out, "aa01", [Member("/long.mp4", seconds=20.0, start=0.0)])
    bad = Member("/long.mp4", start=20.0, status="failed", error_class="timeout", message="too slow")
    bad.fields["track"] = 0
    commit_unit(out, "bb02", [bad])
    commit_unit(out, "cc03", [Member("/long.mp4", seconds=7.0, start=40.0)])
    commit_unit(out, "dd04", [Member("/long.mp4", seconds=5.0, track=1), Member("/a.wav", present=("dog", "rain"))])
    commit_unit(out, "ee05", [Member("/zero.wav", status="unreadable", error_class="empty_file", message="0 bytes")])
    commit_unit(out, "ff06", [Member("/mute.mp4", status="no_audio", error_class="no_audio")])
    table = rebuild_sources(out)
    assert table.schema.equals(SOURCE_SCHEMA)
    assert pq.read_table(tmp_path / "sources.parquet").equals(table)
    rows = {(row["source_uri"], row["track"]): row for row in table.to_pylist()}
    assert list(rows) == [
        ("/a.wav", 0), ("/long.mp4", 0), ("/long.mp4", 1), ("/mute.mp4", None), ("/zero.wav", None),
    ]  # fmt: skip
    long = rows["/long.mp4", 0]
    assert (long["status"], long["error_class"], long["seconds"], long["stems"]) == ("partial", "timeout", 27.0, 2)
    assert long["message"] == "1 of 3 stretches, the first at 20 s: too slow"
    assert (rows["/long.mp4", 1]["status"], rows["/long.mp4", 1]["seconds"]) == ("ok", 5.0)
    assert rows["/a.wav", 0]["stems"] == 2
    assert (rows["/zero.wav", None]["status"], rows["/zero.wav", None]["message"]) == ("unreadable", "0 bytes")

    assert rebuild_coverage(out) == 2 * 4
    coverage = pq.read_table(tmp_path / "coverage.parquet")
    assert coverage.schema.equals(COVERAGE_SCHEMA)
    assert sum(coverage["windows"].to_pylist()) == 2 * (3 + 1 + 1 + 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coverage.parquet", "sources.parquet", "stems"]

    sums = totals(table, coverage, read_ledger(out))
    assert (sums.units, sums.sources, sums.stems) == (6, 4, 5)
    assert sums.sources_by_status == {"ok": 1, "partial": 1, "no_audio": 1, "unreadable": 1}
    assert sums.failures_by_class == {"timeout": 1, "empty_file": 1, "no_audio": 1}
    assert sums.audio_seconds == 52.0
    assert sums.gate_skip_rate == 1 - sums.pairs_passed / 16


def test_a_member_that_succeeds_later_counts_once(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_unit(out, "aa01", [Member("/a.wav"), Member("/b.wav", status="failed", error_class="timeout")])
    assert committed_members(out)["m:/b.wav:v1:0:0"] == MemberOutcome("failed", "timeout", 1)
    commit_unit(out, "bb02", [Member("/b.wav")], attempt=2)
    assert committed_members(out)["m:/b.wav:v1:0:0"] == MemberOutcome("ok", None, 2)
    rows = rebuild_sources(out).to_pylist()
    assert [(row["source_uri"], row["status"], row["attempts"], row["stems"]) for row in rows] == [
        ("/a.wav", "ok", 1, 1),
        ("/b.wav", "ok", 2, 1),
    ]
    assert remove_superseded(out) == 0  # what failed has no rows
    assert rebuild_coverage(out) == 4


def test_rows_of_a_record_that_no_longer_counts_are_taken_out(tmp_path: Path) -> None:
    out = str(tmp_path)
    shared = Member("/b.wav", seconds=130.0, present=("dog", "rain"))
    commit_unit(out, "aa01", [Member("/a.wav", seconds=70.0), shared])
    commit_unit(out, "bb02", [shared])
    commit_unit(out, "bb01", [shared])
    assert rows_in(tmp_path) == 2 + 6 + 6 + 6
    before = rebuild_sources(out)
    coverage_rows = rebuild_coverage(out)
    kept = pq.read_table(unit_path(out, "aa01")).slice(0, 2)
    assert remove_superseded(out) == 12
    assert rows_in(tmp_path) == 2 + 6
    assert pq.read_table(unit_path(out, "aa01")).equals(kept)
    assert not Path(unit_path(out, "bb01")).exists()
    assert rebuild_sources(out).equals(before)
    assert rebuild_coverage(out) == coverage_rows == 4
    assert remove_superseded(out) == 0


def test_files_that_are_no_units_are_reported_and_skipped(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_unit(out, "aa01", [Member("/a.wav")])
    good = Path(unit_path(out, "aa01"))
    (good.parent / "empty.parquet").write_bytes(b"")
    (good.parent / "cut.parquet").write_bytes(good.read_bytes()[:-100])
    (good.parent / "text.parquet").write_text("no parquet at all, but long enough to look at")
    (good.parent / "liar.parquet").write_bytes(b"x" * 20 + (10**6).to_bytes(4, "little") + b"PAR1")
    (good.parent / "damaged.parquet").write_bytes(b"PAR1" + b"\xff" * 40 + (40).to_bytes(4, "little") + b"PAR1")
    (good.parent / "copy.parquet").write_bytes(good.read_bytes())
    pq.write_table(pa.table({"x": [1]}), good.parent / "foreign.parquet")
    metadata = {b"soundquarry.unit": b'{"unit_id": 1}'}
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata(metadata), good.parent / "strange.parquet")
    (good.parent / ".hidden.parquet").write_text("not looked at")
    told: dict[str, str] = {}
    records = list(read_records(out, lambda uri, reason: told.update({Path(uri).stem: reason})))
    assert [record.unit_id for record in records] == ["aa01"]
    assert set(told) == {"empty", "cut", "text", "liar", "damaged", "copy", "foreign", "strange"}
    assert "cut off" in told["cut"]
    assert "not written by soundquarry" in told["foreign"]
    assert "does not fit this version" in told["strange"]
    assert "it holds unit aa01" in told["copy"]
    assert rebuild_sources(out).num_rows == 1


def test_an_empty_output_has_empty_tables(tmp_path: Path) -> None:
    out = str(tmp_path / "new")
    assert committed_members(out) == {}
    assert rebuild_sources(out).num_rows == 0
    assert rebuild_coverage(out) == 0
    coverage = pq.read_table(tmp_path / "new" / "coverage.parquet")
    assert totals(rebuild_sources(out), coverage, read_ledger(out)).gate_skip_rate is None
