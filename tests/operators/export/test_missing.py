from __future__ import annotations

from pathlib import Path

import pytest
from fabricated_dataset import Member, commit_unit, sign, write_plan

from operators.export.missing import Missing, missing_of
from operators.export.plan import plan_events, plan_stems
from operators.export.selection import Selection, select
from operators.records import SourceRecord, UnitRecord
from operators.standing import Ledger


@pytest.fixture
def out(tmp_path: Path) -> str:
    sign(str(tmp_path), kind="extract")
    return str(tmp_path)


def stretch(start: float, *, version: str = "v1", status: str = "ok", uri: str = "/a.wav", **more: object) -> Member:
    """Ten minutes of a track, of which one second holds the sound."""
    fields = {"track": 0} if status == "failed" else {}
    stems = {"dog": []} if start else None
    return Member(uri, 600.0, start, status=status, version=version, fields=fields, stems=stems, **more)  # type: ignore[arg-type]


def missing(out: str) -> list[tuple[str, int, float, float, bool]]:
    told = select(out, Selection()).missing.values()
    return [(one.source_uri, one.track, one.seconds, one.first_seconds, one.is_open) for one in told]


def test_a_gap_between_committed_stretches_is_missing_whether_it_failed_or_was_never_tried(out: str) -> None:
    commit_unit(out, "aa00", [stretch(0.0)])
    commit_unit(out, "aa03", [stretch(1800.0)])
    assert missing(out) == [("/a.wav", 0, 1200.0, 600.0, False)]
    commit_unit(out, "aa01", [stretch(600.0, status="failed")])
    assert missing(out) == [("/a.wav", 0, 1200.0, 600.0, False)]
    commit_unit(out, "aa02", [stretch(1200.0)])
    assert missing(out) == [("/a.wav", 0, 600.0, 600.0, False)]
    commit_unit(out, "aa04", [stretch(600.0)], attempt=2)
    assert missing(out) == []


def test_a_failure_at_an_end_is_missing_as_long_as_the_plan_tells(out: str) -> None:
    commit_unit(out, "aa01", [stretch(600.0), Member("/b.wav")])
    commit_unit(out, "aa00", [stretch(0.0, status="failed")])
    commit_unit(out, "aa02", [stretch(1200.0, status="failed")])
    assert missing(out) == [("/a.wav", 0, 600.0, 0.0, True)]
    assert str(select(out, Selection()).missing["/a.wav", 0]) == "/a.wav: 600.0 s and more, first at 0 s"
    write_plan(out, {"aa00": [stretch(0.0)], "aa01": [stretch(600.0)], "aa02": [stretch(1200.0)]})
    assert missing(out) == [("/a.wav", 0, 1200.0, 0.0, False)]


def test_what_an_interrupted_run_planned_and_never_did_is_missing(out: str) -> None:
    commit_unit(out, "aa00", [stretch(0.0)])
    write_plan(out, {f"aa0{k}": [stretch(600.0 * k)] for k in range(3)})
    assert missing(out) == [("/a.wav", 0, 1200.0, 600.0, False)]
    (file,) = plan_stems(select(out, Selection()))
    assert (file.missing_seconds, file.seconds) == (1200.0, 600.0)
    assert {event.missing_seconds for event in plan_events(out, select(out, Selection()))} == {0.0}


def test_a_newer_version_that_is_committed_in_part_is_told_of(out: str) -> None:
    for version, run, parts in (("old", "20260101T000000Z-1", 2), ("new", "20260102T000000Z-1", 1)):
        for k in range(parts):
            commit_unit(out, f"{version}{k}", [stretch(600.0 * k, version=version)], run_id=run)
        planned = {f"{version}{k}": [stretch(600.0 * k, version=version)] for k in range(2)}
        write_plan(out, planned, name=run)
    selected = select(out, Selection())
    assert selected.versions_left_out == 1
    assert missing(out) == [("/a.wav", 0, 600.0, 600.0, False)]


def test_what_a_cut_off_file_lacks_is_missing_and_a_header_that_rounds_is_not(out: str) -> None:
    whole = stretch(0.0)
    short = Member("/a.wav", 80.0, status="partial", error_class="truncated", member_id=whole.member_id)
    commit_unit(out, "aa00", [short])
    commit_unit(out, "aa01", [Member("/b.wav", 599.9)])
    write_plan(out, {"aa00": [whole], "aa01": [stretch(0.0, uri="/b.wav")]})
    assert missing(out) == [("/a.wav", 0, 520.0, 80.0, False)]


def test_sources_that_are_not_exported_are_not_told_of(out: str) -> None:
    commit_unit(out, "aa00", [Member("/b.wav"), stretch(0.0)])
    write_plan(out, {"aa00": [stretch(0.0)], "aa01": [stretch(600.0)]})
    assert select(out, Selection(sources=("/b.wav",))).missing == {}


def record(*spans: tuple[float, float, tuple[float, float] | None, str]) -> Ledger:
    """(start, seconds, clip, status) of members of one track, as the ledger knows them."""
    ledger = Ledger()
    for index, (start, seconds, clip, status) in enumerate(spans):
        source = SourceRecord(
            member_id=f"m{index}", source_uri="/a.wav", source_version="v", track=0, start_seconds=start,
            seconds=seconds, clip_start_seconds=clip[0] if clip else None, clip_end_seconds=clip[1] if clip else None,
            status=status,
        )  # fmt: skip
        ledger.add(UnitRecord(unit_id=f"u{index}", run_id="r", member_ids=[f"m{index}"], sources=[source], coverage=[]))
    return ledger


def test_what_lies_between_two_clips_is_not_missing_and_a_clip_that_failed_is(tmp_path: Path) -> None:
    clips = [(10.0, 5.0, (10.0, 15.0), "ok"), (100.0, 5.0, (100.0, 105.0), "ok")]
    assert missing_of(str(tmp_path), record(*clips), {"/a.wav": "v"}) == {}
    clips.append((50.0, 0.0, (50.0, 60.0), "failed"))
    told = missing_of(str(tmp_path), record(*clips), {"/a.wav": "v"})
    assert told == {("/a.wav", 0): Missing("/a.wav", 0, 10.0, 50.0, False)}


def test_a_track_that_broke_off_in_the_middle_goes_on_for_nobody_knows_how_long(tmp_path: Path) -> None:
    source = {"member_id": "m", "source_uri": "/a.wav", "source_version": "v", "track": 0}
    sources = [SourceRecord(**source, seconds=600.0, status="ok"), SourceRecord(**source, status="failed")]
    ledger = Ledger()
    ledger.add(UnitRecord(unit_id="u", run_id="r", member_ids=["m"], sources=sources, coverage=[]))
    told = missing_of(str(tmp_path), ledger, {"/a.wav": "v"})["/a.wav", 0]
    assert (told.seconds, told.first_seconds, told.is_open) == (0.0, 600.0, True)
    assert str(told) == "/a.wav: an unknown length, first at 600 s"


def test_a_plan_that_cannot_be_read_is_told_of(out: str) -> None:
    commit_unit(out, "aa00", [Member("/b.wav")])
    write_plan(out, {})
    Path(out, "plan", "run-1.parquet").write_bytes(b"no plan")
    with pytest.raises(OSError, match=r"run-1\.parquet is no plan that can be read"):
        select(out, Selection())
