"""What is in the way of a RayJob, or ended it, in plain words, each with a next step.

Read from three places: the RayJob's status, the states of its pods, and the events about all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from workflows.jobs.job_service import JobState
from workflows.jobs.on_kubernetes.api import Object
from workflows.jobs.on_kubernetes.pod_troubles import missing, pod_troubles, unschedulable
from workflows.jobs.on_kubernetes.rayjob_phase import about, is_ready
from workflows.jobs.on_kubernetes.rayjob_state import driver_exit_code, is_over, progress_of, status_of, when_cancelled
from workflows.jobs.on_kubernetes.refusals import words_of

TAKEN_WITHIN_SECONDS: Final = 60.0
"""KubeRay takes a new RayJob within a second where it runs; our choice."""
OWN_WORDS: Final = re.compile(r"^soundquarry: .+", re.MULTILINE)
REFUSALS: Final = frozenset(
    {"FailedCreate", "FailedToCreateRayCluster", "FailedToCreateHeadPod", "FailedToCreateWorkerPod",
     "FailedToCreateRayJobSubmitter", "FailedToCreateService", "FailedToCreateServiceAccount", "FailedToCreateRole",
     "FailedToCreateRoleBinding", "AutoscalerServiceAccountNotFound"}
)  # fmt: skip
POD_NAME: Final = re.compile(r'pods "[^"]+"')
MOUNTS: Final = frozenset({"FailedMount", "FailedAttachVolume"})


def troubles(job: Object, pods: Iterable[Object] = (), events: Iterable[Object] = ()) -> list[str]:
    """Sentences, each once, the most telling first; empty where nothing is in the way."""
    pods, events = list(pods), list(events)
    found = [*_ending(job), *_not_taken(job)]
    for pod in pods:
        found += pod_troubles(pod)
    found += _reported(job, pods, events)
    return list(dict.fromkeys(found))


def explained(state: JobState, job: Object, pods: Iterable[Object] = (), events: Iterable[Object] = ()) -> str:
    """The message of a job's state: the first trouble, where it failed or waits for something."""
    if state.state in ("succeeded", "running"):
        return ""
    if state.state == "stopped":
        when = when_cancelled(job)
        return f"cancelled at {when}" if when else "stopped through Ray"
    return ". ".join(troubles(job, pods, events)[:2])


def _ending(job: Object) -> Iterator[str]:
    """Why it failed, of its status."""
    status, spec, name = status_of(job), job["spec"], job["metadata"]["name"]
    reason, message = status.get("reason", ""), str(status.get("message", "")).strip()
    namespace = job["metadata"]["namespace"]
    log = f"`soundquarry jobs logs {name} --kubernetes --namespace {namespace}`"
    if not is_over(job) or progress_of(job) != "failed":
        return
    if status.get("jobDeploymentStatus") == "ValidationFailed" or reason == "ValidationFailed":
        yield f"KubeRay refuses the job: {message}. Correct that in the chart's values, and run `helm upgrade`"
    elif reason == "DeadlineExceeded":
        yield (
            f"it ran longer than {spec.get('activeDeadlineSeconds')} s (run.activeDeadlineSeconds) and was ended. What "
            "it committed stays: submit it again to go on, or raise the deadline"
        )
    elif reason == "PreRunningDeadlineExceeded":
        yield (
            f"its cluster was not up within {spec.get('preRunningDeadlineSeconds')} s (run.preRunningDeadlineSeconds): "
            "look for missing nodes or images below and in `kubectl get events`, or raise the deadline"
        )
    elif reason == "SubmissionFailed":
        yield (
            f"the job could not be handed to Ray: {message}. See {log}, and `kubectl describe job "
            f"{name} -n {namespace}`"
        )
    elif reason == "JobStatusCheckTimeoutExceeded":
        yield (
            f"the head of the cluster stopped answering ({message}): its node was lost, or its memory ran out. Submit "
            "it again to go on; raise head.resources if it happens again"
        )
    elif code := driver_exit_code(message):
        own = OWN_WORDS.findall(message)
        yield f"it ended with exit code {code}: {own[-1].removeprefix('soundquarry: ') if own else 'see ' + log}"
    else:
        first = message.partition("\n")[0].rstrip(". ") or reason or "KubeRay gives no reason"
        yield f"it failed: {first}. See {log}"


def _not_taken(job: Object) -> Iterator[str]:
    made = job["metadata"].get("creationTimestamp")
    if status_of(job).get("jobDeploymentStatus") or job["spec"].get("suspend") or not made:
        return
    age = (datetime.now(UTC) - datetime.fromisoformat(made)).total_seconds()
    if age > TAKEN_WITHIN_SECONDS:
        yield (
            f"KubeRay has not taken the job for over {TAKEN_WITHIN_SECONDS:.0f} s: look whether its operator runs and "
            f"watches namespace {job['metadata']['namespace']} "
            "(`kubectl get pods -A -l app.kubernetes.io/name=kuberay-operator`)"
        )


def _reported(job: Object, pods: list[Object], events: list[Object]) -> Iterator[str]:
    """What events tell that pods do not: what could not be made, volumes, and nodes that cannot be added."""
    namespace = job["metadata"]["namespace"]
    waiting = {pod["metadata"]["name"]: pod for pod in pods if not is_ready(pod)}
    for event in events:
        reason, message, name = event.get("reason", ""), event.get("message") or "", about(event)
        if reason in REFUSALS and not is_over(job):
            said = POD_NAME.sub("a pod", message.strip())  # each try has another name, and is no news
            yield words_of(message, namespace) or f"something could not be made for the job: {said}"
        elif name not in waiting:
            continue
        elif reason in MOUNTS:
            words = missing(message, namespace) or message.strip()
            yield f"a volume of pod {name} cannot be mounted: {words}"
        elif reason == "FailedScheduling" and not _says_unschedulable(waiting[name]):
            yield unschedulable(waiting[name], message)
        elif reason == "NotTriggerScaleUp":
            yield (
                f"the cluster's autoscaler adds no node for pod {name}: {message.strip()}. Ask for less, or have a "
                "node pool added that fits"
            )


def _says_unschedulable(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return pod["spec"].get("nodeName") is not None or any(entry["type"] == "PodScheduled" for entry in conditions)
