"""The ConfigMap with a job's files, which lies there before its RayJob and goes with it.

Its name holds the job's work, so that one of this name has the same files, whoever made it: two submits at a time share
it, and one that was left behind is used.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.api import KubernetesApi, Object
from workflows.jobs.on_kubernetes.rayjob_manifest import mounts, owned_by
from workflows.jobs.on_kubernetes.rayjob_state import RELEASE, WORK

MOST_CONFIG_MAP_BYTES: Final = 2**20
"""Kubernetes' limit."""


@dataclass(frozen=True)
class JobMap:
    """The files of a job, on their way to a RayJob of a release."""

    api: KubernetesApi
    release: str
    work: str
    files: Mapping[str, bytes]

    def name(self, job: str) -> str:
        """What it is called, for the RayJob of a name.

        >>> JobMap(None, "stems", "0123456789", {}).name("sq-mine-0123456789")
        'sq-mine-0123456789-job'
        """
        return f"{job}-job" if self.work in job else f"{job}-{self.work}-job"

    def put(self, job: str) -> None:
        """Make it, where it is not there already. Raises JobError where the files do not fit in one."""
        manifest = self._manifest(job)
        if self.api.create_config_map(manifest) is not None:
            return
        found = self.api.config_map(self.name(job))
        if found is None or "ownerReferences" in found["metadata"]:  # it is going, with a RayJob that was deleted
            self.api.delete_config_map(self.name(job))
            self.api.create_config_map(manifest)

    def belongs_to(self, rayjob: Object) -> None:
        """Let it go when the RayJob goes; put it back where the RayJob has lost it, or never had it."""
        name = self.name(rayjob["metadata"]["name"])
        if not mounts(rayjob, name):
            return
        found = self.api.config_map(name)
        if found is None:
            self.put(rayjob["metadata"]["name"])
        if found is None or "ownerReferences" not in found["metadata"]:
            self.api.patch_config_map(name, owned_by(rayjob))

    def take_back(self, job: str) -> None:
        """Away with it, unless a RayJob reads it by now."""
        rayjob = self.api.rayjob(job)
        if rayjob is None or not mounts(rayjob, self.name(job)):
            self.api.delete_config_map(self.name(job))

    def _manifest(self, job: str) -> Object:
        size = sum(len(content) for content in self.files.values())
        if size > MOST_CONFIG_MAP_BYTES:
            largest = max(self.files, key=lambda file: len(self.files[file]))
            raise JobError(
                f"the job's files have {size:,} bytes, a ConfigMap holds {MOST_CONFIG_MAP_BYTES:,} (largest: "
                f"{largest}, {len(self.files[largest]):,}): put the catalog's recordings into a bucket, or shorten them"
            )
        data, binary = {}, {}
        for file, content in self.files.items():
            try:
                data[file] = content.decode()
            except UnicodeDecodeError:
                binary[file] = base64.b64encode(content).decode()
        labels = {"app.kubernetes.io/name": "soundquarry", RELEASE: self.release, WORK: self.work}
        manifest: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name(job), "namespace": self.api.namespace, "labels": labels},
            "data": data,
        }
        return {**manifest, "binaryData": binary} if binary else manifest


def files_of(config_map: Object) -> dict[str, bytes]:
    """What a ConfigMap holds, by name."""
    binary = config_map.get("binaryData") or {}
    texts = {name: text.encode() for name, text in (config_map.get("data") or {}).items()}
    return {**texts, **{name: base64.b64decode(content) for name, content in binary.items()}}
