"""Progress a person can read: a bar on a terminal, lines elsewhere, one JSON object per line with `--json`.

Audio-hours done, speed as x real time, time left, failures, and what earlier runs had done already.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.markup import escape

from workflows.live_line import LiveLine

Style = Literal["bar", "lines", "json"]


@dataclass
class Tally:
    """What the receipts add up to so far, and of which run. Seconds of audio, counts of everything else."""

    run_id: str = ""
    workflow: str = ""
    model: str = ""
    units_planned: int = 0
    seconds_planned: float = 0.0
    units_unprobed: int = 0
    already_done: int = 0
    deleted: int = 0
    units: int = 0
    units_uncommitted: int = 0
    units_begun_again: int = 0
    seconds: float = 0.0
    stems: int = 0
    events: int = 0
    windows: int = 0
    pairs: int = 0
    pairs_passed: int = 0
    size_bytes: int = 0
    gpu_seconds: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)

    def add(self, receipt: Mapping[str, Any]) -> None:
        """Count one receipt."""
        self.units += 1
        self.units_uncommitted += not receipt["committed"]
        self.units_begun_again += receipt["begun"] > 1
        for name in ("seconds", "stems", "events", "windows", "pairs", "pairs_passed", "size_bytes"):
            setattr(self, name, getattr(self, name) + receipt[name])
        for error_class in receipt["error_classes"]:
            self.failures[error_class] = self.failures.get(error_class, 0) + 1


class Progress(Protocol):
    """Where a workflow reports to."""

    def start(self, tally: Tally) -> None:
        """The plan is known."""

    def advance(self, tally: Tally, receipt: Mapping[str, Any]) -> None:
        """A unit came back."""

    def end(self, tally: Tally, summary: Mapping[str, Any]) -> None:
        """The run is over."""

    def give_up(self) -> None:
        """The run failed: the terminal is left as it was found."""


class Several:
    """Tells several what happens, in this order."""

    def __init__(self, *told: Progress) -> None:
        self.told = told

    def start(self, tally: Tally) -> None:
        for progress in self.told:
            progress.start(tally)

    def advance(self, tally: Tally, receipt: Mapping[str, Any]) -> None:
        for progress in self.told:
            progress.advance(tally, receipt)

    def end(self, tally: Tally, summary: Mapping[str, Any]) -> None:
        for progress in self.told:
            progress.end(tally, summary)

    def give_up(self) -> None:
        for progress in self.told:
            progress.give_up()


def describe(tally: Tally, elapsed_seconds: float) -> str:
    """One line: `0.42 of 1.30 h, 25 x real time, 2 min left, 3 stems ...`."""
    speed = tally.seconds / elapsed_seconds if elapsed_seconds > 0 else 0.0
    planned = f" of {tally.seconds_planned / 3600:.2f}" if tally.seconds_planned else ""
    more = "+" if tally.units_unprobed else ""
    parts = [
        f"{tally.units}/{tally.units_planned} units",
        f"{tally.seconds / 3600:.2f}{planned}{more} h",
        f"{speed:.1f} x real time",
    ]
    left = tally.units_planned - tally.units
    if tally.units and left:
        parts.append(f"{clock(elapsed_seconds / tally.units * left)} left")
    parts.append(f"{tally.stems} stems")
    if tally.already_done:
        parts.append(f"{tally.already_done} already done")
    if tally.failures:
        parts.append("failures: " + ", ".join(f"{n} {name}" for name, n in sorted(tally.failures.items())))
    return ", ".join(parts)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


class TextProgress:
    """A line that stays in place on a terminal, a line every few seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._line = LiveLine(console)
        self._began = time.monotonic()

    def start(self, tally: Tally) -> None:
        self._began = time.monotonic()
        self._line.start("starting ...")

    def advance(self, tally: Tally, receipt: Mapping[str, Any]) -> None:
        for message in receipt["messages"]:
            self.console.print(f"[yellow]![/] {escape(message)}", highlight=False, soft_wrap=True)
        line = describe(tally, time.monotonic() - self._began)
        last = tally.units == tally.units_planned
        self._line.show(tally.units / max(1, tally.units_planned), line, last=last)

    def give_up(self) -> None:
        self._line.stop()

    def end(self, tally: Tally, summary: Mapping[str, Any]) -> None:
        if self._line.stop():
            self.console.print(describe(tally, time.monotonic() - self._began), highlight=False, soft_wrap=True)


class JsonProgress:
    """One JSON object per line: `plan`, then a `unit` per receipt, then `done`; on what is standard output now."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._began = time.monotonic()

    def start(self, tally: Tally) -> None:
        self._began = time.monotonic()
        self._say("plan", **asdict(tally))

    def advance(self, tally: Tally, receipt: Mapping[str, Any]) -> None:
        elapsed = time.monotonic() - self._began
        done = {
            "units_done": tally.units,
            "seconds_done": round(tally.seconds, 3),
            "x_real_time": round(tally.seconds / max(elapsed, 1e-9), 2),
        }
        self._say("unit", **receipt, **done)

    def end(self, tally: Tally, summary: Mapping[str, Any]) -> None:
        self._say("done", **summary)

    def give_up(self) -> None:
        """Nothing to say: the error itself goes to standard error."""

    def _say(self, kind: str, **content: Any) -> None:
        print(json.dumps({"event": kind, **content}, ensure_ascii=False), file=self._out, flush=True)
