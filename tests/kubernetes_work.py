"""Jobs of Kubernetes: how one ended, what its pod printed, and one made as a CronJob makes it."""

from __future__ import annotations

from typing import Final

from server_api import PATIENCE_SECONDS, Api, Object, RefusedError, awaited

NOT_BEGUN: Final = (400, 404)
"""What the server says of the log of a container that is not running yet."""


def outcome(api: Api, name: str, namespace: str, seconds: float = PATIENCE_SECONDS) -> str:
    """`Complete` or `Failed`, when the Job has ended."""

    def ended() -> list[str]:
        conditions = api.get("batch/v1", "Job", name, namespace).get("status", {}).get("conditions", [])
        return [one["type"] for one in conditions if one["status"] == "True"]

    return awaited(ended, f"the end of Job {name}", seconds)[0]


def pod_of(api: Api, name: str, namespace: str) -> Object:
    """The Job's pod; the last one, where it had to be made again."""
    pods = awaited(lambda: api.list("v1", "Pod", namespace, labelSelector=f"job-name={name}"), f"a pod of Job {name}")
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def log_of(api: Api, name: str, namespace: str) -> str:
    """What the Job's pod printed so far; nothing where it has not begun."""
    pod = pod_of(api, name, namespace)
    try:
        return str(api.call("GET", api.path("v1", "Pod", namespace, pod["metadata"]["name"]) + "/log"))
    except RefusedError as error:
        if error.code not in NOT_BEGUN:
            raise
        return ""


def started_by(api: Api, cron_job: Object, name: str) -> None:
    """A Job as the CronJob makes it when its minute comes, now."""
    meta = cron_job["metadata"]
    owner = {"apiVersion": cron_job["apiVersion"], "kind": "CronJob", "name": meta["name"], "uid": meta["uid"]}
    template = cron_job["spec"]["jobTemplate"]
    labels = template.get("metadata", {}).get("labels", {})
    own = {"name": name, "labels": labels, "ownerReferences": [owner | {"controller": True}]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": own, "spec": template["spec"]}
    api.create(job, meta["namespace"])
