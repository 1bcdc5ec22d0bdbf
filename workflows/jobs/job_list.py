"""Jobs on a cluster and what begins them by the clock, as tables or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from workflows.jobs.job_service import JobState, Schedule

HEAD = ("NAME", "WORKFLOW", "STATE", "STARTED", "FOR")
SCHEDULE_HEAD = ("SCHEDULE", "KIND", "CRON", "TIME ZONE", "SUSPENDED", "LAST BEGUN", "LAST SUCCESS", "RUNS NOW")
CLUSTERS_OWN = "the cluster's"


def print_jobs(states: Sequence[JobState], *, as_json: bool = False) -> None:
    """One line, or one JSON object, per job."""
    if as_json:
        for state in states:
            print(json.dumps(as_row(state), ensure_ascii=False))
        return
    _print_table([HEAD, *((state.name, state.workflow, state.state, *_times(state)) for state in states)])


def print_schedules(schedules: Sequence[Schedule], *, as_json: bool = False) -> None:
    """One line, or one JSON object, per schedule; a table of its own, and nothing where there is none."""
    if as_json:
        for schedule in schedules:
            print(json.dumps(as_row(schedule), ensure_ascii=False))
    elif schedules:
        print()
        _print_table([SCHEDULE_HEAD, *map(_cells, schedules)])


def print_job(state: JobState, *, as_json: bool = False) -> None:
    """All that is known of one job."""
    if as_json:
        print(json.dumps(as_row(state), ensure_ascii=False))
        return
    started, length = _times(state)
    code = "" if state.exit_code is None else f", exit code {state.exit_code}"
    print(f"{state.name}: {state.state}{code}\nworkflow  {state.workflow}\nstarted   {started}, for {length}")
    if state.message:
        print(f"why       {state.message}")


def as_row(told: JobState | Schedule) -> dict[str, Any]:
    """A job or a schedule as JSON holds it: its `kind` (job, CronJob, RayCronJob), and times in ISO 8601."""
    fields = {"kind": "job", **asdict(told)}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in fields.items()}


def _cells(schedule: Schedule) -> tuple[str, ...]:
    return (
        schedule.name,
        schedule.kind,
        schedule.cron,
        schedule.time_zone or CLUSTERS_OWN,
        "yes" if schedule.suspended else "no",
        _moment(schedule.last_scheduled),
        _moment(schedule.last_succeeded),
        ", ".join(schedule.active) or "-",
    )


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _moment(time: datetime | None) -> str:
    return "-" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def _times(state: JobState) -> tuple[str, str]:
    if state.started is None:
        return "-", "-"
    length = (state.ended or datetime.now(UTC)) - state.started
    whole = timedelta(seconds=max(0, round(length.total_seconds())))
    return _moment(state.started), str(whole)
