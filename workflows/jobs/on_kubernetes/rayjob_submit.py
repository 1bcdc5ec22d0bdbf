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

from workflows.jobs.job_file import JobFile, JobFileError, read_job
from workflows.jobs.job_parcel import JOB_FILE
from workflows.jobs.job_service import IfRunning, JobError, Submitted, instead_of, name_of
from workflows.jobs.on_kubernetes.api import KubernetesApi, Object
from workflows.jobs.on_kubernetes.rayjob_manifest import Template, files_of, job_map, mounts, owned_by, owner, rayjob
from workflows.jobs.on_kubernetes.rayjob_state import RELEASE, WORK, is_ours, is_over, label, progress_of, state_of

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
        is_charts = self._is_charts()
        for _ in range(TRIES):
            jobs = [found for found in self.api.rayjobs() if is_ours(found)]
            taken = {found["metadata"]["name"]: found for found in jobs}
            if name in taken:
                return self._again(taken[name], if_running)
            live = self._live(jobs, if_running, is_charts=is_charts)
            if live is not None:
                return instead_of(state_of(live), if_running)
            chosen = name or name_of(self.job, taken)
            if self._create(chosen, is_charts=is_charts):
                return Submitted(chosen)
        raise JobError(f"others take the names {chosen} ... as fast as we find them free; submit again in a moment")

    def _live(self, jobs: list[Object], if_running: IfRunning, *, is_charts: bool) -> Object | None:
        """The RayJob that is under way and does this work. To skip, any of the release will do: runs do not overlap."""
        for found in jobs:
            if is_over(found):
                continue
            if if_running == "skip" and label(found, RELEASE) == self.template.release:
                return found
            unhashed = is_charts and not label(found, WORK) and mounts(found, self.template.job_map)
            if label(found, WORK) == self.job.work or unhashed:
                return found
        return None

    def _again(self, named: Object, if_running: IfRunning) -> Submitted:
        """The RayJob of this very name: the retry of a scheduled pod takes it up, ended or not."""
        state = state_of(named)
        if label(named, WORK) == self.job.work:
            if if_running == "skip":
                return Submitted(state.name, joined=True)
            if state.is_live:
                return instead_of(state, if_running)
        raise JobError(
            f"there is a RayJob {state.name} already, which has other work or has ended ({progress_of(named)}): give "
            "another --name, or none"
        )

    def _is_charts(self) -> bool:
        """Whether the job is the one that the chart was installed with."""
        found = self.api.config_map(self.template.job_map)
        if found is None:
            return False
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files_of(found).items():
                (Path(folder) / name).write_bytes(content)
            try:
                return read_job(Path(folder) / JOB_FILE).work == self.job.work
            except JobFileError:
                return False

    def _create(self, name: str, *, is_charts: bool) -> bool:
        """Make the RayJob, and its ConfigMap before it; False where the name is taken."""
        files = self.template.job_map if is_charts else f"{name}-job"
        manifest = rayjob(self.template, name, self.api.namespace, self.job.workflow, self.job.work, files)
        if beginner := _beginner():
            manifest["metadata"]["ownerReferences"] = [beginner]
        if is_charts:
            return self.api.create_rayjob(manifest) is not None
        made = job_map(files, self.api.namespace, self.template.release, self.files)
        if self.api.create_config_map(made) is None:
            if self.api.rayjob(name) is not None:
                return False
            self.api.delete_config_map(files)  # left by a submit that was killed
            self.api.create_config_map(made)
        try:
            created = self.api.create_rayjob(manifest)
        except JobError:
            self.api.delete_config_map(files)
            raise
        if created is None:
            return False  # who was faster has a ConfigMap of this name too, and the same files in it
        self.api.patch_config_map(files, owned_by(created))
        return True


def _beginner() -> Object | None:
    """The scheduled Job in whose pod this runs: its history limits then hold for the RayJobs it began as well."""
    name, uid = os.environ.get("JOB_NAME"), os.environ.get("JOB_UID")
    return owner("batch/v1", "Job", name, uid) if name and uid else None
