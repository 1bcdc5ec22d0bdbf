"""A job becomes a RayJob, unless one does its work already.

The ConfigMap with the job's files is made first, so that no pod waits for it, and then belongs to the RayJob. The job
that the chart was installed with has its files there already.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from operators.catalog import CatalogError
from workflows.jobs.job_file import JobFile, JobFileError, read_job
from workflows.jobs.job_parcel import JOB_FILE
from workflows.jobs.job_service import IfRunning, JobError, Submitted, instead_of, name_of
from workflows.jobs.on_kubernetes.api import KubernetesApi, Object
from workflows.jobs.on_kubernetes.job_map import JobMap, files_of
from workflows.jobs.on_kubernetes.rayjob_manifest import Template, mounts, owner, rayjob
from workflows.jobs.on_kubernetes.rayjob_state import (
    JOB,
    RELEASE,
    WORK,
    is_by_schedule,
    is_ours,
    is_over,
    label,
    progress_of,
    state_of,
)

TRIES: Final = 5
"""Two submits at a time may choose the same name; the later one looks again."""


@dataclass(frozen=True)
class Submission:
    """One job on its way. `files` are what a pod needs to see of it."""

    api: KubernetesApi
    template: Template
    job: JobFile
    files: Mapping[str, bytes]

    def submit(self, name: str | None, if_running: IfRunning) -> Submitted:
        """Create the RayJob, or say which one stands for it."""
        charts = self._charts_own()
        for _ in range(TRIES):
            jobs = [found for found in self.api.rayjobs() if is_ours(found)]
            taken = {found["metadata"]["name"]: found for found in jobs}
            if name in taken:
                return self._again(taken[name], if_running)
            live = [found for found in jobs if not is_over(found)]
            if same := next((found for found in live if self._does_the_same(found, charts)), None):
                return self._instead_of(same, if_running)
            if if_running == "skip" and (before := next(filter(self._is_the_one_before, live), None)):
                return Submitted(before["metadata"]["name"], skipped=True, other_work=True)
            chosen = name or name_of(self.job, taken)
            if self._create(chosen, is_charts=charts is not None):
                return Submitted(chosen)
        raise JobError(f"others take the names {chosen} ... as fast as we find them free; submit again in a moment")

    def _does_the_same(self, found: Object, charts: str | None) -> bool:
        """Whether a RayJob does this work. Those of helm and KubeRay know no hash of it, but one of their files."""
        if hashed := label(found, WORK):
            return hashed == self.job.work
        return bool(charts) and label(found, JOB) == charts and mounts(found, self.template.job_map)

    def _is_the_one_before(self, found: Object) -> bool:
        """Whether the schedule of this release began it: its runs do not overlap, whatever has become of the job."""
        return is_by_schedule(found) and label(found, RELEASE) == self.template.release

    def _instead_of(self, live: Object, if_running: IfRunning) -> Submitted:
        sent = instead_of(state_of(live), if_running)
        if sent.joined:
            self._job_map.belongs_to(live)
        return sent

    def _again(self, named: Object, if_running: IfRunning) -> Submitted:
        """The RayJob of this very name: the retry of a scheduled pod takes it up, ended or not."""
        state = state_of(named)
        if label(named, WORK) == self.job.work:
            if if_running == "skip":
                return Submitted(state.name, joined=True, ended=not state.is_live)
            if state.is_live:
                return self._instead_of(named, if_running)
        raise JobError(
            f"there is a RayJob {state.name} already, which has other work or has ended ({progress_of(named)}): give "
            "another --name, or none"
        )

    def _charts_own(self) -> str | None:
        """The hash of the chart's own job, where this one is it."""
        found = self.api.config_map(self.template.job_map)
        if found is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files_of(found).items():
                (Path(folder) / name).write_bytes(content)
            try:
                is_it = read_job(Path(folder) / JOB_FILE).work == self.job.work
            except (JobFileError, CatalogError):
                return None
        return (found["metadata"].get("labels") or {}).get(JOB, "") if is_it else None

    def _create(self, name: str, *, is_charts: bool) -> bool:
        """Make the RayJob, and its ConfigMap before it; False where the name is taken."""
        files = self.template.job_map if is_charts else self._job_map.name(name)
        manifest = rayjob(self.template, name, self.api.namespace, self.job.workflow, self.job.work, files)
        if beginner := _beginner():
            manifest["metadata"]["ownerReferences"] = [beginner]
        if is_charts:
            return self._created(manifest) is not None
        self._job_map.put(name)
        try:
            created = self._created(manifest)
        except JobError as error:
            if _is_definite(error):
                self._job_map.take_back(name)
            raise
        if created is None:
            self._job_map.take_back(name)  # unless who was faster does the same work
            return False
        self._job_map.belongs_to(created)
        return True

    def _created(self, manifest: Object) -> Object | None:
        """The RayJob as it was stored; None where the name is taken. A lost answer says neither: it is looked for."""
        try:
            return self.api.create_rayjob(manifest)
        except JobError as error:
            if _is_definite(error):
                raise
            found = self.api.rayjob(manifest["metadata"]["name"])
            if found is None:
                raise
            return found if label(found, WORK) == self.job.work else None

    @property
    def _job_map(self) -> JobMap:
        return JobMap(self.api, self.template.release, self.job.work, self.files)


def _is_definite(error: JobError) -> bool:
    """Whether the server has refused it: nothing was made then, and nothing will be."""
    status = getattr(error.__cause__, "status", None)
    return status is not None and 400 <= status < 500


def _beginner() -> Object | None:
    """The scheduled Job in whose pod this runs: its history limits then hold for the RayJobs it began as well."""
    name, uid = os.environ.get("JOB_NAME"), os.environ.get("JOB_UID")
    return owner("batch/v1", "Job", name, uid) if name and uid else None
