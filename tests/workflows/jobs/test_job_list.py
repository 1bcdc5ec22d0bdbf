"""Jobs as a table for people, and as JSON for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from workflows.jobs.job_list import print_job, print_jobs
from workflows.jobs.job_service import JobState

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DONE = JobState("sq-extract-1", "extract", "failed", AT, AT.replace(hour=13, second=5), 1, "no room")
WAITS = JobState("night", "mine", "pending")


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


def test_one_job_says_why_it_failed(capsys: pytest.CaptureFixture[str]) -> None:
    print_job(DONE)
    said = capsys.readouterr().out
    assert said.startswith("sq-extract-1: failed, exit code 1\n")
    assert "why       no room" in said
    print_job(WAITS)
    assert "why" not in capsys.readouterr().out
