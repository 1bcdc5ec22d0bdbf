"""The GPU time that a run's separators hold, and the end of a run that may hold no more.

Held are the GPUs that the run wants and the cluster has given away, sampled from the first actor until the end. When
the hours are spent, units that have begun are finished and no other begins; the next run finds the rest in its plan.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Event, Thread
from typing import Any, Final

from operators.attempts import AttemptLedger, RemoteAttempts
from workflows.cluster import ClusterError, Placement

SAMPLE_SECONDS: Final = 1.0
Receipt = Mapping[str, Any]


class GpuMeter:
    """Counts while it is `running`; `seconds` are GPU seconds, `is_spent` says that `limit_hours` are reached."""

    def __init__(self, limit_hours: float | None = None) -> None:
        self.limit_hours = limit_hours
        self.seconds = 0.0
        self.is_spent = False

    @contextlib.contextmanager
    def running(self, where: Placement, on_spent: Callable[[], None]) -> Iterator[None]:
        """Counts meanwhile, and calls `on_spent` once. Raises ClusterError for a limit that would never be reached."""
        wanted = where.separators * where.separator_gpus
        if not wanted:
            if self.limit_hours is not None:
                raise ClusterError(
                    f"--max-gpu-hours {self.limit_hours:g}, but this run has no GPU and would never reach it; leave it "
                    "out, or give the cluster a GPU worker"
                )
            yield
            return
        end = Event()
        thread = Thread(target=self._count, args=(wanted, on_spent, end), name="gpu-meter", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def receipts(self, receipts: Iterable[Receipt], attempts: AttemptLedger | RemoteAttempts) -> Iterator[Receipt]:
        """The receipts of units that have begun, until there are no more of them."""
        done: set[str] = set()
        for receipt in receipts:
            if receipt["begun"]:
                done.add(receipt["unit_id"])
                yield receipt
            if self.is_spent and done >= attempts.begun():
                return

    def _count(self, wanted: float, on_spent: Callable[[], None], end: Event) -> None:
        before, held = time.monotonic(), _held(wanted)
        while not end.wait(SAMPLE_SECONDS):
            before, held = self._add(before, held), _held(wanted)
            if self.limit_hours is not None and not self.is_spent and self.seconds >= 3600 * self.limit_hours:
                on_spent()
                self.is_spent = True
        self._add(before, held)

    def _add(self, since: float, held: float) -> float:
        now = time.monotonic()
        self.seconds += held * (now - since)
        return now


def _held(wanted: float) -> float:
    """GPUs that are given away now, but not more than the run wants: others may share the cluster."""
    import ray

    there, free = ray.cluster_resources().get("GPU", 0.0), ray.available_resources().get("GPU", 0.0)
    return min(wanted, max(0.0, there - free))
