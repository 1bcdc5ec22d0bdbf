"""Jobs on a cluster, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from workflows.jobs.job_service import JobState

HEAD = ("NAME", "WORKFLOW", "STATE", "STARTED", "FOR")


def print_jobs(states: Sequence[JobState], *, as_json: bool = False) -> None:
    """One line, or one JSON object, per job."""
    if as_json:
        for state in states:
            print(json.dumps(as_row(state), ensure_ascii=False))
        return
    rows = [HEAD, *((state.name, state.workflow, state.state, *_times(state)) for state in states)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


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


def as_row(state: JobState) -> dict[str, Any]:
    """The job as JSON holds it, times in ISO 8601."""
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(state).items()}


def _times(state: JobState) -> tuple[str, str]:
    if state.started is None:
        return "-", "-"
    length = (state.ended or datetime.now(UTC)) - state.started
    whole = timedelta(seconds=max(0, round(length.total_seconds())))
    return f"{state.started.astimezone():%Y-%m-%d %H:%M:%S}", str(whole)
