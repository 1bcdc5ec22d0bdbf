"""The log of a run informs; it never ends the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operators.failure import SourceFailure
from workflows import run_log
from workflows.run_log import RunLog


def unreachable(*_: object) -> None:
    raise SourceFailure(status="failed", error_class="connection", message="503", stage="commit")


def test_events_that_could_not_be_written_are_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "FLUSH_SECONDS", -1.0)
    log = RunLog(str(tmp_path), "run", {})
    with monkeypatch.context() as store_is_away:
        store_is_away.setattr(run_log, "write_whole", unreachable)
        log.event("unit", number=1)
    log.event("unit", number=2)
    lines = (tmp_path / "runs" / "run" / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2]
