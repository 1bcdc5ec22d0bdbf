"""The run that the chart describes: one description for all who make it, and what lies in it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from rendered_chart import JOB, NIGHTLY, ONCE, TRAINING, Object, Rendered, merged, rendered

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


def test_who_submits_kuberay_and_the_chart_itself_say_the_same() -> None:
    once = rendered(ONCE)
    by_kuberay = rendered(merged(NIGHTLY, {"schedule": {"kind": "RayCronJob"}}))
    assert once.one("RayJob")["spec"] == once.template["spec"] == rendered(NIGHTLY).template["spec"]
    assert by_kuberay.one("RayCronJob")["spec"]["jobTemplate"] == by_kuberay.template["spec"]
    assert once.one("RayJob")["metadata"]["labels"] == once.template["metadata"]["labels"]
    assert "name" not in once.template["metadata"]


def test_the_template_can_be_found_by_its_labels() -> None:
    template = rendered().one("ConfigMap", "-template")
    assert (
        template["metadata"]["labels"].items()
        >= {
            "app.kubernetes.io/name": "soundquarry",
            "app.kubernetes.io/instance": "talks",
            "soundquarry.dev/template": "rayjob",
        }.items()
    )
    assert rendered(ONCE).template["metadata"]["labels"]["soundquarry.dev/workflow"] == "extract"


def test_the_command_reads_the_job_where_it_is_mounted() -> None:
    release = rendered(ONCE)
    assert release.one("RayJob")["spec"]["entrypoint"] == "soundquarry run /etc/soundquarry/job.yaml"
    for pod in (release.pods["head"], release.pods["cpu"]):
        assert mounts_of(pod)["/etc/soundquarry"] == {
            "name": "job",
            "mountPath": "/etc/soundquarry",
            "readOnly": True,
        }
        assert volumes_of(pod)["job"]["configMap"] == {"name": "talks-soundquarry-job"}


def test_job_catalog_and_files_arrive_as_they_were_given() -> None:
    job = {**JOB, "catalog": "catalog.yaml", "threshold": 0.4, "unit_seconds": 600, "no_gate": True}
    catalog = {"name": "ours", "queries": [{"id": "bell", "text": ["Glockengeläut", "yes: no"], "threshold": 1}]}
    text = "uri,start\n  s3://a/ä.wav,1\n\n# ' \" {{ }}\n"
    data = rendered({"mode": "once", "job": job, "catalog": catalog, "files": {"clips.csv": text}})
    data = data.one("ConfigMap", "-job")["data"]
    assert yaml.safe_load(data["job.yaml"]) == job
    assert yaml.safe_load(data["catalog.yaml"]) == catalog
    assert data["clips.csv"] == text
    short = rendered({"job": {**JOB, "catalog": "catalog.yaml"}, "catalog": ["a dog barking", "rain"]})
    assert yaml.safe_load(short.one("ConfigMap", "-job")["data"]["catalog.yaml"]) == ["a dog barking", "rain"]


def test_a_recipe_arrives_as_it_was_given() -> None:
    recipe = {"base": ["supervised", "ours.yaml"], "about": "Größer: yes", "mixtures": {"batch": 8}}
    data = rendered({"mode": "once", "job": {**TRAINING, "recipe": "recipe.yaml"}, "recipe": recipe})
    assert yaml.safe_load(data.one("ConfigMap", "-job")["data"]["recipe.yaml"]) == recipe
    other = rendered({"mode": "once", "job": {**TRAINING, "recipe": "recipe.yaml"}, "recipe": {**recipe, "seed": 2}})
    assert data.one("RayJob")["metadata"]["name"] != other.one("RayJob")["metadata"]["name"]


def test_a_training_computes_in_workers_and_its_driver_reserves_nothing() -> None:
    release = rendered({"mode": "once", "job": TRAINING, **GPU})
    assert release.one("RayJob")["metadata"]["labels"]["soundquarry.dev/workflow"] == "train"
    assert not [name for name in release.one("RayJob")["spec"] if name.startswith("entrypointNum")]


def test_files_and_runs_of_the_charts_own_job_bear_the_same_hash_of_it() -> None:
    def hashes(values: dict[str, Any]) -> set[str]:
        release = rendered(values)
        own = [release.one("ConfigMap", "-job"), *release.all("RayJob"), release.template]
        own += [cron["spec"]["jobTemplate"]["rayClusterSpec"]["headGroupSpec"]["template"]
                for cron in release.all("RayCronJob")]  # fmt: skip
        return {found["metadata"]["labels"]["soundquarry.dev/job"] for found in own}

    by_kuberay = merged(NIGHTLY, {"schedule": {"kind": "RayCronJob"}})
    assert hashes(dict(ONCE)) == hashes(dict(NIGHTLY)) == hashes(by_kuberay)
    assert len(hashes(dict(ONCE))) == 1
    assert hashes(merged(ONCE, {"job": {"threshold": 0.4}})) != hashes(dict(ONCE))


def test_without_a_job_there_is_only_what_submit_needs() -> None:
    assert not [name for _, name in rendered().names if name.endswith("-job")]
    assert not rendered().all("RayJob")
    assert rendered().template["spec"]["entrypoint"]


def test_an_evaluation_computes_where_the_gpu_is() -> None:
    job = {"job": {"workflow": "evaluate", "list_csv": "list.csv", "root": "s3://sounds"}}
    assert rendered({**job, **GPU}).template["spec"]["entrypointNumGpus"] == 1
    on_cpus = rendered(job).template["spec"]
    assert (on_cpus["entrypointNumCpus"], "entrypointNumGpus" in on_cpus) == (1, False)
    assert not {"entrypointNumCpus", "entrypointNumGpus"} & rendered({**ONCE, **GPU}).template["spec"].keys()


def test_what_ends_a_run_is_handed_on() -> None:
    run = {
        "backoffLimit": 3,
        "activeDeadlineSeconds": 1_000_000,
        "preRunningDeadlineSeconds": 600,
        "ttlSecondsAfterFinished": 60,
        "suspend": True,
        "submissionMode": "HTTPMode",
    }
    spec = rendered({"run": run}).template["spec"]
    assert {name: spec[name] for name in run} == run
    unlimited = rendered({"run": {"preRunningDeadlineSeconds": None}}).template["spec"]
    assert not {"activeDeadlineSeconds", "preRunningDeadlineSeconds", "suspend"} & unlimited.keys()


@pytest.mark.parametrize(("mode", "has_pod"), [("K8sJobMode", True), ("HTTPMode", False), ("SidecarMode", False)])
def test_only_a_submitting_job_gets_a_pod(mode: str, has_pod: bool) -> None:
    assert ("submitterPodTemplate" in rendered({"run": {"submissionMode": mode}}).template["spec"]) == has_pod


def test_a_log_that_breaks_off_now_and_then_ends_no_run() -> None:
    assert rendered().template["spec"]["submitterConfig"] == {"backoffLimit": 20}
    assert "submitterConfig" not in rendered({"run": {"submissionMode": "SidecarMode"}}).template["spec"]


def test_the_pods_that_wait_for_a_run_are_moved_by_no_autoscaler_and_go_where_the_values_say() -> None:
    values = merged(
        NIGHTLY,
        {
            "models": {"kind": "existingClaim", "claim": "models", "pull": ["clapsep"]},
            "envFrom": [{"secretRef": {"name": "bucket"}}],
            "smallPods": {
                "nodeSelector": {"node-pool": "steady"},
                "tolerations": [{"key": "steady", "operator": "Exists"}],
                "priorityClassName": "steady",
            },
        },
    )
    pods = rendered(values).pods
    for name in ("submitter", "schedule", "models", "doctor"):
        spec = pods[name]["spec"]
        assert spec["nodeSelector"] == {"node-pool": "steady"}, name
        assert spec["tolerations"] == [{"key": "steady", "operator": "Exists"}]
        assert spec["priorityClassName"] == "steady"
    for name in ("submitter", "schedule"):
        assert pods[name]["metadata"]["annotations"] == pods["head"]["metadata"]["annotations"], name
    assert container_of(pods["models"])["envFrom"] == [{"secretRef": {"name": "bucket"}}]


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


def test_kueue_finds_its_queue_on_every_run() -> None:
    queue = {"kueue": {"queueName": "media"}}
    for labels in (
        rendered({**ONCE, **queue}).one("RayJob")["metadata"]["labels"],
        rendered(queue).template["metadata"]["labels"],
    ):
        assert labels["kueue.x-k8s.io/queue-name"] == "media"
    elastic = rendered({**AUTOSCALING, "kueue": {"queueName": "media", "elasticJobs": True}}).template["metadata"]
    assert elastic["annotations"] == {"kueue.x-k8s.io/elastic-job": "true"}
    assert "annotations" not in rendered(queue).template["metadata"]


def test_labels_of_the_values_do_not_take_a_pod_out_of_the_release() -> None:
    labels = rendered({"head": {"labels": {"team": "sound", "app.kubernetes.io/name": "mine"}}}).pods["head"]
    assert labels["metadata"]["labels"] == {
        "app.kubernetes.io/name": "soundquarry",
        "app.kubernetes.io/instance": "talks",
        "app.kubernetes.io/component": "head",
        "team": "sound",
    }
