"""What the chart leaves in a namespace, as far as `soundquarry submit --kubernetes` reads it."""

from __future__ import annotations

from typing import Any

import yaml

IMAGE = "example.org/soundquarry:1"


def rayjob_template(fullname: str = "stems-soundquarry", release: str = "stems", **spec: Any) -> dict[str, Any]:
    """The RayJob without a name."""
    job = {"name": "job", "configMap": {"name": f"{fullname}-job"}}
    mount = {"name": "job", "mountPath": "/etc/soundquarry", "readOnly": True}

    def pod(container: str, *volumes: dict[str, Any], **resources: Any) -> dict[str, Any]:
        mounts = [mount] if job in volumes else []
        made = {"name": container, "image": IMAGE, "volumeMounts": mounts, "resources": resources}
        return {"spec": {"containers": [made], "volumes": list(volumes)}}

    gpu = {"groupName": "gpu", "replicas": 1, "minReplicas": 0, "maxReplicas": 4, "rayStartParams": {},
           "template": pod("ray-worker", job, limits={"nvidia.com/gpu": 1, "memory": "16Gi"})}  # fmt: skip
    submitter = pod("ray-job-submitter", {"name": "tmp", "emptyDir": {}})
    submitter["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"labels": {"app.kubernetes.io/name": "soundquarry", "app.kubernetes.io/instance": release}},
        "spec": {
            "entrypoint": "soundquarry run /etc/soundquarry/job.yaml",
            "submissionMode": "K8sJobMode",
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": 3600,
            "submitterPodTemplate": submitter,
            "rayClusterSpec": {
                "rayVersion": "2.60.0",
                "headGroupSpec": {"rayStartParams": {}, "template": pod("ray-head", job)},
                "workerGroupSpecs": [gpu],
            },
            **spec,
        },
    }


def template_map(fullname: str = "stems-soundquarry", release: str = "stems", **spec: Any) -> dict[str, Any]:
    """The ConfigMap with it."""
    labels = {"app.kubernetes.io/name": "soundquarry", "app.kubernetes.io/instance": release,
              "soundquarry.dev/template": "rayjob"}  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{fullname}-template", "labels": labels},
        "data": {"rayjob.yaml": yaml.safe_dump(rayjob_template(fullname, release, **spec))},
    }
