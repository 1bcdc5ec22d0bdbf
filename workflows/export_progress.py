"""How far an export is, for a person: a line that stays in place on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console

from workflows.live_line import LiveLine


class ExportProgress:
    """`start` once the plan is known, then `advance`; leaving the `with` block takes the line away."""

    def __init__(self, console: Console) -> None:
        self._line = LiveLine(console)
        self._files = self._files_planned = 0
        self._seconds = self._seconds_planned = 0.0

    def __enter__(self) -> Self:
        self._line.start("planning ...")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._line.stop()

    def start(self, files: int, seconds: float) -> None:
        """So many files with so many seconds of audio are to be written."""
        self._files_planned, self._seconds_planned = files, seconds

    def advance(self, seconds: float, files: int = 0) -> None:
        """So many seconds more are written, and so many files more are there."""
        self._seconds += seconds
        self._files += files
        self._line.show(self._seconds / max(self._seconds_planned, 1e-9), str(self))

    def __str__(self) -> str:
        minutes = f"{self._seconds / 60:.1f} of {self._seconds_planned / 60:.1f} minutes"
        return f"{self._files}/{self._files_planned} files, {minutes} written"
