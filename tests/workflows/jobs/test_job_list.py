"""Jobs as a table for people, and as JSON for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from workflows.jobs.job_list import print_job, print_jobs, print_schedules
from workflows.jobs.job_service import JobState, Schedule

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DONE = JobState("sq-extract-1", "extract", "failed", AT, AT.replace(hour=13, second=5), 1, "no room")
WAITS = JobState("night", "mine", "pending")

NIGHTLY = Schedule("nightly", "CronJob", "0 2 * * *", "Europe/Vienna", True, last_scheduled=AT, active=("a-r", "b-r"))


def test_a_table_has_a_line_per_job_and_says_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    print_jobs([DONE, WAITS])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "WORKFLOW", "STATE", "STARTED", "FOR"]
    assert first.split()[:3] == ["sq-extract-1", "extract", "failed"]
    assert first.endswith("1:00:05")
    assert second.split() == ["night", "mine", "pending", "-", "-"]
    assert head.index("STATE") == first.index("failed") == second.index("pending")


def test_json_has_every_field_and_times_in_iso(capsys: pytest.CaptureFixture[str]) -> None:
    print_jobs([DONE, WAITS], as_json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["started"] == "2026-01-31T12:00:00+00:00"
    assert (first["exit_code"], first["message"]) == (1, "no room")
    assert (second["started"], second["state"]) == (None, "pending")
    assert first["kind"] == second["kind"] == "job"


def test_a_schedule_says_whether_it_is_suspended_and_what_runs_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_schedules([NIGHTLY])
    gap, head, line = capsys.readouterr().out.splitlines()
    assert gap == ""
    assert line.index("0 2 * * *") == head.index("CRON")
    assert line.index("yes") == head.index("SUSPENDED")
    assert line.index("a-r, b-r") == head.index("RUNS NOW")
    print_schedules([NIGHTLY], as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["last_scheduled"], told["active"]) == ("CronJob", AT.isoformat(), ["a-r", "b-r"])


def test_where_nothing_goes_by_the_clock_nothing_is_printed_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_schedules([])
    assert capsys.readouterr().out == ""


def test_one_job_says_why_it_failed(capsys: pytest.CaptureFixture[str]) -> None:
    print_job(DONE)
    said = capsys.readouterr().out
    assert said.startswith("sq-extract-1: failed, exit code 1\n")
    assert "why       no room" in said
    print_job(WAITS)
    assert "why" not in capsys.readouterr().out
