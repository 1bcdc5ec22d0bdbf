"""What a container prints, from its beginning to its end: no gap and no repetition where the connection breaks.

A log that is followed ends by itself where a kubelet rotates it, or a proxy loses patience; it is taken up again from
the last line. Lines are read in a thread, so that whoever waits for them can look at the job meanwhile.
"""

from __future__ import annotations

import math
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.api import KubernetesApi
from workflows.jobs.on_kubernetes.rayjob_pods import Printing
from workflows.jobs.on_kubernetes.watch import PASSING, PATIENCE_SECONDS, TICK_SECONDS, is_passing

STAMPED: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(\S*) ?(.*)", re.DOTALL)
OVERLAP_SECONDS: Final = 30
"""Asked for again behind a break; lines that were there already are left out by their time."""
PAUSE_SECONDS: Final = 1.0
MOST_LINES_AHEAD: Final = 10_000
NO_LOG: Final = frozenset({400, 404})
"""Answers for a container that has not begun, and for a pod that is gone."""
Stamp = tuple[str, str]


class PodLog:
    """One log. Lines come without their line break."""

    def __init__(self, api: KubernetesApi, source: Printing) -> None:
        self._api = api
        self._source = source
        self._last: Stamp = ("", "")
        self._as_last = 0  # lines that bear the last time stamp
        self._heard_at: float | None = None

    def so_far(self) -> Iterator[str]:
        """What it has printed until now, beyond what came already; nothing where it has not begun, or is gone."""
        from urllib3.exceptions import HTTPError

        began_at = time.monotonic()
        while True:
            try:
                yield from self._new(self._read(follow=False))
                return
            except (JobError, HTTPError, OSError) as error:
                if getattr(error.__cause__, "status", None) in NO_LOG:
                    return
                if not is_passing(error) or time.monotonic() - began_at > PATIENCE_SECONDS:
                    raise error if isinstance(error, JobError) else self._api.worded(error) from error
            time.sleep(PAUSE_SECONDS)

    def follow(self, is_over: Callable[[], bool]) -> Iterator[str]:
        """What it prints, until `is_over`, which is asked every TICK_SECONDS, and where the log ends."""
        asked_at = time.monotonic()
        while True:
            for line in self._new(self._unless_broken(self._read(follow=True))):
                if line is not None:
                    yield line
                if time.monotonic() - asked_at >= TICK_SECONDS:
                    asked_at = time.monotonic()
                    if is_over():
                        break
            if is_over():
                break
            time.sleep(PAUSE_SECONDS)
        yield from self.so_far()

    def _read(self, *, follow: bool) -> Iterator[str]:
        since = None
        if self._heard_at is not None:  # by this clock on both sides: that of the node may be another one
            since = math.ceil(time.monotonic() - self._heard_at) + OVERLAP_SECONDS
        return self._api.log(self._source.pod, self._source.container, follow=follow, since_seconds=since)

    def _unless_broken(self, lines: Iterator[str]) -> Iterator[str | None]:
        """The lines, and None every TICK_SECONDS without one; ends where they end, or the connection breaks."""
        arrived: queue.Queue[str | Exception | None] = queue.Queue(MOST_LINES_AHEAD)
        threading.Thread(target=_pass_on, args=(lines, arrived), daemon=True).start()
        while True:
            try:
                found = arrived.get(timeout=TICK_SECONDS)
            except queue.Empty:
                yield None
                continue
            if isinstance(found, JobError) and not is_passing(found, PASSING | NO_LOG):
                raise found
            if found is None or isinstance(found, Exception):
                return
            yield found

    def _new(self, lines: Iterator[str | None]) -> Iterator[str | None]:
        """Those lines that did not come before, without their time stamps."""
        known, repeated = self._last, self._as_last
        for line in lines:
            if line is None:
                yield None
                continue
            stamp, text = stamped(line)
            if stamp < known:
                continue
            if stamp == known and repeated:
                repeated -= 1
                continue
            self._as_last = self._as_last + 1 if stamp == self._last else 1
            self._last, self._heard_at = stamp, time.monotonic()
            yield text


def stamped(line: str) -> tuple[Stamp, str]:
    """A line's time, such that later ones are greater, and its text.

    >>> stamped("2026-01-31T09:00:00.05Z 3 of 9 units")
    (('2026-01-31T09:00:00', '050000000'), '3 of 9 units')
    """
    found = STAMPED.fullmatch(line)
    if found is None:
        return ("", ""), line
    return (found[1], (found[2] or "").ljust(9, "0")), found[4]


def _pass_on(lines: Iterator[str], arrived: queue.Queue[str | Exception | None]) -> None:
    from urllib3.exceptions import HTTPError

    try:
        for line in lines:
            arrived.put(line)
    except (JobError, HTTPError, OSError) as error:
        arrived.put(error)
    else:
        arrived.put(None)
