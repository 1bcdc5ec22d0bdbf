"""Jobs on a Ray cluster that is there already, by the job submission API of its head.

The job runs this program's own code, shipped along, in the Python of the head. A head that is restarted forgets its
jobs, and they end with it.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, TypeVar

from workflows.jobs.job_file import JobFile
from workflows.jobs.job_parcel import JOB_FILE, parcel
from workflows.jobs.job_service import (
    IfRunning,
    JobError,
    JobState,
    Progress,
    Schedule,
    Submitted,
    exit_code_of,
    instead_of,
    name_of,
)
from workflows.jobs.on_ray.client import NameTakenError, Unanswered, UnknownJobError, connect, in_words, tail
from workflows.jobs.on_ray.shipped_code import shipped_code
from workflows.jobs.on_ray.troubles import AGAIN, exit_code_from, words

PYTHON: Final = "python"
POLL_SECONDS: Final = 1.0
SUBMITS: Final = 3
CANCEL_SECONDS: Final = 60.0
"""A driver has 3 s to end by itself, before Ray kills it."""
PATIENCE_SECONDS: Final = 120.0
"""How long a head may be away while a job of it is followed: a pod is back by then."""
STATES: Final[dict[str, Progress]] = {
    "PENDING": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "STOPPED": "stopped",
}
PROGRAM: Final = "soundquarry"
T = TypeVar("T")


@dataclass(frozen=True)
class RayJobs:
    """The jobs of the head whose dashboard is at `address`."""

    address: str
    python: str = PYTHON
    """The interpreter on the head; a bare name is looked up in its PATH."""
    patience_seconds: float = PATIENCE_SECONDS

    def mounted(self) -> tuple[str, ...]:
        """Nothing is known of the folders of a cluster's machines."""
        return ()

    def submit(self, job: JobFile, name: str | None, if_running: IfRunning) -> Submitted:
        """Begin the job, or join the one that does its work."""
        sent = parcel(job)
        for _ in range(SUBMITS):  # another submit may take the name meanwhile; its job is found the next time
            jobs = self._all()
            live = next((state_of(found) for found in jobs if _work_of(found) == job.work and not _ended(found)), None)
            if live is not None:
                return instead_of(live, if_running)
            taken = {found.submission_id: state_of(found) for found in jobs}
            if name in taken:
                raise JobError(
                    f"there is a job {name} already, which has other work or has ended ({taken[name].state}): give "
                    "another --name, or none"
                )
            chosen = name or name_of(job, taken)
            with suppress(NameTakenError), shipped_code(sent.files) as folder, in_words(self.address):
                self._client.submit_job(
                    entrypoint=f"{shlex.quote(self.python)} -m workflows.cli run {JOB_FILE}",
                    submission_id=chosen,
                    runtime_env={"working_dir": str(folder)},
                    metadata={"program": PROGRAM, "name": chosen, "workflow": job.workflow, "work": job.work},
                )
                return Submitted(chosen)
        raise JobError(f"others take the names {chosen} ... as fast as we find them free; submit again in a moment")

    def list(self) -> list[JobState]:
        """The jobs of this program that the head remembers, the newest first."""
        ours = [found for found in self._all() if found.metadata and found.metadata.get("program") == PROGRAM]
        return [state_of(found) for found in sorted(ours, key=lambda found: found.start_time or 0, reverse=True)]

    def schedules(self) -> tuple[Schedule, ...]:
        """Ray begins nothing by the clock."""
        return ()

    def status(self, name: str) -> JobState:
        """How far the job is."""
        try:
            return state_of(self._details(name))
        except UnknownJobError:
            raise UnknownJobError(
                f"the head at {self.address} knows no job {name}: `soundquarry jobs list` names those it knows; a head "
                "that was restarted has forgotten all of them"
            ) from None

    def logs(self, name: str, follow: bool) -> Iterator[str]:
        """What the job printed; with `follow` until its end, however often the connection is lost meanwhile."""
        state, told = self.status(name), 0
        while follow and state.is_live:
            with suppress(Unanswered):
                behind = told  # a tail begins at the beginning
                for piece in tail(self._client, name, self.address, lambda: not self._patiently(name).is_live):
                    new, behind = piece[behind:], max(0, behind - len(piece))
                    told += len(new)
                    if new:
                        yield new
            state = self._patiently(name)
            if state.is_live:
                time.sleep(POLL_SECONDS)
        yield self._asked_again(name, lambda: self._whole_log(name))[told:]

    def cancel(self, name: str) -> None:
        """Stop the job, if it has not ended; returns when it has."""
        state, gives_up = self.status(name), time.monotonic() + CANCEL_SECONDS
        while state.is_live:
            if time.monotonic() > gives_up:
                raise JobError(
                    f"{name} is still {state.state} {CANCEL_SECONDS:.0f} s after it was told to stop: see `soundquarry "
                    f"jobs status {name}`"
                )
            with in_words(self.address):
                self._client.stop_job(name)  # again, since one that is only about to start does not hear it
            time.sleep(POLL_SECONDS)
            state = self._patiently(name)

    def wait(self, name: str) -> int:
        """The exit code of the job, when it has ended."""
        while (state := self._patiently(name)).is_live:
            time.sleep(POLL_SECONDS)
        return exit_code_of(state)

    @cached_property
    def _client(self) -> Any:
        return connect(self.address)

    def _all(self) -> Any:
        """What the head tells of every job that was submitted to it, by us or by others."""
        with in_words(self.address):
            return [found for found in self._client.list_jobs() if found.submission_id]

    def _details(self, name: str) -> Any:
        with in_words(self.address):
            return self._client.get_job_info(name)

    def _whole_log(self, name: str) -> str:
        with in_words(self.address):
            return str(self._client.get_job_logs(name))

    def _patiently(self, name: str) -> JobState:
        """How far a job is that the head has known, with time for the head to come back."""
        return self._asked_again(name, lambda: state_of(self._details(name)))

    def _asked_again(self, name: str, ask: Callable[[], T]) -> T:
        """What the head says of a job that it has known, with time for it to come back."""
        gives_up = time.monotonic() + self.patience_seconds
        while True:
            try:
                return ask()
            except UnknownJobError:
                raise JobError(
                    f"the head at {self.address} was restarted and has forgotten {name}, which ended with it; {AGAIN}"
                ) from None
            except Unanswered as error:
                if time.monotonic() > gives_up:
                    raise JobError(
                        f"the head has been silent for {self.patience_seconds:.0f} s, and {name} may have ended with "
                        f"it ({error}); {AGAIN}"
                    ) from None
            time.sleep(POLL_SECONDS)


def state_of(details: Any) -> JobState:
    """`JobDetails` of Ray as our state."""
    return JobState(
        name=details.submission_id,
        workflow=(details.metadata or {}).get("workflow", ""),
        state=STATES[details.status.value],
        started=_time(details.start_time),
        ended=_time(details.end_time),
        exit_code=exit_code_from(details),
        message=words(details),
    )


def _work_of(details: Any) -> str | None:
    found: str | None = (details.metadata or {}).get("work")
    return found


def _ended(details: Any) -> bool:
    return bool(details.status.is_terminal())


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
