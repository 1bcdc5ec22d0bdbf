"""What lies in a rendered pod: its container, environment, volumes and mounts."""

from __future__ import annotations

from typing import Any

from rendered_chart import Object, Rendered

GPU = {"workers": {"gpu": {"enabled": True, "gpus": 2}}}
AUTOSCALING = {"autoscaling": {"enabled": True}, **GPU}


def cluster_of(release: Rendered) -> Object:
    cluster: Object = release.template["spec"]["rayClusterSpec"]
    return cluster


def container_of(pod: Object) -> Object:
    (container,) = pod["spec"]["containers"]
    return dict(container)


def environment_of(pod: Object) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container_of(pod)["env"]}


def volumes_of(pod: Object) -> dict[str, Object]:
    return {volume["name"]: volume for volume in pod["spec"]["volumes"]}


def mounts_of(pod: Object) -> dict[str, Object]:
    return {mount["mountPath"]: mount for mount in container_of(pod)["volumeMounts"]}
