"""Runs by the clock: a CronJob whose pod submits and waits, or KubeRay's own RayCronJob."""

from __future__ import annotations

from typing import Any

import pytest
from rendered_chart import NIGHTLY, Object, merged, rendered


def cron(**schedule: Any) -> Object:
    return rendered(merged(NIGHTLY, {"schedule": schedule})).one("CronJob")


def test_the_pod_submits_the_mounted_job_and_waits_for_its_end() -> None:
    (container,) = rendered(NIGHTLY).pods["schedule"]["spec"]["containers"]
    assert container["args"] == [
        "submit",
        "/etc/soundquarry/job.yaml",
        "--kubernetes",
        "--namespace=$(NAMESPACE)",
        "--release=talks",
        "--name=$(JOB_NAME)-r",
        "--if-running=skip",
        "--follow",
    ]
    template, *told = container["env"]
    assert template == {"name": "SOUNDQUARRY_TEMPLATE", "value": "talks-soundquarry-template"}
    assert {entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in told} == {
        "NAMESPACE": "metadata.namespace",
        "JOB_NAME": "metadata.labels['job-name']",
        "JOB_UID": "metadata.labels['controller-uid']",
    }


def test_the_run_is_not_called_as_the_pods_job() -> None:
    """KubeRay makes a Job with the name of the run, and would take the pod's for its own."""
    (container,) = rendered(NIGHTLY).pods["schedule"]["spec"]["containers"]
    (name,) = (argument for argument in container["args"] if argument.startswith("--name="))
    assert name.removeprefix("--name=") != "$(JOB_NAME)"


def test_no_run_begins_while_another_one_lasts_and_old_ones_go() -> None:
    spec = cron()["spec"]
    assert (spec["concurrencyPolicy"], spec["startingDeadlineSeconds"]) == ("Forbid", 3600)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)


def test_what_the_values_say_of_the_schedule_is_handed_on() -> None:
    told = {
        "timeZone": "Europe/Vienna",
        "suspend": True,
        "concurrencyPolicy": "Allow",
        "startingDeadlineSeconds": 600,
        "successfulJobsHistoryLimit": 0,
        "failedJobsHistoryLimit": 7,
    }
    spec = cron(**told)["spec"]
    assert spec["schedule"] == "0 2 * * *"
    assert {name: spec[name] for name in told} == told


@pytest.mark.parametrize(
    ("kubernetes", "version"),
    [
        ("1.20.2", "batch/v1beta1"),
        ("1.21.0", "batch/v1"),
        ("1.30.5-gke.1014001", "batch/v1"),
        ("1.33.1+k3s1", "batch/v1"),
    ],
)
def test_a_cronjob_has_the_version_that_the_server_knows(kubernetes: str, version: str) -> None:
    assert rendered(NIGHTLY, kubernetes=kubernetes).one("CronJob")["apiVersion"] == version


def test_by_kuberay_there_is_a_raycronjob_and_nobody_else_holds_a_token() -> None:
    values = {"kind": "RayCronJob", "timeZone": "Etc/UTC", "suspend": True}
    release = rendered(merged(NIGHTLY, {"schedule": values}))
    spec = release.one("RayCronJob")["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 2 * * *", "Etc/UTC", True)
    head = release.pods["head"]["metadata"]["labels"]
    assert head["soundquarry.dev/workflow"] == "extract", "the label that its runs are known by"
    assert {"CronJob", "Role", "RoleBinding"}.isdisjoint(kind for kind, _ in release.names)
    assert not any(name.endswith("-submit") for _, name in release.names)


def test_only_a_schedule_makes_scheduled_objects() -> None:
    kinds = {kind for kind, _ in rendered().names}
    assert kinds == {"ConfigMap", "ServiceAccount", "NetworkPolicy", "Pod"}
