"""What a run leaves behind of itself: OUT/runs/<run_id>/run.json and events.jsonl.

`run.json` says what was asked, by which versions, and how it ended; `events.jsonl` has one line per receipt. They
inform; the truth is in the committed files.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import platform
import secrets
import time
from typing import Any, Final

from operators.failure import SourceFailure
from operators.whole_file import place, write_whole

FLUSH_SECONDS: Final = 20.0


def new_run_id() -> str:
    """A run id that sorts by time: 20260131T120000Z-3f9a."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def versions() -> dict[str, str]:
    """Versions that a result may depend on."""
    found = {"python": platform.python_version()}
    for name in ("soundquarry", "torch", "ray", "pyarrow", "transformers"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


class RunLog:
    """The log of one run; `event` appends a line, `finish` writes how it ended."""

    def __init__(self, out_uri: str, run_id: str, asked: dict[str, Any]) -> None:
        self.folder = place(out_uri) / "runs" / run_id
        self._lines: list[str] = []
        self._flushed_at = time.monotonic()
        self._run: dict[str, Any] = {
            "run_id": run_id,
            "state": "running",
            "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            **asked,
        }
        self._write_run()

    def event(self, kind: str, **content: Any) -> None:
        """Append one event; it is on disk at most `FLUSH_SECONDS` later."""
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self._lines.append(json.dumps({"at": at, "event": kind, **content}, ensure_ascii=False))
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            with contextlib.suppress(SourceFailure, OSError):  # the next flush writes all: a log must not end the run
                self._flush()

    def finish(self, state: str, **content: Any) -> None:
        """Write the end of the run: `state` is done, failed or interrupted."""
        self._run |= {
            "state": state,
            "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            **content,
        }
        self._flush()
        self._write_run()

    def _flush(self) -> None:
        # An object store cannot append, so the file is written whole: a few hundred bytes per unit.
        self._flushed_at = time.monotonic()
        if self._lines:
            write_whole((self.folder / "events.jsonl").uri, ("\n".join(self._lines) + "\n").encode())

    def _write_run(self) -> None:
        write_whole(
            (self.folder / "run.json").uri, (json.dumps(self._run, indent=2, ensure_ascii=False) + "\n").encode()
        )
