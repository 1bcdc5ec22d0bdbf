"""A RayJob, looked at until it is deleted: now, at every change, and every few seconds.

A watch ends by its time-out, or because the connection breaks, or the version it began from is forgotten: each time it
is taken up again. An API server may be away for minutes while its control plane is upgraded; the job runs on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from typing import Final, TypeVar

from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.api import KubernetesApi, Object

TICK_SECONDS: Final = 5
"""How old news of pods may be: a watch of the RayJob tells nothing of them, so that they are asked for."""
PATIENCE_SECONDS: Final = 600.0
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 15.0
T = TypeVar("T")
PASSING: Final = frozenset({410, 429, 500, 502, 503, 504})


def changes(api: KubernetesApi, name: str) -> Iterator[Object]:
    """The RayJob at once, at every change, and at least every TICK_SECONDS; ends when there is none (any more)."""
    from urllib3.exceptions import HTTPError

    version, heard_at, pause = None, time.monotonic(), FIRST_PAUSE_SECONDS
    while True:
        try:
            if version is None:
                job = api.rayjob(name)
                if job is None:
                    return
                version = job["metadata"]["resourceVersion"]
                yield job
            for event in api.watch_rayjob(name, version, TICK_SECONDS):
                if event["type"] == "DELETED":
                    return
                if event["type"] == "ERROR":  # the version is forgotten: look anew
                    version = None
                    break
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    job = event["object"]
                    yield job
            else:
                yield job
            heard_at, pause = time.monotonic(), FIRST_PAUSE_SECONDS
        except (JobError, HTTPError, OSError) as error:
            if not is_passing(error) or time.monotonic() - heard_at > PATIENCE_SECONDS:
                raise error if isinstance(error, JobError) else api.worded(error) from error
            version = None
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def patiently(ask: Callable[[], T]) -> T:
    """The answer to a question, asked again for a while where the API server is away."""
    began_at, pause = time.monotonic(), FIRST_PAUSE_SECONDS
    while True:
        try:
            return ask()
        except JobError as error:
            if not is_passing(error) or time.monotonic() - began_at > PATIENCE_SECONDS:
                raise
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def is_passing(error: Exception, statuses: Collection[int] = PASSING) -> bool:
    """Whether the same request may be answered in a minute. A refusal carries the answer as its cause."""
    cause = error.__cause__ if isinstance(error, JobError) else error
    status = getattr(cause, "status", None)
    return cause is not None and (status is None or status in statuses)
