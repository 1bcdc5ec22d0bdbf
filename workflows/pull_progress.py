"""How far a download is: a line that stays in place on a terminal, one every ten seconds elsewhere, or JSON lines."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import Self

from rich.console import Console

from workflows.live_line import LiveLine


class PullProgress:
    """`start` a file, then tell what was `heard` of it; leaving the `with` block takes the line away."""

    def __init__(self, console: Console, *, as_json: bool = False) -> None:
        self._console = console
        self._as_json = as_json
        self._line = LiveLine(console)
        self._name, self._size_bytes, self._done, self._resumed = "", 0, 0, 0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if not self._as_json:
            self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._line.stop()

    def say(self, sentence: str) -> None:
        """Something else that happens."""
        if self._as_json:
            print(json.dumps({"event": "note", "message": sentence}), flush=True)
        else:
            self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def start(self, name: str, size_bytes: int) -> None:
        """The next file."""
        self._name, self._size_bytes, self._done, self._resumed = name, size_bytes, 0, -1
        self._began = time.monotonic()

    def heard(self, done_bytes: int) -> None:
        """So many bytes of it are here; the first call tells how many were here before."""
        if self._resumed < 0:
            self._resumed = done_bytes
        self._done = done_bytes
        last = done_bytes == self._size_bytes
        if not self._as_json:
            self._line.show(done_bytes / max(1, self._size_bytes), str(self), last=last)
        elif self._line.due(last=last):
            print(json.dumps({"event": "fetch", **self.numbers()}), flush=True)

    def numbers(self) -> dict[str, str | int | float]:
        """Name, bytes so far and in all, and the speed of this fetch."""
        seconds = max(time.monotonic() - self._began, 1e-6)
        speed = max(0, self._done - max(0, self._resumed)) / 1e6 / seconds
        return {
            "file": self._name,
            "bytes": self._done,
            "size_bytes": self._size_bytes,
            "mb_per_second": round(speed, 2),
        }

    def __str__(self) -> str:
        size = f"{self._done / 1e6:.1f} of {self._size_bytes / 1e6:.1f} MB"
        return f"{self._name}: {size}, {self.numbers()['mb_per_second']} MB/s"
