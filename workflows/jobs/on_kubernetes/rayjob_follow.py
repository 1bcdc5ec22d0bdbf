"""A RayJob that somebody waits for: phases and troubles are told once each, its log is handed on, its end is awaited.

It is followed through retries: each has a new cluster, a new submitter, and a log of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from workflows.jobs.job_service import JobError, JobState
from workflows.jobs.on_kubernetes.api import KubernetesApi, Object
from workflows.jobs.on_kubernetes.pod_log import PodLog
from workflows.jobs.on_kubernetes.rayjob_phase import phase_of
from workflows.jobs.on_kubernetes.rayjob_pods import Printing, events_of, mode_of, pods_of, printing
from workflows.jobs.on_kubernetes.rayjob_state import is_over, progress_of, state_of, status_of, when_cancelled
from workflows.jobs.on_kubernetes.troubles import explained, troubles
from workflows.jobs.on_kubernetes.watch import changes, patiently


class Following:
    """One RayJob. `say` is given sentences about it, which are no part of what it prints."""

    def __init__(self, api: KubernetesApi, name: str, say: Callable[[str], None]) -> None:
        self._api = api
        self._name = name
        self._say = say
        self._told: set[str] = set()
        self._phase = ""
        self._job: Object | None = None

    def lines(self) -> Iterator[str]:
        """What the job prints, until its end, line by line."""
        read: set[tuple[str, str]] = set()
        for job, pods in self._until_its_end():
            for source in printing(job, pods):
                if source.key in read:
                    continue
                if read and source.uid not in {uid for uid, _ in read}:
                    self._say("its log begins once more, in another pod")
                read.add(source.key)
                yield from PodLog(self._api, source).follow(lambda source=source: self._has_ended(source))

    def end(self) -> Object:
        """The RayJob as it was when it ended; raises JobError where it went away before."""
        for _ in self._until_its_end():
            pass
        assert self._job is not None
        return self._job

    def last_state(self) -> JobState:
        """How far it was when it was last seen; raises JobError where it never was."""
        if self._job is None:
            raise no_such_job(self._name, self._api.namespace)
        state = state_of(self._job)
        if is_over(self._job) or not when_cancelled(self._job):
            return replace(state, message=explained(state, self._job))
        return replace(state, state="stopped", message=f"cancelled at {when_cancelled(self._job)}, before it had begun")

    def _until_its_end(self) -> Iterator[tuple[Object, list[Object]]]:
        """The RayJob and its pods at every news of it, that of its end included."""
        if self._job is not None and is_over(self._job):
            return
        for job in changes(self._api, self._name):
            self._job = job
            yield job, self._tell(job)
            if is_over(job):
                return
        if self._job is None:
            raise no_such_job(self._name, self._api.namespace)
        if not is_over(self._job) and not when_cancelled(self._job):
            raise JobError(
                f"RayJob {self._name} was deleted before it had ended (last seen: {self._phase}): by hand, by "
                "`helm uninstall`, or by a time to live. What it committed stays; submit it again to go on"
            )

    def _has_ended(self, source: Printing) -> bool:
        """Whether nothing more can come out of a container."""
        job = patiently(lambda: self._api.rayjob(self._name))
        self._job = job or self._job
        if job is None or is_over(job):
            return True
        sources = {found.key: found for found in printing(job, self._tell(job))}
        return source.key not in sources or sources[source.key].code is not None

    def _tell(self, job: Object) -> list[Object]:
        """Say what is new: another phase, a trouble that was not there before. Returns the job's pods.

        How it ended is for whoever waits to say: `KubernetesJobs.status` knows it.
        """
        pods = self._pods(job)
        if is_over(job):
            return pods
        events = self._events(job, pods) if progress_of(job) == "pending" else []
        phase = phase_of(job, pods, events)
        if phase != self._phase:
            self._phase = phase
            self._say(phase)
            if phase == "running" and mode_of(job) == "HTTPMode":
                self._say_once(
                    "with submissionMode HTTPMode no pod prints the job's log: read it in Ray's dashboard, "
                    f"`kubectl port-forward service/{status_of(job).get('rayClusterName')}-head-svc 8265`"
                )
        for trouble in troubles(job, pods, events):
            self._say_once(trouble)
        return pods

    def _pods(self, job: Object) -> list[Object]:
        return patiently(lambda: pods_of(self._api, job))

    def _events(self, job: Object, pods: list[Object]) -> list[Object]:
        """What was reported; where that may not be read it is said, and the job is followed without."""
        try:
            return patiently(lambda: events_of(self._api, job, pods))
        except JobError as error:
            if getattr(error.__cause__, "status", None) != 403:
                raise
            self._say_once(f"{error}. Until then not every reason for which the job waits can be told")
            return []

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._say(sentence)


def no_such_job(name: str, namespace: str) -> JobError:
    """What to raise where there is no RayJob of a name."""
    return JobError(
        f"no RayJob {name} in namespace {namespace}: it was never submitted there, was deleted, or has gone after its "
        "time to live. `soundquarry jobs list --kubernetes` shows those that are there"
    )
