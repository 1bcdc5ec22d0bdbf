"""What a RayJob is doing, in a few words that a person may read while waiting: queued, waiting for a node, running.

Where something is in the way, `troubles.py` says what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from workflows.jobs.on_kubernetes.api import Object
from workflows.jobs.on_kubernetes.rayjob_state import QUEUE, is_over, label, progress_of, status_of, when_cancelled

GPU: Final = re.compile(r"[^/]+/gpu|nvidia\.com/.+")
"""Resources that are accelerators: nvidia.com/gpu, nvidia.com/mig-1g.10gb, amd.com/gpu ..."""
HANDED_OVER: Final = "the cluster is up, the job is handed to it"


def phase_of(job: Object, pods: Iterable[Object] = (), events: Iterable[Object] = ()) -> str:
    """A few words. `pods` are those of its cluster and its submitter, `events` what was reported about them."""
    status = status_of(job)
    kuberay, ray = status.get("jobDeploymentStatus", ""), status.get("jobStatus", "")
    if is_over(job):
        return progress_of(job)
    if when_cancelled(job) or job["metadata"].get("deletionTimestamp"):
        return "being cancelled"
    if kuberay in ("Suspended", "Suspending") or (not kuberay and job["spec"].get("suspend")):
        queue = label(job, QUEUE)
        return f"queued in Kueue (queue {queue})" if queue else "suspended: nothing starts while spec.suspend is true"
    if kuberay == "Retrying":
        return _retrying(job)
    if kuberay == "Running":
        return HANDED_OVER if ray in ("", "PENDING") else "running"
    if kuberay == "Waiting":
        return "waiting for a job id (submissionMode InteractiveMode)"
    return _building(list(pods), list(events)) if kuberay else "waiting for KubeRay to take the job"


def _retrying(job: Object) -> str:
    failed, limit = int(status_of(job).get("failed") or 0), int(job["spec"].get("backoffLimit") or 0)
    return f"attempt {failed} of {limit + 1} failed, KubeRay begins another one"


def _building(pods: list[Object], events: list[Object]) -> str:
    if not pods:
        return "the cluster is being made"
    waiting = [pod for pod in pods if not is_ready(pod)]
    homeless = [pod for pod in waiting if not pod["spec"].get("nodeName")]
    if any(wants_gpu(pod) for pod in homeless):
        return "waiting for a GPU node"
    if homeless:
        return "waiting for a node"
    names = {pod["metadata"]["name"] for pod in waiting}
    reasons = {about(event): event.get("reason") for event in events if event.get("reason") in ("Pulling", "Pulled")}
    if any(reasons.get(name) == "Pulling" for name in names):
        return "pulling the image"
    if not waiting:
        return HANDED_OVER
    ready = len(pods) - len(waiting)
    return f"the cluster starts: {ready} of {len(pods)} pods are ready"


def about(event: Mapping[str, object]) -> str:
    """The name of the object that an event tells of."""
    involved = event.get("involvedObject")
    return str(involved.get("name", "")) if isinstance(involved, dict) else ""


def is_ready(pod: Object) -> bool:
    """Whether the pod serves, or has done its work."""
    status = pod.get("status") or {}
    ready = {entry["type"]: entry["status"] for entry in status.get("conditions") or []}.get("Ready") == "True"
    return ready or status.get("phase") == "Succeeded"


def wants_gpu(pod: Object) -> bool:
    """Whether a container of the pod asks for a GPU."""
    limits = [(container.get("resources") or {}).get("limits") or {} for container in pod["spec"]["containers"]]
    return any(GPU.fullmatch(name) for asked in limits for name in asked)
