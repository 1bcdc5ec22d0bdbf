from __future__ import annotations

from itertools import permutations
from typing import Any

from operators.records import SourceRecord, UnitRecord
from operators.standing import Ledger, MemberOutcome, member_outcomes, outranks


def source(member_id: str, status: str = "ok", **fields: Any) -> SourceRecord:
    heard = {"track": 0} if status in ("ok", "partial") else {}
    known = {"member_id": member_id, "source_uri": f"/{member_id}.wav", "source_version": "v1", "status": status}
    return SourceRecord.model_validate(known | heard | fields)


def unit(unit_id: str, *sources: SourceRecord, attempt: int = 1) -> UnitRecord:
    members = list(dict.fromkeys(item.member_id for item in sources))
    return UnitRecord(
        unit_id=unit_id, run_id="r", attempt=attempt, member_ids=members, sources=list(sources), coverage=[]
    )


def ledger_of(*records: UnitRecord) -> Ledger:
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    return ledger


def test_the_best_status_counts_whatever_the_order() -> None:
    records = [
        unit("a", source("m", "failed", error_class="timeout")),
        unit("b", source("m", "ok"), attempt=2),
        unit("c", source("m", "partial", error_class="truncated"), attempt=3),
    ]
    for order in permutations(records):
        ledger = ledger_of(*order)
        entry = ledger.members["m"]
        assert (entry.unit_id, entry.outcome.status, entry.attempts) == ("b", "ok", 3)
        assert [ledger.counts(name, "m") for name in "abc"] == [False, True, False]


def test_of_equal_statuses_the_latest_attempt_counts_and_then_the_unit_id() -> None:
    first, second = unit("b", source("m", "failed")), unit("a", source("m", "failed"), attempt=2)
    assert ledger_of(first, second).members["m"].unit_id == "a"
    for order in permutations([unit("a", source("m")), unit("b", source("m"))]):
        assert ledger_of(*order).members["m"].unit_id == "b"


def test_a_member_with_a_good_and_a_transient_track_is_partial_and_tried_again() -> None:
    record = unit("a", source("m"), source("m", "failed", track=1, error_class="timeout"), source("n"))
    assert member_outcomes(record) == {
        "m": MemberOutcome("partial", "timeout", 1),
        "n": MemberOutcome("ok", None, 1),
    }


def test_a_failure_of_the_whole_source_stops_counting_once_a_track_is_committed() -> None:
    whole = source("p", "failed", source_uri="/x.mp4", error_class="timeout")
    unseen = source("q", "failed", source_uri="/x.mp4", source_version="", error_class="connection")
    track = source("s", "ok", source_uri="/x.mp4")
    other = source("t", "unreadable", source_uri="/y.mp4")
    ledger = ledger_of(unit("a", whole), unit("b", unseen), unit("c", track), unit("d", other))
    assert sorted(record.member_id for record, _ in ledger.sources()) == ["s", "t"]
    assert set(ledger.members) == {"p", "q", "s", "t"}  # resume still knows them all


def test_a_failure_of_a_clip_counts_whatever_became_of_another_clip_of_the_source() -> None:
    good = source("p", source_uri="/x.mp4", clip_start_seconds=5.0)
    bad = source("q", "failed", source_uri="/x.mp4", clip_start_seconds=9.0, error_class="timeout")
    cut = source("s", source_uri="/x.mp4", clip_start_seconds=9.0)
    assert len(ledger_of(unit("a", good), unit("b", bad)).sources()) == 2
    ledger = ledger_of(unit("a", good), unit("b", bad), unit("c", cut))
    assert sorted(record.member_id for record, _ in ledger.sources()) == ["p", "s"]


def test_a_record_outranks_another_only_without_loss() -> None:
    good, bad = unit("a", source("m"), source("n")), unit("a", source("m"), source("n", "failed"))
    assert outranks(good, bad)
    assert not outranks(bad, good)
    assert not outranks(good, good)
    mixed = unit("a", source("m", "failed"), source("n"))
    assert not outranks(mixed, bad)
    assert not outranks(unit("a", source("m")), bad)
