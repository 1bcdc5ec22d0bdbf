"""How far an export is, for a person: a line that stays in place on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from workflows.progress import BAR_WIDTH, LINE_EVERY_SECONDS


class ExportProgress:
    """`start` once the plan is known, then `advance`; leaving the `with` block takes the line away."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._files = self._files_planned = 0
        self._seconds = self._seconds_planned = 0.0
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(Text("planning ..."), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def start(self, files: int, seconds: float) -> None:
        """So many files with so many seconds of audio are to be written."""
        self._files_planned, self._seconds_planned = files, seconds

    def advance(self, seconds: float, files: int = 0) -> None:
        """So many seconds more are written, and so many files more are there."""
        self._seconds += seconds
        self._files += files
        now = time.monotonic()
        if self._live is not None:
            share = min(1.0, self._seconds / max(self._seconds_planned, 1e-9))
            self._live.update(Text(f"{'━' * round(BAR_WIDTH * share):<{BAR_WIDTH}} {self}"))
        elif now - self._said > LINE_EVERY_SECONDS:
            self._said = now
            self._console.print(str(self), highlight=False, soft_wrap=True)

    def __str__(self) -> str:
        minutes = f"{self._seconds / 60:.1f} of {self._seconds_planned / 60:.1f} minutes"
        return f"{self._files}/{self._files_planned} files, {minutes} written"
