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

from server_api import Api, Object, RefusedError
from tiny_kubelet import repeating

RAY: Final = "ray.io/v1"
FINALIZER: Final = "ray.io/rayjob-finalizer"
DELETED_OR_CHANGED: Final = (404, 409)
"""What the server says of an object that somebody else was faster with."""
LIVE: Final = ("Initializing", "Running")
GOOD: Final = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
BAD: Final = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed"}


@dataclass
class TinyKubeRay:
    """The operator. RayJobs of a namespace wait, as they would without an operator, until it is one of `served`."""

    api: Api
    served: set[str] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)

    def look(self) -> None:
        """One step for every RayJob."""
        for job in self.api.list(RAY, "RayJob"):
            try:
                self._step(job)
            except RefusedError as error:
                if error.code not in DELETED_OR_CHANGED:
                    raise

    def _step(self, job: Object) -> None:
        meta, status = job["metadata"], job.get("status", {})
        if "deletionTimestamp" in meta:
            self.api.patch(job, {"metadata": {"finalizers": None}})
            return
        stage = status.get("jobDeploymentStatus", "")
        if meta["namespace"] not in self.served:
            return
        limit = job["spec"].get("activeDeadlineSeconds")
        if stage in LIVE and limit and _age(status["startTime"]) > limit:
            self._end(job, jobDeploymentStatus="Failed", reason="DeadlineExceeded", message="it took too long")
        elif job["spec"].get("suspend"):
            if stage != "Suspended":
                self._clear(job)
                self._tell(job, jobDeploymentStatus="Suspended", jobStatus=None, rayClusterName=None)
        elif stage in ("", "Suspended"):
            self.api.patch(job, {"metadata": {"finalizers": [FINALIZER]}})
            ending = secrets.token_hex(3)[:5]
            names = {"jobId": f"{meta['name']}-{ending}", "rayClusterName": f"{meta['name']}-{ending}"}
            self._tell(job, jobDeploymentStatus="Initializing", startTime=_now(), **names)
        elif stage == "Initializing":
            self._initialise(job, status["rayClusterName"])
        elif stage == "Running":
            self._watch(job)

    def _initialise(self, job: Object, cluster_name: str) -> None:
        """Make the cluster, then wait for its pods, then submit."""
        space = job["metadata"]["namespace"]
        pods = self.api.list("v1", "Pod", space, labelSelector=f"ray.io/cluster={cluster_name}")
        if not pods:
            meta = {"name": cluster_name, "labels": _origin(job), "ownerReferences": [_owner(job)]}
            cluster = {"apiVersion": RAY, "kind": "RayCluster", "metadata": meta, "spec": job["spec"]["rayClusterSpec"]}
            stored = self.api.create(cluster, space)
            for pod in _ray_pods(stored):
                self.api.create(pod, space)
        elif all(pod["status"].get("phase") == "Running" for pod in pods):
            self.api.create(_submitter(job), space)
            self._tell(job, jobDeploymentStatus="Running", jobStatus="RUNNING")

    def _watch(self, job: Object) -> None:
        meta = job["metadata"]
        conditions = self.api.get("batch/v1", "Job", meta["name"], meta["namespace"])["status"].get("conditions", [])
        for kind in (one["type"] for one in conditions if one["status"] == "True"):
            good = kind == "Complete"
            self._end(job, message=self._message(job, good), **(GOOD if good else BAD))

    def _end(self, job: Object, **told: Any) -> None:
        self._tell(job, endTime=_now(), **told)
        if job["spec"].get("shutdownAfterJobFinishes"):  # at once, whatever ttlSecondsAfterFinished is
            self.api.delete(RAY, "RayCluster", job["status"]["rayClusterName"], job["metadata"]["namespace"])

    def _message(self, job: Object, good: bool) -> str:
        """Ray's words about the driver."""
        if good:
            return "Job finished successfully."
        pods = self.api.list(
            "v1", "Pod", job["metadata"]["namespace"], labelSelector=f"job-name={job['metadata']['name']}"
        )
        code = pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] if pods else -9
        return f"Job entrypoint command failed with exit code {code}, last available logs (truncated to 20,000 chars):"

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


def _ray_pods(cluster: Object) -> Iterator[Object]:
    """The head, and the replicas of each group of workers."""
    name, spec = cluster["metadata"]["name"], cluster["spec"]
    groups = [("head", "headgroup", 1, spec["headGroupSpec"])]
    groups += [("worker", one["groupName"], one["replicas"], one) for one in spec.get("workerGroupSpecs", [])]
    for kind, group, count, told in groups:
        for number in range(count):
            labels = {"ray.io/cluster": name, "ray.io/node-type": kind, "ray.io/group": group}
            labels |= told["template"].get("metadata", {}).get("labels", {})
            own = f"{name}-head" if kind == "head" else f"{name}-{group}-worker-{number}"
            meta = {"name": own, "labels": labels, "ownerReferences": [_owner(cluster)]}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": told["template"]["spec"]}


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


def _age(time: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
