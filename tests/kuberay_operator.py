"""What KubeRay v1.7, the batch Job controller and kubelets do to a RayJob, played step by step by a test.

The statuses are those that `rayjob_controller.go` writes. What the controller decides by itself (deadlines, suspending)
is decided here as there, in `reconcile`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes_api import KubernetesApi, Object, now

IMAGE = "example.org/soundquarry:1"
SUBMITTER = "ray-job-submitter"


@dataclass
class KubeRay:
    """The controllers of one API server."""

    api: KubernetesApi

    def status(self, name: str, **fields: Any) -> Object:
        """Change the status; None removes a field."""
        job = self.api.get("rayjobs", name)
        status = {**job.get("status", {}), **fields}
        job["status"] = {key: value for key, value in status.items() if value is not None}
        return self.api.put("rayjobs", job)

    def takes(self, name: str, attempt: int = 1) -> str:
        """Begin an attempt; returns the name of its cluster."""
        cluster = f"{name}-a{attempt}"
        self.status(
            name, jobId=f"{name}-j{attempt}", rayClusterName=cluster, jobDeploymentStatus="Initializing",
            startTime=now(), reason=None, message=None,
        )  # fmt: skip
        return cluster

    def head(self, name: str, *sidecars: str, **found: Any) -> str:
        """The head pod of the cluster."""
        cluster = self.api.get("rayjobs", name)["status"]["rayClusterName"]
        labels = {"ray.io/cluster": cluster, "ray.io/node-type": "head", "ray.io/group": "headgroup"}
        return self.pod(f"{cluster}-head", labels, ("ray-head", *sidecars), **found)

    def worker(self, name: str, group: str = "gpu", number: int = 0, **found: Any) -> str:
        cluster = self.api.get("rayjobs", name)["status"]["rayClusterName"]
        labels = {"ray.io/cluster": cluster, "ray.io/node-type": "worker", "ray.io/group": group}
        return self.pod(f"{cluster}-{group}-worker-{number}", labels, ("ray-worker",), **found)

    def submitter(self, name: str, suffix: str = "x7k2p", **found: Any) -> str:
        """The pod of the batch Job that hands the work to Ray."""
        self.api.put("jobs", {
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 2, "template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": SUBMITTER, "image": IMAGE}]}}},
        })  # fmt: skip
        labels = {"job-name": name, "ray.io/originated-from-cr-name": name}
        return self.pod(f"{name}-{suffix}", labels, (SUBMITTER,), **found)

    def pod(
        self, name: str, labels: dict[str, str], containers: tuple[str, ...], *, node: str | None = "node-1",
        state: Object | None = None, last: Object | None = None, unschedulable: str | None = None,
        resources: Object | None = None, **spec: Any,
    ) -> str:  # fmt: skip
        """Make or change a pod. `state` and `last` are those of its last container; None: it runs."""
        conditions = [{"type": "PodScheduled", "status": "True"}]
        if unschedulable is not None:
            node, why = None, {"reason": "Unschedulable", "message": unschedulable}
            conditions = [{"type": "PodScheduled", "status": "False", **why}]
        states: list[Object] = [{"running": {"startedAt": now()}} for _ in containers]
        states[-1] = state or states[-1]
        runs = all("running" in found for found in states) and node is not None
        conditions.append({"type": "Ready", "status": "True" if runs else "False"})
        statuses = [
            {"name": container, "image": IMAGE, "imageID": "", "ready": "running" in found, "restartCount": 0,
             "state": found, **({"lastState": last} if last and container == containers[-1] else {})}
            for container, found in zip(containers, states, strict=True)
        ]  # fmt: skip
        made = [{"name": container, "image": IMAGE, "resources": resources or {}} for container in containers]
        self.api.put("pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {"containers": made, **({"nodeName": node} if node else {}), **spec},
            "status": {"phase": "Running" if runs else "Pending", "conditions": conditions,
                       **({"containerStatuses": statuses} if node else {})},
        })  # fmt: skip
        return name

    def event(self, name: str, reason: str, message: str, kind: str = "Pod") -> None:
        """Report something about an object."""
        self.api.put("events", {
            "apiVersion": "v1", "kind": "Event", "reason": reason, "message": message,
            "metadata": {"name": f"{name}.{len(self.api.objects)}"}, "type": "Warning", "lastTimestamp": now(),
            "involvedObject": {"kind": kind, "name": name, "namespace": "media"},
        })  # fmt: skip

    def runs(self, name: str) -> str:
        """All at once: a cluster, a submitter, and Ray running the driver; returns the submitter's pod."""
        self.takes(name)
        self.head(name)
        self.worker(name)
        pod = self.submitter(name)
        self.status(name, jobDeploymentStatus="Running", jobStatus="RUNNING", rayJobInfo={"startTime": now()})
        return pod

    def ends(self, name: str, ray: str, message: str = "", code: int = 0, pod: str | None = None) -> None:
        """The driver has ended, the submitter with it, and KubeRay says so."""
        for found in [pod] if pod else self.pods(f"job-name={name}"):
            self.stop_submitter(found, code)
        failed = ray == "FAILED"
        self.status(
            name, jobStatus=ray, jobDeploymentStatus="Failed" if failed else "Complete", message=message or None,
            reason="AppFailed" if failed else None, endTime=now(), rayJobInfo={"startTime": now(), "endTime": now()},
        )  # fmt: skip

    def stop_submitter(self, pod: str, code: int) -> None:
        found = self.api.get("pods", pod)
        reason = "Error" if code else "Completed"
        ended = {"exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now()}
        found["status"]["phase"] = "Failed" if code else "Succeeded"
        found["status"]["containerStatuses"][-1].update(state={"terminated": ended}, ready=False)
        self.api.put("pods", found)
        self.api.end_log(pod)

    def retries(self, name: str, failed: int) -> None:
        """Take everything of the failed attempt away; the next one is begun by `takes`."""
        self.status(name, jobDeploymentStatus="Retrying", jobStatus="FAILED", failed=failed, reason="AppFailed")
        self.take_down(name)
        if ("jobs", name) in self.api.objects:
            self.api.remove("jobs", name)
        for pod in self.pods(f"job-name={name}"):
            self.api.remove("pods", pod)

    def take_down(self, name: str) -> None:
        """Delete the cluster's pods."""
        cluster = self.api.get("rayjobs", name)["status"].get("rayClusterName")
        for pod in self.pods(f"ray.io/cluster={cluster}"):
            self.api.remove("pods", pod)

    def pods(self, label: str) -> list[str]:
        key, _, value = label.partition("=")
        found = {name: self.api.get("pods", name)["metadata"]["labels"] for name in self.api.names("pods")}
        return [name for name, labels in found.items() if labels.get(key) == value]

    def reconcile(self, name: str) -> None:
        """What the controller decides on seeing a changed RayJob that has a cluster."""
        job = self.api.get("rayjobs", name)
        spec, status = job["spec"], job["status"]
        deadline = spec.get("activeDeadlineSeconds")
        age = (datetime.now(UTC) - datetime.fromisoformat(status["startTime"])).total_seconds()
        if status["jobDeploymentStatus"] in ("Initializing", "Running") and deadline and age >= deadline:
            said = f"The RayJob has passed the activeDeadlineSeconds. StartTime: {status['startTime']}. "
            self.status(
                name, jobDeploymentStatus="Failed", reason="DeadlineExceeded", endTime=now(),
                message=f"{said}ActiveDeadlineSeconds: {deadline}", failed=1,
            )  # fmt: skip
            if spec.get("shutdownAfterJobFinishes") and not spec.get("ttlSecondsAfterFinished"):
                self.take_down(name)
