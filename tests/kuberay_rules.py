"""What the KubeRay operator refuses of a RayJob beyond its definition: the server takes it, and an event says why not.

After KubeRay 1.7, `ray-operator/controllers/ray/utils/validation.go`, as far as it concerns what the chart can say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

DNS_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
MOST_CHARACTERS: Final = {"RayJob": 47, "RayCronJob": 36}
FIRST_RAY_WITH_TOKENS: Final = (2, 52)
Spec = Mapping[str, Any]


def operator_problems(found: Mapping[str, Any]) -> list[str]:
    """Everything the operator would refuse of a RayJob or RayCronJob; nothing for other kinds."""
    kind = found["kind"]
    if kind not in MOST_CHARACTERS:
        return []
    name = found["metadata"]["name"]
    problems = []
    if len(name) > MOST_CHARACTERS[kind] or not DNS_1035.fullmatch(name):
        problems.append(f"{name}: no DNS-1035 label of at most {MOST_CHARACTERS[kind]} characters")
    if kind == "RayCronJob":
        if "TZ" in found["spec"]["schedule"]:
            problems.append("a time zone in the schedule")
        return problems + list(_of_run(found["spec"]["jobTemplate"]))
    return problems + list(_of_run(found["spec"]))


def _of_run(spec: Spec) -> Iterator[str]:
    shuts_down = spec.get("shutdownAfterJobFinishes", False)
    if spec.get("suspend") and not shuts_down:
        yield "suspend without shutdownAfterJobFinishes"
    if spec.get("ttlSecondsAfterFinished") and not shuts_down:
        yield "ttlSecondsAfterFinished without shutdownAfterJobFinishes"
    if spec.get("submissionMode") == "SidecarMode" and {"submitterPodTemplate", "submitterConfig"} & spec.keys():
        yield "a submitter in SidecarMode"
    for deadline in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if spec.get(deadline, 1) <= 0:
            yield f"{deadline} is not positive"
    yield from _of_cluster(spec["rayClusterSpec"])


def _of_cluster(cluster: Spec) -> Iterator[str]:
    head, groups = cluster["headGroupSpec"], cluster.get("workerGroupSpecs") or []
    scales = cluster.get("enableInTreeAutoscaling", False)
    for group in [head, *groups]:
        template = group["template"]["spec"]
        if not template["containers"]:
            yield "a group without a container"
        if "labels" in group["rayStartParams"]:
            yield "labels among rayStartParams"
        if scales and template.get("restartPolicy", "Never") != "Never":
            yield "a restartPolicy with autoscaler v2"
    for group in groups:
        least, most = group.get("minReplicas"), group.get("maxReplicas")
        if not scales and None in (least, most):
            yield f"{group['groupName']}: no bounds without autoscaling"
        if not 0 <= least <= most:
            yield f"{group['groupName']}: minReplicas {least}, maxReplicas {most}"
        if "idleTimeoutSeconds" in group and (cluster.get("autoscalerOptions") or {}).get("version") != "v2":
            yield f"{group['groupName']}: idleTimeoutSeconds without autoscaler v2"
    if (cluster.get("authOptions") or {}).get("mode") == "token":
        version = tuple(int(part) for part in cluster.get("rayVersion", "0").split("."))
        if version < FIRST_RAY_WITH_TOKENS:
            yield f"tokens with Ray {cluster.get('rayVersion')}"
    names = {entry["name"] for entry in head["template"]["spec"]["containers"][0].get("env", [])}
    if taken := names & {"RAY_REDIS_ADDRESS", "REDIS_USERNAME", "RAY_enable_autoscaler_v2"}:
        yield f"the head's environment has {taken}"
