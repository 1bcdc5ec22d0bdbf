"""Jobs as RayJobs on Kubernetes, made of what the installed chart says a RayJob is.

The same work is not begun twice at a time: a RayJob carries the hash of its work as a label. A cancelled RayJob stays
where it is, ended and readable.
"""

from __future__ import annotations

import builtins
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from workflows.chart_template import find_template
from workflows.job_file import JobFile, JobFileError, read_job
from workflows.job_parcel import JOB_FILE, Parcel, parcel
from workflows.job_service import (
    STOPPED_EXIT_CODE,
    IfRunning,
    JobError,
    JobState,
    Submitted,
    exit_code_of,
    name_of,
)
from workflows.kubernetes_api import KubernetesApi, Object
from workflows.kubernetes_troubles import explained
from workflows.pod_log import PodLog
from workflows.rayjob_follow import Following, no_such_job
from workflows.rayjob_manifest import Template, check_name, files_of, job_map, mounts, owned_by, rayjob
from workflows.rayjob_phase import phase_of
from workflows.rayjob_pods import events_of, pods_of, printing
from workflows.rayjob_state import CANCELLED, RELEASE, WORK, is_ours, is_over, label, progress_of, state_of, status_of

TRIES: Final = 5
"""Two submits at a time may choose the same name; the later one looks again."""


def to_stderr(sentence: str) -> None:
    """Where sentences about a job go, so that standard output is what the job prints."""
    print(f"soundquarry: {sentence}", file=sys.stderr, flush=True)


class KubernetesJobs:
    """The RayJobs of one namespace. `release`: None for the only one there."""

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

    def submit(self, job: JobFile, name: str | None, if_running: IfRunning) -> Submitted:
        """Create the RayJob, or say which one does this work already."""
        if name is not None:
            check_name(name)
        packed, template = parcel(job), find_template(self._api, self._release)
        for warning in packed.warnings:
            self._say(warning)
        is_charts = self._is_charts(template, job)
        for _ in range(TRIES):
            jobs = [found for found in self._api.rayjobs() if is_ours(found)]
            going = self._going(jobs, template, job, name, if_running, is_charts=is_charts)
            if going is not None:
                return going
            chosen = name or name_of(job, [found["metadata"]["name"] for found in jobs])
            if self._create(template, chosen, job, packed, is_charts=is_charts):
                return Submitted(chosen)
        raise JobError(f"somebody else submits RayJobs named like {chosen} at the same time; try again")

    def list(self) -> builtins.list[JobState]:
        """The RayJobs of the release, or of all releases in the namespace, the newest first."""
        jobs = [job for job in self._api.rayjobs() if is_ours(job) and self._release in (None, label(job, RELEASE))]
        jobs.sort(key=lambda job: job["metadata"].get("creationTimestamp") or "", reverse=True)
        return [state_of(job, _summary(job)) for job in jobs]

    def status(self, name: str) -> JobState:
        """How far it is; where it waits, or has failed, with the reason."""
        job = self._job(name)
        pods = pods_of(self._api, job) if progress_of(job) in ("pending", "failed") else []
        events = events_of(self._api, job, pods) if progress_of(job) == "pending" else []
        state = state_of(job, exit_code=_submitters_code(job, pods))
        message = explained(state, job, pods, events)
        return state_of(job, message or ("" if is_over(job) else phase_of(job, pods, events)), state.exit_code)

    def logs(self, name: str, follow: bool) -> Iterator[str]:
        """What it printed, line by line, and with `follow` what it will print."""
        if follow:
            yield from (f"{line}\n" for line in self._following(name).lines())
            return
        job = self._job(name)
        sources = printing(job, pods_of(self._api, job))
        if not sources:
            why = "its pods are gone, and their log with them" if is_over(job) else phase_of(job)
            raise JobError(f"RayJob {name} has no log here: {why}")
        for source in sources:
            yield from (f"{line}\n" for line in PodLog(self._api, source).so_far())

    def cancel(self, name: str) -> None:
        """End it now, for good, and give its nodes back.

        A deadline that has passed is the one end that KubeRay keeps readable, does not try again, and follows by taking
        the cluster down. Suspending would leave it open, wipe its status, and be undone by Kueue; deleting leaves
        nothing to read. What has not begun has nothing to read: it is deleted.
        """
        job = self._job(name)
        if is_over(job):
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        marked = {"metadata": {"annotations": {CANCELLED: now}}}
        if status_of(job).get("jobDeploymentStatus") in (None, "", "Suspended", "Suspending"):
            self._api.patch_rayjob(name, marked)  # whoever follows it is told before it is gone
            self._api.delete_rayjob(name)
            return
        # Without its cluster the submitter fails; another one would wait for the cluster for ever.
        self._api.patch_submitter(name, {"spec": {"backoffLimit": 0}})
        ending = {"activeDeadlineSeconds": 1, "shutdownAfterJobFinishes": True, "ttlSecondsAfterFinished": 0}
        unless = {"deletionStrategy": None} if "deletionStrategy" in job["spec"] else {}
        self._api.patch_rayjob(name, {**marked, "spec": {**ending, **unless}})

    def wait(self, name: str) -> int:
        """The exit code, when it has ended; phases and troubles are told meanwhile."""
        job = self._following(name).end()
        if not is_over(job):
            return STOPPED_EXIT_CODE  # cancelled before it had begun, and gone
        pods = pods_of(self._api, job) if progress_of(job) == "failed" else []
        return exit_code_of(state_of(job, exit_code=_submitters_code(job, pods)))

    def _going(
        self, jobs: builtins.list[Object], template: Template, job: JobFile, name: str | None, if_running: IfRunning,
        *, is_charts: bool,
    ) -> Submitted | None:  # fmt: skip
        """The RayJob that stands in the way of a new one, None where there is none."""
        named = next((found for found in jobs if found["metadata"]["name"] == name), None)
        if named is not None:
            return _again(named, job, if_running)
        live = [found for found in jobs if not is_over(found)]
        same = [
            found
            for found in live
            if label(found, WORK) == job.work
            or (is_charts and not label(found, WORK) and mounts(found, template.job_map))
        ]
        if if_running == "skip":
            others = [found for found in live if label(found, RELEASE) == template.release]
            return Submitted(_name(others[0]), skipped=True) if others else None
        if same and if_running == "fail":
            raise _does_it_already(same[0])
        return Submitted(_name(same[0]), joined=True) if same else None

    def _create(self, template: Template, name: str, job: JobFile, packed: Parcel, *, is_charts: bool) -> bool:
        """Make the RayJob, and the ConfigMap of its files before it; False where the name is taken."""
        files = template.job_map if is_charts else f"{name}-job"
        manifest = rayjob(template, name, self._api.namespace, job.workflow, job.work, files)
        if is_charts:
            return self._api.create_rayjob(manifest) is not None
        made = job_map(files, self._api.namespace, template.release, packed.files)
        if self._api.create_config_map(made) is None:
            if self._api.rayjob(name) is not None:
                return False
            self._api.delete_config_map(files)  # left by a submit that was killed
            self._api.create_config_map(made)
        try:
            created = self._api.create_rayjob(manifest)
        except JobError:
            self._api.delete_config_map(files)
            raise
        if created is None:
            return False  # the one that was faster has a ConfigMap of this name, and the same files
        self._api.patch_config_map(files, owned_by(created))
        return True

    def _is_charts(self, template: Template, job: JobFile) -> bool:
        """Whether the job is the one that the chart was installed with: its files are there already."""
        found = self._api.config_map(template.job_map)
        if found is None:
            return False
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files_of(found).items():
                (Path(folder) / name).write_bytes(content)
            try:
                return read_job(Path(folder) / JOB_FILE).work == job.work
            except JobFileError:
                return False

    def _job(self, name: str) -> Object:
        job = self._api.rayjob(name)
        if job is None:
            raise no_such_job(name, self._api.namespace)
        if not is_ours(job):
            raise JobError(f"RayJob {name} does not run soundquarry: it is left alone; see `kubectl get rayjob {name}`")
        return job

    def _following(self, name: str) -> Following:
        self._job(name) if name not in self._followed else None
        return self._followed.setdefault(name, Following(self._api, name, self._say))


def _again(named: Object, job: JobFile, if_running: IfRunning) -> Submitted:
    """What a submit under a name means that is there: the retry of a scheduled pod takes up its RayJob."""
    name, state = _name(named), progress_of(named)
    if label(named, WORK) != job.work:
        raise JobError(f"{name} is there and does other work: give another --name, or none")
    if if_running == "skip" or (if_running == "join" and not is_over(named)):
        return Submitted(name, joined=True)
    if is_over(named):
        raise JobError(f"{name} has ended already ({state}): give another --name, or none for one that is free")
    raise _does_it_already(named)


def _does_it_already(job: Object) -> JobError:
    return JobError(f"{_name(job)} does this work already: follow it (--if-running join), or cancel it first")


def _summary(job: Object) -> str:
    """Why it waits or failed, of the RayJob alone: a list asks for no pods."""
    return explained(state_of(job), job) or ("" if is_over(job) or progress_of(job) == "running" else phase_of(job))


def _submitters_code(job: Object, pods: builtins.list[Object]) -> int | None:
    codes = [source.code for source in printing(job, pods) if source.code is not None]
    return codes[-1] if codes else None


def _name(job: Object) -> str:
    return str(job["metadata"]["name"])
