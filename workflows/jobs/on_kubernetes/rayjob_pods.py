"""The pods of a RayJob, what was reported about them, and which of them print what the job prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workflows.jobs.on_kubernetes.api import KubernetesApi, Object, told_at
from workflows.jobs.on_kubernetes.rayjob_phase import is_ready
from workflows.jobs.on_kubernetes.rayjob_state import status_of

SUBMITTER: Final = "ray-job-submitter"
"""The container that KubeRay adds to the head pod in SidecarMode."""
MOST_PODS_ASKED: Final = 8
"""Pods whose events are asked for at a time: of a hundred that wait for nodes, all tell the same."""


@dataclass(frozen=True)
class Printing:
    """A container whose log is the job's. `code`: what it ended with, None while it runs."""

    pod: str
    uid: str
    container: str
    code: int | None

    @property
    def key(self) -> tuple[str, str]:
        return self.uid, self.container


def pods_of(api: KubernetesApi, job: Object) -> list[Object]:
    """The pods of its cluster, and those of the batch Job that submits it, which has its name."""
    cluster = status_of(job).get("rayClusterName")
    found = api.pods(f"ray.io/cluster={cluster}") if cluster else []
    if submits_by_pod(job):
        found += api.pods(f"job-name={job['metadata']['name']}")
    return found


def events_of(api: KubernetesApi, job: Object, pods: list[Object]) -> list[Object]:
    """What was reported about the RayJob, its batch Job, its cluster, and those of its pods that are not ready."""
    names = [job["metadata"]["name"], status_of(job).get("rayClusterName")]
    names += [pod["metadata"]["name"] for pod in pods if not is_ready(pod)][:MOST_PODS_ASKED]
    made = (job["metadata"].get("creationTimestamp") or "").rstrip("Z")  # an earlier RayJob may have had its name
    return [event for name in names if name for event in api.events(name) if told_at(event) >= made]


def printing(job: Object, pods: list[Object]) -> list[Printing]:
    """The containers that print what the job prints, and have begun to, the oldest first."""
    if submits_by_pod(job):
        name = job["metadata"]["name"]
        chosen = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get("job-name") == name]
    elif mode_of(job) == "SidecarMode":
        chosen = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get("ray.io/node-type") == "head"]
    else:
        chosen = []
    chosen.sort(key=lambda pod: pod["metadata"].get("creationTimestamp") or "")
    return [found for pod in chosen if (found := _of_pod(job, pod))]


def mode_of(job: Object) -> str:
    return str(job["spec"].get("submissionMode") or "K8sJobMode")


def submits_by_pod(job: Object) -> bool:
    """Whether a pod of its own hands the job to Ray, and prints what it prints."""
    return mode_of(job) == "K8sJobMode"


def _of_pod(job: Object, pod: Object) -> Printing | None:
    container = pod["spec"]["containers"][0]["name"] if submits_by_pod(job) else SUBMITTER
    for found in (pod.get("status") or {}).get("containerStatuses") or []:
        state = found.get("state") or {}
        if found["name"] == container and ("running" in state or "terminated" in state):
            code = (state.get("terminated") or {}).get("exitCode")
            return Printing(pod["metadata"]["name"], pod["metadata"]["uid"], container, code)
    return None
