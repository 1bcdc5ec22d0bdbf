"""How far a RayJob is, read off its status as KubeRay v1.7 writes it, and how it ended.

`jobStatus` is what Ray says of the driver, `jobDeploymentStatus` what KubeRay says of cluster and submitter. Ray's word
counts once both have come to an end: a deadline that passes while the submitter hangs does not undo the work.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from workflows.jobs.job_service import JobState, Progress
from workflows.jobs.on_kubernetes.api import Object

CANCELLED: Final = "soundquarry.dev/cancelled"
"""Annotation: when somebody cancelled the job."""
WORK: Final = "soundquarry.dev/work"
WORKFLOW: Final = "soundquarry.dev/workflow"
JOB: Final = "soundquarry.dev/job"
"""Label: helm's hash of the chart's own job, where that is what it does."""
RELEASE: Final = "app.kubernetes.io/instance"
QUEUE: Final = "kueue.x-k8s.io/queue-name"
BEGINNERS: Final = frozenset({"Job", "RayCronJob"})
"""What a RayJob belongs to that a schedule began: the Job of a CronJob, or KubeRay's own kind."""
OVER: Final = frozenset({"Complete", "Failed", "ValidationFailed"})
BY_RAY: Final[dict[str, Progress]] = {"SUCCEEDED": "succeeded", "STOPPED": "stopped", "FAILED": "failed"}
EXIT_CODE: Final = re.compile(r"exit code (-?\d+)")


def label(job: Object, name: str) -> str:
    """A label of the RayJob, else of its head pod: KubeRay hands none of them to the jobs of a RayCronJob."""
    own = job["metadata"].get("labels") or {}
    cluster = job["spec"].get("rayClusterSpec") or {}
    head = (cluster.get("headGroupSpec") or {}).get("template") or {}
    return str(own.get(name) or ((head.get("metadata") or {}).get("labels") or {}).get(name) or "")


def is_ours(job: Object) -> bool:
    """Whether the RayJob runs this program."""
    return bool(label(job, WORKFLOW))


def is_by_schedule(job: Object) -> bool:
    """Whether a schedule began the RayJob."""
    return any(entry["kind"] in BEGINNERS for entry in job["metadata"].get("ownerReferences") or [])


def is_over(job: Object) -> bool:
    """Whether the RayJob has come to an end. A failure that KubeRay tries again is none."""
    return status_of(job).get("jobDeploymentStatus") in OVER


def status_of(job: Object) -> Object:
    status: Object = job.get("status") or {}
    return status


def when_cancelled(job: Object) -> str | None:
    """The time at which somebody cancelled it."""
    return (job["metadata"].get("annotations") or {}).get(CANCELLED)


def progress_of(job: Object) -> Progress:
    """How far it is, in the words of every place that runs jobs."""
    status = status_of(job)
    ray, kuberay = status.get("jobStatus", ""), status.get("jobDeploymentStatus", "")
    if kuberay in OVER:
        if ray not in BY_RAY:
            return "stopped" if when_cancelled(job) else "failed"
        return BY_RAY[ray]
    return "running" if kuberay == "Running" and ray not in ("", "PENDING") else "pending"


def state_of(job: Object, message: str = "", exit_code: int | None = None) -> JobState:
    """The state of a RayJob. `exit_code`: the submitter's, for a failure of which KubeRay tells none."""
    status, progress = status_of(job), progress_of(job)
    ray = status.get("rayJobInfo") or {}
    if progress == "succeeded":
        exit_code = 0
    elif progress == "failed":
        told = driver_exit_code(str(status.get("message", "")))
        exit_code = exit_code if told is None else told
    else:
        exit_code = None
    return JobState(
        name=job["metadata"]["name"],
        workflow=label(job, WORKFLOW),
        state=progress,
        started=instant(ray.get("startTime") or status.get("startTime")),
        ended=instant(ray.get("endTime") or status.get("endTime")) if is_over(job) else None,
        exit_code=exit_code,
        message=message,
    )


def driver_exit_code(message: str) -> int | None:
    """The exit code that Ray tells in its message.

    >>> driver_exit_code("Job entrypoint command failed with exit code -9, last available logs")
    137
    """
    found = EXIT_CODE.search(message.partition("\n")[0])
    if found is None:
        return None
    code = int(found[1])
    return code if code >= 0 else 128 - code


def instant(text: str | None) -> datetime | None:
    """The moment of a time stamp; None where there is none."""
    return None if not text else datetime.fromisoformat(text)
