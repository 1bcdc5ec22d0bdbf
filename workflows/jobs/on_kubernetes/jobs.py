"""Jobs as RayJobs on Kubernetes, made of what the installed chart says a RayJob is.

The same work is not begun twice at a time: a RayJob carries the hash of its work as a label. A cancelled RayJob stays
where it is, ended and readable.
"""

from __future__ import annotations

import builtins
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from workflows.jobs.job_file import JobFile
from workflows.jobs.job_parcel import parcel
from workflows.jobs.job_service import (
    STOPPED_EXIT_CODE,
    IfRunning,
    JobError,
    JobState,
    Schedule,
    Submitted,
    exit_code_of,
)
from workflows.jobs.on_kubernetes.api import KubernetesApi, Object
from workflows.jobs.on_kubernetes.chart_template import find_template
from workflows.jobs.on_kubernetes.pod_log import PodLog
from workflows.jobs.on_kubernetes.rayjob_follow import Following, no_such_job
from workflows.jobs.on_kubernetes.rayjob_manifest import check_name, mount_paths
from workflows.jobs.on_kubernetes.rayjob_phase import phase_of
from workflows.jobs.on_kubernetes.rayjob_pods import events_of, pods_of, printing
from workflows.jobs.on_kubernetes.rayjob_state import (
    CANCELLED,
    RELEASE,
    is_ours,
    is_over,
    label,
    progress_of,
    state_of,
    status_of,
)
from workflows.jobs.on_kubernetes.rayjob_submit import Submission
from workflows.jobs.on_kubernetes.schedules import schedules
from workflows.jobs.on_kubernetes.troubles import explained
from workflows.jobs.on_kubernetes.watch import changes

NOT_BEGUN: Final = frozenset({"", "Suspended", "Suspending"})
CANCELLED_WITHIN_SECONDS: Final = 60.0
"""KubeRay ends a job within seconds where it runs; our choice."""


def to_stderr(sentence: str) -> None:
    """Where sentences about a job go, so that standard output is what the job prints."""
    print(f"soundquarry: {sentence}", file=sys.stderr, flush=True)


class KubernetesJobs:
    """The RayJobs of one namespace. `release`: None for the only one there. `say` is told how a followed job goes."""

    def __init__(
        self,
        namespace: str | None = None,
        release: str | None = None,
        context: str | None = None,
        say: Callable[[str], None] = to_stderr,
    ) -> None:
        self._api = KubernetesApi(namespace, context)
        self._release = release
        self._say = say
        self._followed: dict[str, Following] = {}

    def mounted(self) -> tuple[str, ...]:
        """Where the chart mounts volumes of its own into the head and every worker."""
        return mount_paths(find_template(self._api, self._release))

    def submit(self, job: JobFile, name: str | None, if_running: IfRunning) -> Submitted:
        """Create the RayJob, or say which one does this work already."""
        if name is not None:
            check_name(name)
        template = find_template(self._api, self._release)
        return Submission(self._api, template, job, parcel(job).files).submit(name, if_running)

    def list(self) -> builtins.list[JobState]:
        """The RayJobs of the release, or of all releases in the namespace, the newest first."""
        jobs = [job for job in self._api.rayjobs() if is_ours(job) and self._release in (None, label(job, RELEASE))]
        jobs.sort(key=lambda job: job["metadata"].get("creationTimestamp") or "", reverse=True)
        return [state_of(job, _summary(job)) for job in jobs]

    def schedules(self) -> tuple[Schedule, ...]:
        """The chart's CronJobs and RayCronJobs; whatever may not be listed is said, and left out."""
        return schedules(self._api, self._release, self._say)

    def status(self, name: str) -> JobState:
        """How far it is; where it waits, or has failed, with the reason."""
        job = self._api.rayjob(name)
        if job is None and name in self._followed:
            return self._followed[name].last_state()
        job = self._checked(name, job)
        pods = pods_of(self._api, job) if progress_of(job) in ("pending", "failed") else []
        events = events_of(self._api, job, pods) if progress_of(job) == "pending" else []
        state = state_of(job, exit_code=_code_of_submitter(job, pods))
        message = explained(state, job, pods, events)
        return replace(state, message=message or ("" if is_over(job) else phase_of(job, pods, events)))

    def logs(self, name: str, follow: bool) -> Iterator[str]:
        """What it printed, line by line, and with `follow` what it will print."""
        if follow:
            yield from (f"{line}\n" for line in self._following(name).lines())
            return
        job = self._checked(name, self._api.rayjob(name))
        sources = printing(job, pods_of(self._api, job))
        if not sources:
            why = "its pods are gone, and their log with them" if is_over(job) else phase_of(job)
            raise JobError(f"RayJob {name} has no log: {why}")
        for source in sources:
            yield from (f"{line}\n" for line in PodLog(self._api, source).so_far())

    def cancel(self, name: str) -> None:
        """End it now, for good, and give its nodes back; returns when it has ended.

        A deadline that has passed is the one end that KubeRay keeps readable, does not try again, and follows by taking
        the cluster down. Suspending would leave it open, wipe its status, and be undone by Kueue; deleting leaves
        nothing to read. What has not begun has nothing to read: it is deleted.
        """
        job = self._checked(name, self._api.rayjob(name))
        if is_over(job):
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        marked: Object = {"metadata": {"annotations": {CANCELLED: now}}}
        if status_of(job).get("jobDeploymentStatus", "") in NOT_BEGUN:
            self._api.patch_rayjob(name, marked)  # whoever follows it is told before it is gone
            self._api.delete_rayjob(name)
            return
        # Without its cluster the submitter fails; another one would wait for the cluster for ever.
        self._api.patch_submitter(name, {"spec": {"backoffLimit": 0}})
        ending = {"activeDeadlineSeconds": 1, "shutdownAfterJobFinishes": True, "ttlSecondsAfterFinished": 0}
        instead = {"deletionStrategy": None} if "deletionStrategy" in job["spec"] else {}
        self._api.patch_rayjob(name, {**marked, "spec": {**ending, **instead}})
        self._await_end(name)

    def wait(self, name: str) -> int:
        """The exit code, when it has ended; phases and troubles are told meanwhile."""
        job = self._following(name).end()
        if not is_over(job):
            return STOPPED_EXIT_CODE  # cancelled before it had begun, and gone
        pods = pods_of(self._api, job) if progress_of(job) == "failed" else []
        return exit_code_of(state_of(job, exit_code=_code_of_submitter(job, pods)))

    def _await_end(self, name: str) -> None:
        gives_up = time.monotonic() + CANCELLED_WITHIN_SECONDS
        for job in changes(self._api, name):
            if is_over(job):
                return
            if time.monotonic() > gives_up:
                raise JobError(
                    f"{name} is marked as cancelled, but KubeRay has not ended it in {CANCELLED_WITHIN_SECONDS:.0f} s: "
                    "look whether its operator runs (`kubectl get pods -A -l app.kubernetes.io/name=kuberay-operator`)"
                )

    def _following(self, name: str) -> Following:
        if name not in self._followed:
            self._checked(name, self._api.rayjob(name))
            self._followed[name] = Following(self._api, name, self._say)
        return self._followed[name]

    def _checked(self, name: str, job: Object | None) -> Object:
        if job is None:
            raise no_such_job(name, self._api.namespace)
        if not is_ours(job):
            raise JobError(f"RayJob {name} does not run soundquarry and is left alone; see `kubectl get rayjob {name}`")
        return job


def _summary(job: Object) -> str:
    """Why it waits or failed, of the RayJob alone: a list asks for no pods."""
    return explained(state_of(job), job) or ("" if is_over(job) or progress_of(job) == "running" else phase_of(job))


def _code_of_submitter(job: Object, pods: builtins.list[Object]) -> int | None:
    codes = [source.code for source in printing(job, pods) if source.code is not None]
    return codes[-1] if codes else None
