"""The GPU time that a run's separators hold, and the end of a run that may hold no more.

Held are the GPUs that the run wants and the cluster has given away, sampled from the first actor until the end. When
the hours are spent, units that have begun are finished and no other begins; the next run finds the rest in its plan.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Event, Thread
from typing import Any, Final

from operators.attempts import AttemptLedger, RemoteAttempts
from workflows.cluster import ClusterError, Placement
from workflows.progress import Tally

SAMPLE_SECONDS: Final = 1.0
Receipt = Mapping[str, Any]


class GpuMeter:
    """Counts into the tally while it is `running`; `is_spent` says that `limit_hours` are reached, and that no further
    unit begins."""

    def __init__(self, limit_hours: float | None = None, tally: Tally | None = None) -> None:
        self.limit_hours = limit_hours
        self.tally = tally or Tally()
        self.is_spent = False
        self._was_told = False

    @property
    def seconds(self) -> float:
        """GPU seconds that were held so far."""
        return self.tally.gpu_seconds

    @contextlib.contextmanager
    def running(self, where: Placement, on_spent: Callable[[], None]) -> Iterator[None]:
        """Counts meanwhile, and calls `on_spent` until it has returned once. Raises ClusterError for a limit that would
        never be reached."""
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
        before, held = time.monotonic(), 0.0
        with self._patience():
            held = _held(wanted)
        while not end.wait(SAMPLE_SECONDS):
            before = self._add(before, held)
            with self._patience():
                held = _held(wanted)
            with self._patience():
                if self.limit_hours is not None and not self.is_spent and self.seconds >= 3600 * self.limit_hours:
                    on_spent()
                    self.is_spent = True
        self._add(before, held)

    def _add(self, since: float, held: float) -> float:
        now = time.monotonic()
        self.tally.gpu_seconds += held * (now - since)
        return now

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        """A cluster that loses a node does not always answer. The limit holds all the same: what was held last is
        counted on, and what could not be called off is called off at a later sample."""
        try:
            yield
        except Exception as error:
            if not self._was_told:
                print(
                    f"soundquarry: the cluster does not say what its GPUs do ({type(error).__name__}: {error}); they "
                    "are counted on as they were, and it is asked again",
                    file=sys.stderr,
                )
            self._was_told = True


def _held(wanted: float) -> float:
    """GPUs that are given away now, but not more than the run wants: others may share the cluster."""
    import ray

    there, free = ray.cluster_resources().get("GPU", 0.0), ray.available_resources().get("GPU", 0.0)
    return min(wanted, max(0.0, there - free))
