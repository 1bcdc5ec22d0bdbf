from __future__ import annotations

import io

import pytest
from rich.console import Console

import workflows.live_line
from workflows.export_progress import ExportProgress


def told(console: Console) -> str:
    with ExportProgress(console) as progress:
        progress.start(3, 600.0)
        progress.advance(90.0)
        progress.advance(60.0, files=1)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_elsewhere_than_on_a_terminal_there_is_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(Console(file=io.StringIO())) == ""
    monkeypatch.setattr(workflows.live_line, "LINE_EVERY_SECONDS", 0.0)
    lines = told(Console(file=io.StringIO())).splitlines()
    assert lines == ["0/3 files, 1.5 of 10.0 minutes written", "1/3 files, 2.5 of 10.0 minutes written"]


def test_on_a_terminal_the_line_stays_in_place_and_goes_in_the_end() -> None:
    text = told(Console(file=io.StringIO(), force_terminal=True, width=80))
    assert "1/3 files, 2.5 of 10.0 minutes written" in text
    assert text.endswith("\x1b[2K")  # the line is wiped
    assert told(Console(file=io.StringIO(), quiet=True)) == ""
