"""KubeRay's part for RayJobs, as far as a client sees it: a RayJob gets a RayCluster with a head, then a submitter's
Job, and its status tells how far it is; one that is deleted or suspended loses them.

Unlike KubeRay's, the submitter runs the entrypoint itself, with the head's files and environment: no Ray cluster is
there to hand it to. Names, labels, the finalizer and the order of the statuses are those of KubeRay 1.7.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from kubernetes_api import Api, Object, RefusedError
from tiny_kubelet import repeating

RAY: Final = "ray.io/v1"
FINALIZER: Final = "ray.io/rayjob-finalizer"
GOOD: Final = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
BAD: Final = {
    "jobDeploymentStatus": "Failed",
    "jobStatus": "FAILED",
    "reason": "AppFailed",
    "message": "Job entrypoint command failed",
}


@dataclass
class TinyKubeRay:
    """The operator; RayJobs of the namespaces in `held` are begun when their namespace is taken out."""

    api: Api
    held: set[str] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)

    def look(self) -> None:
        """One step for every RayJob."""
        for job in self.api.list(RAY, "RayJob"):
            with contextlib.suppress(RefusedError):  # deleted or changed meanwhile
                self._step(job)

    def _step(self, job: Object) -> None:
        meta, status = job["metadata"], job.get("status", {})
        if "deletionTimestamp" in meta:
            self.api.patch(job, {"metadata": {"finalizers": None}})
            return
        stage = status.get("jobDeploymentStatus", "")
        if meta["namespace"] in self.held:
            return
        if job["spec"].get("suspend"):
            if stage != "Suspended":
                self._clear(job)
                self._tell(job, jobDeploymentStatus="Suspended", jobStatus="", rayClusterName="")
        elif stage in ("", "Suspended"):
            self.api.patch(job, {"metadata": {"finalizers": [FINALIZER]}})
            ending = secrets.token_hex(3)[:5]
            names = {"jobId": f"{meta['name']}-{ending}", "rayClusterName": f"{meta['name']}-{ending}"}
            self._tell(job, jobDeploymentStatus="Initializing", jobStatus="", startTime=_now(), **names)
        elif stage == "Initializing":
            self._initialise(job, status["rayClusterName"])
        elif stage == "Running":
            self._watch(job)

    def _initialise(self, job: Object, cluster_name: str) -> None:
        space = job["metadata"]["namespace"]
        head = f"{cluster_name}-head"
        pods = self.api.list("v1", "Pod", space, labelSelector=f"ray.io/cluster={cluster_name},ray.io/node-type=head")
        if not pods:
            meta = {"name": cluster_name, "labels": _origin(job), "ownerReferences": [_owner(job)]}
            cluster = {"apiVersion": RAY, "kind": "RayCluster", "metadata": meta, "spec": job["spec"]["rayClusterSpec"]}
            stored = self.api.create(cluster, space)
            template = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
            labels = {"ray.io/cluster": cluster_name, "ray.io/node-type": "head", "ray.io/group": "headgroup"}
            labels |= template.get("metadata", {}).get("labels", {})
            meta = {"name": head, "labels": labels, "ownerReferences": [_owner(stored)]}
            self.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}, space)
        elif pods[0]["status"].get("phase") == "Running":
            self.api.create(_submitter(job), space)
            self._tell(job, jobDeploymentStatus="Running", jobStatus="RUNNING")

    def _watch(self, job: Object) -> None:
        meta = job["metadata"]
        conditions = self.api.get("batch/v1", "Job", meta["name"], meta["namespace"])["status"].get("conditions", [])
        for kind in (one["type"] for one in conditions if one["status"] == "True"):
            good = kind == "Complete"
            told = {
                "jobDeploymentStatus": "Complete" if good else "Failed",
                "jobStatus": "SUCCEEDED" if good else "FAILED",
            }
            self._tell(job, endTime=_now(), **told, **({} if good else {"reason": "AppFailed", "message": "it failed"}))
            if job["spec"].get("shutdownAfterJobFinishes"):
                self.api.delete(RAY, "RayCluster", job["status"]["rayClusterName"], meta["namespace"])

    def _clear(self, job: Object) -> None:
        meta, cluster = job["metadata"], job.get("status", {}).get("rayClusterName")
        for version, kind, name in (("batch/v1", "Job", meta["name"]), (RAY, "RayCluster", cluster)):
            with contextlib.suppress(RefusedError):
                if name:
                    self.api.delete(version, kind, name, meta["namespace"])

    def _tell(self, job: Object, **change: Any) -> None:
        self.api.patch(job, {"status": change}, "/status")


@contextmanager
def tiny_kuberay(api: Api) -> Iterator[TinyKubeRay]:
    """An operator at work until the end of the block."""
    operator = TinyKubeRay(api)
    with repeating(operator.look, operator.troubles):
        yield operator


def _submitter(job: Object) -> Object:
    """The Job that runs the entrypoint, in a pod like the head's."""
    template = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    container = template["containers"][0]
    command = {
        "name": "ray-job-submitter",
        "command": ["/bin/sh", "-c", f"exec {job['spec']['entrypoint']}"],
        "args": [],
    }
    kept = {key: container[key] for key in ("image", "env", "envFrom", "volumeMounts") if key in container}
    pod = {"containers": [kept | command], "volumes": template.get("volumes", []), "restartPolicy": "Never"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job["metadata"]["name"], "labels": _origin(job), "ownerReferences": [_owner(job)]},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": _origin(job)}, "spec": pod}},
    }


def _origin(job: Object) -> dict[str, str]:
    return {"ray.io/originated-from-cr-name": job["metadata"]["name"], "ray.io/originated-from-crd": "RayJob"}


def _owner(stored: Object) -> Object:
    meta = stored["metadata"]
    reference = {"apiVersion": stored["apiVersion"], "kind": stored["kind"], "name": meta["name"], "uid": meta["uid"]}
    return reference | {"controller": True, "blockOwnerDeletion": True}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
