"""What keeps a pod from running, in plain words: where it stands, what is in the way, what to do about it.

The words of kubelet, scheduler and volume controllers are matched as Kubernetes 1.20 to 1.34 write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from workflows.jobs.on_kubernetes.api import Object
from workflows.jobs.on_kubernetes.rayjob_phase import GPU

NO_IMAGE: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
NO_CONFIG: Final = frozenset({"CreateContainerConfigError", "CreateContainerError"})
LACKING: Final = re.compile(r"Insufficient ([\w./-]*\w)")
TAINTS: Final = re.compile(r"taints? \{([^}]+)\}")
ABSENT: Final = re.compile(r'(?P<kind>secret|configmap|persistentvolumeclaim)s? "(?P<name>[^"]+)" not found')
ABSENT_KEY: Final = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?P<name>\S+)")
HEAD_GROUP: Final = "headgroup"
SUBMITTER: Final = "smallPods"
"""The pod that hands a job to Ray is one of those; what it asks for is not to be chosen."""
IS_FINE: Final = frozenset({"Completed", "ContainerCreating", "PodInitializing"})


def pod_troubles(pod: Object) -> Iterator[str]:
    """Sentences, none where all is well."""
    status = pod.get("status") or {}
    if status.get("reason") == "Evicted":
        yield f"pod {_name(pod)} was evicted from its node: {status.get('message', '').strip()}"
    for condition in status.get("conditions") or []:
        unscheduled = condition["type"] == "PodScheduled" and condition["status"] == "False"
        if unscheduled and condition.get("reason") == "Unschedulable":
            yield unschedulable(pod, condition.get("message", ""))
    for found in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        yield from _container_troubles(pod, found)


def unschedulable(pod: Object, message: str) -> str:
    """Why no node takes the pod, of the scheduler's message."""
    group = group_of(pod)
    lacking = list(dict.fromkeys(LACKING.findall(message)))
    taints = list(dict.fromkeys(TAINTS.findall(message)))
    reasons = [_lacks(pod, resource, group) for resource in lacking]
    if taints:
        named = " and ".join("{" + taint + "}" for taint in taints)
        reasons.append(f"nodes are kept for others by the taint {named} (to be let in: {group}.tolerations)")
    if "node selector" in message or "node affinity/selector" in message or "match Pod's node affinity" in message:
        chosen = pod["spec"].get("nodeSelector") or {}
        labels = ", ".join(f"{key}={value}" for key, value in chosen.items()) or "affinity"
        reasons.append(f"nodes lack the labels that {group}.nodeSelector or affinity want ({labels})")
    if "topology spread" in message:
        reasons.append(f"{group}.topologySpreadConstraints leave no node")
    if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message or "volume node affinity" in message:
        reasons.append(_volume(pod, message))
    if not reasons:
        reasons.append(message.strip().rstrip(".") or "the scheduler gives no reason")
    return f"pod {_name(pod)} ({group}) finds no node: {'; '.join(reasons)}"


def group_of(pod: Object) -> str:
    """Where the pod is described in the chart's values: `head`, `workers.gpu`, or `smallPods`."""
    labels = pod["metadata"].get("labels") or {}
    group = labels.get("ray.io/group", "")
    if group == HEAD_GROUP or labels.get("ray.io/node-type") == "head":
        return "head"
    return f"workers.{group}" if group else SUBMITTER


def missing(message: str, namespace: str) -> str | None:
    """What to do about a Secret, ConfigMap or claim that is not there; None for other messages."""
    if found := ABSENT.search(message):
        kind = {"secret": "Secret", "configmap": "ConfigMap"}.get(found["kind"], "PersistentVolumeClaim")
        return (
            f"{kind} {found['name']} is not in namespace {namespace}: create it there, or correct its name in the "
            "chart's values"
        )
    if found := ABSENT_KEY.search(message):
        name = found["name"].rpartition("/")[2]
        return f"{found['kind']} {name} has no key {found['key']}: add it, or correct the key in the chart's values"
    return None


def _container_troubles(pod: Object, found: dict[str, Any]) -> Iterator[str]:
    state, before = found.get("state") or {}, (found.get("lastState") or {}).get("terminated") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason, message = waiting.get("reason", ""), " ".join((waiting.get("message") or "").split())
    where = f"container {found['name']} of pod {_name(pod)} ({group_of(pod)})"
    if reason in NO_IMAGE:
        yield (
            f"the image {found.get('image') or '?'} for pod {_name(pod)} ({group_of(pod)}) cannot be pulled: "
            f"{message or reason}. Check image.repository and image.tag in the chart's values, and image.pullSecrets "
            "for a private registry"
        )
    elif reason in NO_CONFIG:
        yield f"{where} cannot be made: {missing(message, pod['metadata']['namespace']) or message}"
    elif "OOMKilled" in (ended.get("reason"), before.get("reason")):
        another = "it only shows the log, and another one takes its place"
        raised = f"raise {group_of(pod)}.resources, and run `helm upgrade`"
        yield (
            f"{where} was killed because it used more than its memory limit ({_memory(pod, found['name'])}): "
            + (another if group_of(pod) == SUBMITTER else raised)
        )
    elif reason == "CrashLoopBackOff":
        code = before.get("exitCode")
        yield (
            f"{where} ends right after it starts (exit code {code}): see `kubectl logs -n "
            f"{pod['metadata']['namespace']} {_name(pod)} -c {found['name']} --previous`"
        )
    elif reason and reason not in IS_FINE:
        yield f"{where} does not start: {reason}: {message}"


def _lacks(pod: Object, resource: str, group: str) -> str:
    asked = _asked(pod, resource)
    if group == SUBMITTER:
        return f"no node has {asked or 'enough'} {resource} free: add a node, or allow others (smallPods.nodeSelector)"
    if GPU.fullmatch(resource):
        return (
            f"no node has {asked or '1'} free {resource}: add GPU nodes or wait for some, look whether the device "
            f"plugin runs on them, or lower {group}.gpus"
        )
    return f"no node has {asked or 'enough'} {resource} free: lower {group}.resources, or add larger nodes"


def _asked(pod: Object, resource: str) -> str:
    """What the containers ask of a resource."""
    asked = []
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        amount = (resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(resource)
        asked += [str(amount)] if amount else []
    return " + ".join(asked)


def _memory(pod: Object, container: str) -> str:
    for found in pod["spec"]["containers"]:
        limit = ((found.get("resources") or {}).get("limits") or {}).get("memory")
        if found["name"] == container and limit:
            return str(limit)
    return "that of the node"


def _volume(pod: Object, message: str) -> str:
    namespace = pod["metadata"]["namespace"]
    if words := missing(message, namespace):
        return words
    volumes = pod["spec"].get("volumes") or []
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]
    claims += [f"{_name(pod)}-{volume['name']}" for volume in volumes if "ephemeral" in volume]
    return (
        f"the volume claim {' or '.join(claims) or '?'} is not bound to a volume here: see `kubectl describe pvc -n "
        f"{namespace}`, and check the storage class (scratch.storageClass)"
    )


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])
