"""What a template of the chart says of the pods that will run a job."""

from __future__ import annotations

from typing import Any

from workflows.jobs.on_kubernetes.rayjob_manifest import Template, mount_paths


def pod(**mounted: str) -> dict[str, Any]:
    """A pod that mounts volumes of these names; `tmp` is its own."""
    volumes = [{"name": name, "emptyDir": {}} if name == "tmp" else {"name": name, "hostPath": {}} for name in mounted]
    mounts = [{"name": name, "mountPath": path} for name, path in mounted.items()]
    return {"spec": {"containers": [{"volumeMounts": mounts}], "volumes": volumes}}


def test_folders_of_the_cluster_are_those_that_head_and_all_workers_mount_from_outside() -> None:
    head = pod(tmp="/tmp", archive="/archive", stems="/stems")
    worker = pod(tmp="/tmp", archive="/archive", models="/models")
    cluster = {"headGroupSpec": {"template": head}, "workerGroupSpecs": [{"template": worker}]}
    assert mount_paths(Template("talks", {"spec": {"rayClusterSpec": cluster}}, "job")) == ("/archive",)


def test_nothing_is_known_of_a_cluster_that_was_there_before() -> None:
    assert mount_paths(Template("talks", {"spec": {"clusterSelector": {"a": "b"}}}, "job")) == ()
