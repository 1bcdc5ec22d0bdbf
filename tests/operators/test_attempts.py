"""The ledger of attempts: what began and never ended is counted, per member."""

from __future__ import annotations

from operators.attempts import AttemptLedger


def test_what_began_and_never_ended_is_counted() -> None:
    ledger = AttemptLedger()
    assert [ledger.begin("a") for _ in range(4)] == [0, 1, 2, 3]


def test_an_end_forgets_the_member_and_no_other() -> None:
    ledger = AttemptLedger()
    for member in "aab":
        ledger.begin(member)
    ledger.end("a")
    assert ledger.begin("a") == 0
    assert ledger.begin("b") == 1


def test_an_end_without_a_beginning_is_nothing() -> None:
    ledger = AttemptLedger()
    ledger.end("a")
    assert ledger.begin("a") == 0


def test_a_run_that_is_called_off_begins_no_further_unit() -> None:
    ledger = AttemptLedger()
    assert [ledger.begin_unit("a"), ledger.begin_unit("b"), ledger.begin_unit("a")] == [1, 1, 2]
    ledger.call_off()
    assert [ledger.begin_unit("c"), ledger.begin_unit("b")] == [0, 2]
    assert ledger.begun() == {"a", "b"}
