"""The run that the chart describes: one description for all who make it, and what lies in it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from rendered_chart import JOB, NIGHTLY, ONCE, TRAINING, merged, rendered
from rendered_pods import AUTOSCALING, GPU, container_of, mounts_of, volumes_of


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


def test_no_driver_keeps_a_core_or_a_gpu_from_the_workers() -> None:
    job = {"job": {"workflow": "evaluate", "list_csv": "list.csv", "root": "/sounds"}}
    for values in (job, {**job, **GPU}, {**ONCE, **GPU}):
        assert not {"entrypointNumCpus", "entrypointNumGpus"} & rendered(values).template["spec"].keys()


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
