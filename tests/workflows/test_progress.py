"""Progress: what it says reaches the reader as it is."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from workflows.progress import Several, Tally, TextProgress


def test_brackets_in_a_name_are_printed_and_not_obeyed() -> None:
    said = io.StringIO()
    progress, tally = TextProgress(Console(file=said)), Tally(units_planned=1)
    progress.start(tally)
    progress.advance(tally, {"messages": ["/live/[/bold] [2020] show.wav: the file is empty"]})
    assert "/live/[/bold] [2020] show.wav: the file is empty" in said.getvalue()


def test_several_are_told_the_same_in_their_order() -> None:
    said: list[str] = []

    class Notes:
        def __init__(self, name: str) -> None:
            self.name = name

        def start(self, tally: Tally) -> None:
            said.append(f"{self.name} start {tally.units_planned}")

        def advance(self, tally: Tally, receipt: Mapping[str, Any]) -> None:
            said.append(f"{self.name} advance {receipt['unit_id']}")

        def end(self, tally: Tally, summary: Mapping[str, Any]) -> None:
            said.append(f"{self.name} end {summary['lost']}")

        def give_up(self) -> None:
            said.append(f"{self.name} give up")

    several, tally = Several(Notes("one"), Notes("other")), Tally(units_planned=2)
    several.start(tally)
    several.advance(tally, {"unit_id": "a"})
    several.end(tally, {"lost": 0, "left": 0})
    several.give_up()
    steps = ("start 2", "advance a", "end 0", "give up")
    assert said == [f"{name} {step}" for step in steps for name in ("one", "other")]
