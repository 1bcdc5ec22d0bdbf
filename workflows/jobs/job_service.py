"""What every place that runs jobs can do: submit, list, look up, follow, cancel, and wait for the end.

`on_ray/jobs.py` does it on a Ray cluster, `on_kubernetes/jobs.py` with a RayJob. A job is known by its name, its work
by a hash (`JobFile.work`): the same work is not begun twice at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from workflows.jobs.job_file import JobFile

Progress = Literal["pending", "running", "succeeded", "failed", "stopped"]
IfRunning = Literal["join", "skip", "fail"]
"""What a second submit of work that is under way does: follow it, leave with success, or leave with an error."""
IF_RUNNING: Final = ("join", "skip", "fail")
LIVE: Final = frozenset({"pending", "running"})
STOPPED_EXIT_CODE: Final = 130
"""Of a job that was cancelled, as of a command that was interrupted."""
OWN_EXIT_CODES: Final = frozenset({1, 2, STOPPED_EXIT_CODE})
"""Failures that a command tells of itself. Others come from without (137: killed), and count as 1."""


class JobError(RuntimeError):
    """A job cannot be submitted, found or followed; the message says why, and what to do."""


@dataclass(frozen=True)
class JobState:
    """How far a job is. `exit_code` is that of its process, 128 + n where signal n ended it."""

    name: str
    workflow: str
    state: Progress
    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    message: str = ""
    """Why it waits or failed, in plain words."""

    @property
    def is_live(self) -> bool:
        """Whether it waits or runs."""
        return self.state in LIVE


@dataclass(frozen=True)
class Schedule:
    """What begins a job by the clock. `kind` is what it is called where it lies: CronJob, RayCronJob."""

    name: str
    kind: str
    cron: str
    time_zone: str | None
    """None: the cluster's own."""
    suspended: bool
    last_scheduled: datetime | None = None
    last_succeeded: datetime | None = None
    active: tuple[str, ...] = ()
    """The jobs that go on now; where one is about to be submitted, what submits it."""


@dataclass(frozen=True)
class Submitted:
    """The job that does the work: a new one, or one that was under way already."""

    name: str
    joined: bool = False
    ended: bool = False
    """What was joined is over: only its end is left to tell."""
    skipped: bool = False
    other_work: bool = False
    """It was skipped for a run of the same schedule, which may do something else."""


class JobService(Protocol):
    """Where jobs run. Everything raises JobError."""

    def submit(self, job: JobFile, name: str | None, if_running: IfRunning) -> Submitted:
        """Begin the job under `name`, or under a name made of its work; or join the one that does this work."""
        ...

    def mounted(self) -> tuple[str, ...]:
        """Folders that every machine of the cluster has, as far as is known before anything is sent."""
        ...

    def list(self) -> list[JobState]:
        """The jobs that were submitted by this program, the newest first."""
        ...

    def schedules(self) -> tuple[Schedule, ...]:
        """What begins jobs by the clock there, by name."""
        ...

    def status(self, name: str) -> JobState:
        """How far the job is."""
        ...

    def logs(self, name: str, follow: bool) -> Iterator[str]:
        """What the job printed, in pieces of any size; with `follow` until its end."""
        ...

    def cancel(self, name: str) -> None:
        """Stop the job; what it committed stays. One that has ended is left as it is."""
        ...

    def wait(self, name: str) -> int:
        """The exit code of the job, when it has ended."""
        ...


def exit_code_of(state: JobState) -> int:
    """What `--follow` ends with: 0 succeeded, 1 failed, 2 wrong use, 130 cancelled.

    >>> exit_code_of(JobState("sq", "extract", "failed", exit_code=137))
    1
    """
    if state.state == "succeeded":
        return 0
    if state.state == "stopped":
        return STOPPED_EXIT_CODE
    return state.exit_code if state.exit_code in OWN_EXIT_CODES else 1


def name_of(job: JobFile, taken: Collection[str]) -> str:
    """`sq-<workflow>-<work>`, with -2, -3 ... behind it where that is taken; at most 30 characters."""
    first = f"sq-{job.workflow}-{job.work}"
    if first not in taken:
        return first
    number = 2
    while f"{first}-{number}" in taken:
        number += 1
    return f"{first}-{number}"


def instead_of(live: JobState, if_running: IfRunning) -> Submitted:
    """What a submit does whose work the job `live` is doing already. Raises JobError where it is to fail."""
    if if_running == "fail":
        raise JobError(f"the same work already runs as {live.name}: join it with --if-running join, or cancel it first")
    return Submitted(live.name, joined=if_running == "join", skipped=if_running == "skip")
