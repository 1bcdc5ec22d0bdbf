"""Progress: what it says reaches the reader as it is."""

from __future__ import annotations

import io

from rich.console import Console

from workflows.progress import Tally, TextProgress


def test_brackets_in_a_name_are_printed_and_not_obeyed() -> None:
    said = io.StringIO()
    progress, tally = TextProgress(Console(file=said)), Tally(units_planned=1)
    progress.start(tally)
    progress.advance(tally, {"messages": ["/live/[/bold] [2020] show.wav: the file is empty"]})
    assert "/live/[/bold] [2020] show.wav: the file is empty" in said.getvalue()
