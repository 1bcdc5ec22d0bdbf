from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fabricated_dataset import Event, Member, commit_events, commit_unit, sign, write_plan

from operators.dataset import rebuild_coverage, rebuild_sources, remove_superseded
from operators.derived import rebuild_derived
from operators.records import FOOTER_KEY, UnitRecord
from operators.unit_file import unit_path
from operators.verification import verify_dataset
from operators.whereabouts import Whereabouts, write_listing
from operators.whole_file import WholeFile

A, B = Member("/a.wav", seconds=70.0, channels=2), Member("/b.wav")
LONG = Member("/long.mp4", seconds=60.0, start=60.0)


def finish(out: str) -> None:
    remove_superseded(out)
    rebuild_sources(out)
    rebuild_coverage(out)


@pytest.fixture
def out(tmp_path: Path) -> str:
    folder = str(tmp_path / "out")
    commit_unit(folder, "aa01", [A, B])
    commit_unit(folder, "bb02", [LONG, Member("/zero.wav", status="unreadable", error_class="empty_file")])
    write_plan(folder, {"aa01": [A, B], "bb02": [LONG]})
    finish(folder)
    return folder


def kinds(out: str, *, decode: bool = False) -> list[str]:
    result = verify_dataset(out, decode=decode)
    assert result.clean == all(finding.harmless for finding in result.findings)
    return [finding.kind for finding in result.findings]


def rewrite(out: str, unit_id: str, change: Callable[[pa.Table], pa.Table], **record: object) -> None:
    """The unit's file with other rows or another record, past the writer's own checks."""
    path = unit_path(out, unit_id)
    there = UnitRecord.model_validate_json(pq.read_metadata(path).metadata[FOOTER_KEY])
    table = change(pq.read_table(path))
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({FOOTER_KEY: there.model_copy(update=record).model_dump_json()})


def replaced(name: str, values: list[object]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(
        table.schema.get_field_index(name), table.schema.field(name), pa.array(values, table.schema.field(name).type)
    )


def test_a_whole_dataset_is_clean_and_its_audio_decodes(out: str) -> None:
    result = verify_dataset(out, decode=True)
    assert result.findings == []
    assert result.clean
    assert (result.units, result.stems, result.members, result.planned_members, result.decoded) == (2, 4, 4, 3, 4)


def test_an_empty_output_is_clean(tmp_path: Path) -> None:
    assert verify_dataset(str(tmp_path / "nothing")).findings == []


def test_planned_members_that_are_not_committed_are_named(out: str) -> None:
    later = Member("/long.mp4", seconds=60.0, start=120.0)
    write_plan(out, {"cc03": [later]}, name="run-2")
    (finding,) = verify_dataset(out).findings
    assert finding.kind == "member_missing"
    assert "1 of 4 planned members" in finding.message
    assert "/long.mp4 track 0, 120 s to 180 s" in finding.message


def test_planned_members_of_a_version_that_a_later_plan_replaces_are_harmless(out: str) -> None:
    write_plan(out, {"cc03": [Member("/c.wav", version="v1")]}, name="run-2")
    assert kinds(out) == ["member_missing"]
    newer = Member("/c.wav", version="v2")
    write_plan(out, {"dd04": [newer]}, name="run-3")
    assert kinds(out) == ["member_missing", "source_replaced"]
    commit_unit(out, "dd04", [newer])
    finish(out)
    assert kinds(out) == ["source_replaced"]
    assert verify_dataset(out).clean


def test_planned_members_of_a_source_that_a_listing_found_gone_or_changed_are_harmless(out: str) -> None:
    write_plan(out, {"cc03": [Member("/c.wav"), Member("/d.wav")]}, name="run-2")
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    write_listing(out, "run-1", {"/c.wav": Whereabouts("run-1", "v0", noon)})
    assert kinds(out) == ["member_missing"]  # it came back later
    write_listing(out, "run-3", {"/c.wav": Whereabouts("run-3", "v1", noon), "/d.wav": Whereabouts("run-3", "v2")})
    assert kinds(out) == ["source_replaced"]


def test_a_source_table_that_forgot_a_listing_is_a_finding_and_so_is_a_listing_that_is_damaged(out: str) -> None:
    write_listing(out, "run-2", {"/a.wav": Whereabouts("run-2", "v1", datetime(2026, 3, 1, tzinfo=UTC))})
    assert kinds(out) == ["derived_differs"]
    finish(out)
    assert kinds(out) == []
    Path(out, "listings", "run-2.parquet").write_bytes(b"cut")
    assert kinds(out) == ["derived_unmade", "listing_unreadable"]


def test_derived_tables_must_be_there_and_up_to_date(out: str) -> None:
    commit_unit(out, "cc03", [Member("/new.wav")])
    assert kinds(out) == ["derived_differs", "derived_differs"]
    finish(out)
    assert kinds(out) == []
    Path(out, "sources.parquet").unlink()
    Path(out, "coverage.parquet").write_bytes(b"cut")
    assert kinds(out) == ["derived_missing", "derived_differs"]


def test_the_events_of_a_library_must_be_there_and_up_to_date(tmp_path: Path) -> None:
    library = str(tmp_path)
    sign(library)
    commit_events(library, "aa01", [Event("/a.wav", 1.0), Event("/a.wav", 7.0), Event("/b.wav", 2.0, query="rain")])
    rebuild_derived(library)
    assert kinds(library, decode=True) == []
    events = Path(library, "events.parquet")
    whole = pq.read_table(events)
    pq.write_table(whole.take([1, 0, 2]), events)
    assert kinds(library) == ["derived_differs"]
    commit_events(library, "bb02", [Event("/c.wav", 1.0)])
    events.unlink()
    assert kinds(library) == ["derived_differs", "derived_differs", "derived_missing"]
    rebuild_derived(library)
    assert kinds(library) == []


def test_a_row_of_a_library_without_its_event_is_a_finding(tmp_path: Path) -> None:
    library = str(tmp_path)
    sign(library)
    commit_events(library, "aa01", [Event("/a.wav", 1.0)])
    rebuild_derived(library)
    rewrite(library, "aa01", replaced("events", [[]]))
    (finding,) = verify_dataset(library).findings
    assert finding.kind == "derived_unmade"
    assert "do not hold exactly one event" in finding.message


def test_a_damaged_signature_is_a_finding(out: str) -> None:
    Path(out, "dataset.json").write_text("{")
    assert kinds(out) == ["signature"]


def test_a_file_that_is_no_unit_is_a_finding(out: str) -> None:
    good = Path(unit_path(out, "aa01"))
    (good.parent / "cut.parquet").write_bytes(good.read_bytes()[:-9])
    (good.parent / "copy.parquet").write_bytes(good.read_bytes())
    assert kinds(out) == ["not_a_unit", "not_a_unit"]


def test_rows_must_be_as_many_as_the_footer_tells(out: str) -> None:
    rewrite(out, "aa01", lambda table: table.slice(1))
    assert kinds(out) == ["row_count", "row_count"]  # of the track, and of the query


def test_a_stem_id_occurs_once_in_the_whole_dataset(out: str) -> None:
    taken = pq.read_table(unit_path(out, "aa01"))["stem_id"][0].as_py()
    rewrite(out, "bb02", replaced("stem_id", [taken]))
    (finding,) = verify_dataset(out).findings
    assert finding.kind == "stem_id_twice"
    assert taken in finding.message
    assert "aa01.parquet" in finding.message
    assert "bb02.parquet" in finding.message


def test_values_that_are_no_numbers_and_foreign_rows_are_findings(out: str) -> None:
    rewrite(out, "bb02", replaced("peak_dbfs", [float("nan")]))
    assert kinds(out) == ["not_a_number"]
    rewrite(out, "bb02", lambda table: replaced("unit_id", ["zz"])(replaced("peak_dbfs", [-3.0])(table)))
    assert kinds(out) == ["foreign_rows"]
    rewrite(out, "bb02", lambda table: replaced("unit_id", ["bb02"])(replaced("end_seconds", [1000.0])(table)))
    assert kinds(out) == ["stretch"]


def test_a_failure_has_no_stem_rows(out: str) -> None:
    record = UnitRecord.model_validate_json(pq.read_metadata(unit_path(out, "bb02")).metadata[FOOTER_KEY])
    failed = [source.model_copy(update={"status": "failed"}) for source in record.sources]
    rewrite(out, "bb02", lambda table: table, sources=failed)
    finish(out)
    assert kinds(out) == ["stems_of_failure"]


def test_members_the_footer_is_silent_about_are_findings(out: str) -> None:
    rewrite(out, "bb02", lambda table: table, member_ids=["unheard of"])
    assert kinds(out) == ["silent_member"]


def test_rows_of_superseded_records_are_findings_until_they_are_taken_out(out: str) -> None:
    commit_unit(out, "cc03", [B])
    found = kinds(out)
    assert "counted_twice" in found
    assert "stem_id_twice" in found
    finish(out)
    assert kinds(out) == []


def test_damaged_audio_is_found_by_decoding_only(out: str) -> None:
    rewrite(out, "bb02", replaced("audio", [{"bytes": b"noise", "path": "x.flac"}]))
    assert kinds(out) == []
    assert kinds(out, decode=True) == ["audio"]
    rewrite(out, "bb02", replaced("audio", [pq.read_table(unit_path(out, "aa01"))["audio"][1].as_py()]))
    (finding,) = verify_dataset(out, decode=True).findings
    assert "[C, T] = (2, 80000) at 8000 Hz, its row tells (1, 480000)" in finding.message


def test_a_writer_at_work_is_told_of_and_is_harmless(out: str) -> None:
    with WholeFile(unit_path(out, "dd04")):
        result = verify_dataset(out)
    assert [finding.kind for finding in result.findings] == ["temporary_file"]
    assert result.clean
