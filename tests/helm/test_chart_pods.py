"""The pods of the chart's run: how many, what they may use, what is mounted, and what they are told."""

from __future__ import annotations

import pytest
from rendered_chart import NIGHTLY, merged, rendered
from rendered_pods import AUTOSCALING, GPU, cluster_of, container_of, environment_of, mounts_of, volumes_of


def test_a_group_that_does_not_scale_has_one_size() -> None:
    (group,) = cluster_of(rendered({"workers": {"cpu": {"replicas": 3}}}))["workerGroupSpecs"]
    assert (group["groupName"], group["replicas"], group["minReplicas"], group["maxReplicas"]) == ("cpu", 3, 3, 3)
    assert "enableInTreeAutoscaling" not in cluster_of(rendered())


def test_groups_that_scale_have_their_bounds() -> None:
    cluster = cluster_of(rendered(merged(AUTOSCALING, {"workers": {"gpu": {"idleTimeoutSeconds": 30}}})))
    cpu, gpu = cluster["workerGroupSpecs"]
    assert (cpu["minReplicas"], cpu["replicas"], cpu["maxReplicas"]) == (0, 1, 4)
    assert (gpu["minReplicas"], gpu["maxReplicas"], gpu["idleTimeoutSeconds"]) == (0, 1, 30)
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["autoscalerOptions"]["resources"]["limits"] == {"memory": "1Gi"}


def test_gpus_are_limits_of_the_gpu_group_alone() -> None:
    pods = rendered(GPU).pods
    assert container_of(pods["gpu"])["resources"]["limits"] == {"memory": "32Gi", "nvidia.com/gpu": 2}
    assert "nvidia.com/gpu" not in str(container_of(pods["cpu"])) + str(container_of(pods["head"]))
    assert pods["gpu"]["spec"]["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]


def test_the_head_does_no_work_by_default() -> None:
    assert cluster_of(rendered())["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}


def test_shared_memory_is_as_large_as_the_memory() -> None:
    pods = rendered(GPU).pods
    for name, memory in (("head", "8Gi"), ("cpu", "16Gi"), ("gpu", "32Gi")):
        assert volumes_of(pods[name])["shared-memory"]["emptyDir"] == {"medium": "Memory", "sizeLimit": memory}
        assert mounts_of(pods[name])["/dev/shm"]["name"] == "shared-memory"


def test_scratch_is_the_disk_a_claim_of_the_pod_or_a_claim_of_all() -> None:
    disk = rendered().pods["cpu"]
    assert volumes_of(disk)["tmp"]["emptyDir"] == {"sizeLimit": "100Gi"}
    pods = rendered({"scratch": {"kind": "ephemeral", "size": "1Ti", "storageClass": "fast"}}).pods
    claim = pods["cpu"]
    assert "emptyDir" in volumes_of(pods["head"])["tmp"], "the head fetches no media"
    spec = volumes_of(claim)["tmp"]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (spec["storageClassName"], spec["resources"]["requests"]["storage"]) == ("fast", "1Ti")
    shared = rendered({"scratch": {"kind": "existingClaim", "claim": "media"}}).pods["cpu"]
    assert "emptyDir" in volumes_of(shared)["tmp"], "Ray's own files are no matter of other pods"
    assert mounts_of(shared)["/scratch"]["name"] == "scratch"
    assert environment_of(shared)["SOUNDQUARRY_SCRATCH"] == "/scratch"
    assert "SOUNDQUARRY_SCRATCH" not in environment_of(disk)


def test_models_on_a_claim_are_read_by_all_pods_and_written_by_the_one_that_pulls() -> None:
    values = {"models": {"kind": "existingClaim", "claim": "models", "pull": ["clapsep"]}, **GPU}
    release = rendered(values)
    for name in ("head", "cpu", "gpu"):
        assert mounts_of(release.pods[name])["/models"]["readOnly"] is True
        assert environment_of(release.pods[name])["SOUNDQUARRY_MODELS"] == "/models"
    job = release.one("Job")
    assert job["metadata"]["annotations"] == {
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    }
    assert container_of(release.pods["models"])["args"] == ["models", "pull", "clapsep"]
    assert "readOnly" not in mounts_of(release.pods["models"])["/models"]
    assert not rendered().all("Job")


def test_environment_volumes_and_secrets_reach_head_and_workers() -> None:
    values = {
        "env": [{"name": "AWS_ENDPOINT_URL", "value": "https://minio:9000"}],
        "envFrom": [{"secretRef": {"name": "bucket"}}],
        "ray": {"env": {"RAY_memory_monitor_refresh_ms": "0"}},
        "volumes": [{"name": "archive", "persistentVolumeClaim": {"claimName": "archive"}}],
        "volumeMounts": [{"name": "archive", "mountPath": "/archive"}],
    }
    pods = rendered(values).pods
    for name in ("head", "cpu"):
        assert environment_of(pods[name])["AWS_ENDPOINT_URL"] == "https://minio:9000"
        assert environment_of(pods[name])["RAY_memory_monitor_refresh_ms"] == "0"
        assert container_of(pods[name])["envFrom"] == [{"secretRef": {"name": "bucket"}}]
        assert mounts_of(pods[name])["/archive"]["name"] == "archive"
        assert "archive" in volumes_of(pods[name])


def test_the_driver_tells_its_metrics_where_the_values_say() -> None:
    values = {"monitoring": {"metricsPort": 9100, "pushgateway": {"url": "http://gateway:9091"}}}
    head = rendered(values).pods["head"]
    assert (
        environment_of(head).items()
        >= {
            "SOUNDQUARRY_METRICS_PORT": "9100",
            "SOUNDQUARRY_PUSHGATEWAY": "http://gateway:9091",
            "SOUNDQUARRY_METRICS_JOB": "talks-soundquarry",
        }.items()
    )
    assert {"name": "driver-metrics", "containerPort": 9100} in container_of(head)["ports"]
    assert "SOUNDQUARRY_METRICS_PORT" not in environment_of(rendered(values).pods["cpu"])
    silent = rendered({"monitoring": {"metricsPort": None}}).pods["head"]
    assert "SOUNDQUARRY_METRICS_PORT" not in environment_of(silent)
    assert {port["name"] for port in container_of(silent)["ports"]} == {"gcs-server", "dashboard", "metrics"}


def test_with_autoscaling_the_driver_is_told_how_large_the_cluster_may_be() -> None:
    workers = {
        "cpu": {
            "maxReplicas": 3,
            "resources": {"requests": {"cpu": "1500m", "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
        },
        "gpu": {"enabled": True, "maxReplicas": 5, "gpus": 2},
    }
    grows = rendered({"workers": workers, "autoscaling": {"enabled": True}}).pods["head"]
    told = {
        "SOUNDQUARRY_MAX_CPUS": str(3 * 2 + 5 * 8), "SOUNDQUARRY_MAX_GPUS": "10", "SOUNDQUARRY_NODE_CPUS": "2",
    }  # fmt: skip
    assert environment_of(grows).items() >= told.items()
    assert not environment_of(rendered({"workers": workers}).pods["head"]).keys() & told.keys()


@pytest.mark.parametrize("auth", ["token", "disabled"])
def test_ray_asks_for_a_token_or_for_none_on_all_nodes(auth: str) -> None:
    release = rendered({"ray": {"auth": auth}})
    assert cluster_of(release)["authOptions"] == {"mode": auth}
    for name in ("head", "cpu", "submitter"):
        assert environment_of(release.pods[name])["RAY_AUTH_MODE"] == auth


def test_a_digest_counts_in_the_place_of_a_tag() -> None:
    digest = "sha256:" + 64 * "a"
    image = {"repository": "registry.example.com/soundquarry", "tag": "1", "pullSecrets": ["pull"]}
    for given, wanted in (({}, ":1"), ({"digest": digest}, f"@{digest}")):
        release = rendered(merged(NIGHTLY, {"image": {**image, **given}}))
        for pod in release.pods.values():
            assert container_of(pod)["image"] == "registry.example.com/soundquarry" + wanted
            assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]


def test_labels_of_the_values_do_not_take_a_pod_out_of_the_release() -> None:
    labels = rendered({"head": {"labels": {"team": "sound", "app.kubernetes.io/name": "mine"}}}).pods["head"]
    assert labels["metadata"]["labels"] == {
        "app.kubernetes.io/name": "soundquarry",
        "app.kubernetes.io/instance": "talks",
        "app.kubernetes.io/component": "head",
        "team": "sound",
    }
