"""Jobs that are there: listed, looked at, cancelled."""

from __future__ import annotations

import doctest
import threading
from pathlib import Path

import pytest
from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi
from rayjob_template import rayjob_template, template_map
from submitted_jobs import Follower, job_in, play_the_cancelling, service

from workflows.jobs.job_file import JobFile
from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes import job_map, pod_log, rayjob_state


def test_examples_hold() -> None:
    assert [doctest.testmod(module).failed for module in (job_map, pod_log, rayjob_state)] == [0, 0, 0]


def test_a_cancelled_job_ends_at_once_stays_readable_and_gives_its_nodes_back(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    pod = kuberay.runs(submitted)
    kuberay.status(submitted, startTime="2026-01-31T09:00:00Z")
    follower = Follower(submitted)
    api.say(pod, "3 of 9 units")
    follower.reads("3 of 9 units")
    watching = threading.Thread(target=lambda: play_the_cancelling(kuberay, submitted), daemon=True)
    watching.start()
    service().cancel(submitted)
    assert follower.ends() == 130
    state = service().status(submitted)
    assert (state.state, state.exit_code) == ("stopped", None)
    assert state.message.startswith("cancelled at 20")
    assert kuberay.pods(f"ray.io/cluster={submitted}-a1") == []
    assert api.get("jobs", submitted)["spec"]["backoffLimit"] == 0
    assert [*service().logs(submitted, follow=False)] == ["3 of 9 units\n"]
    version = api.version
    service().cancel(submitted)
    assert api.version == version


def test_a_job_that_has_not_begun_is_cancelled_by_taking_it_away(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    kuberay.status(submitted, jobDeploymentStatus="Suspended")
    follower = Follower(submitted)
    follower.hears("suspended")
    service().cancel(submitted)
    assert follower.ends() == 130
    assert api.names("rayjobs") == []
    assert api.names("configmaps") == ["stems-soundquarry-template"]


def test_a_job_that_is_not_there_or_not_ours_is_left_alone(api: KubernetesApi) -> None:
    api.put("rayjobs", {
        "apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "training"},
        "spec": {"entrypoint": "python train.py"},
    })  # fmt: skip
    jobs = service()
    assert jobs.list() == []
    for act in (jobs.status, jobs.cancel, jobs.wait, lambda name: [*jobs.logs(name, follow=True)]):
        with pytest.raises(JobError, match="no RayJob talks in namespace media: it was never submitted there, was"):
            act("talks")
        with pytest.raises(JobError, match="RayJob training does not run soundquarry and is left alone"):
            act("training")
    assert api.names("rayjobs") == ["training"]


def test_jobs_are_listed_the_newest_first_with_what_they_do(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path
) -> None:
    api.put("configmaps", template_map("music", "music"))
    for number, release in enumerate(("stems", "music", "stems")):
        other = job_in(tmp_path / f"job{number}", out=f"s3://stems/{number}")
        service(release=release).submit(other, f"job-{number}", "join")
        made = api.get("rayjobs", f"job-{number}")
        made["metadata"]["creationTimestamp"] = f"2026-01-0{number + 1}T00:00:00Z"
        api.put("rayjobs", made)
    kuberay.runs("job-0")
    kuberay.ends("job-0", "SUCCEEDED")
    kuberay.runs("job-1")
    kuberay.takes("job-2")
    assert [(state.name, state.state) for state in service().list()] == [
        ("job-2", "pending"), ("job-1", "running"), ("job-0", "succeeded"),
    ]  # fmt: skip
    assert [state.name for state in service(release="music").list()] == ["job-1"]
    assert ("admin", "list", "pods", "") not in api.asked


def test_the_run_of_a_raycronjob_is_one_of_ours_by_its_pods_labels(api: KubernetesApi) -> None:
    spec = rayjob_template()["spec"]
    labels = {"soundquarry.dev/workflow": "mine", "app.kubernetes.io/instance": "stems"}
    spec["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"] = {"labels": labels}
    api.put("rayjobs", {
        "apiVersion": "ray.io/v1", "kind": "RayJob", "spec": spec,
        "metadata": {"name": "stems-29400000", "labels": {"ray.io/cronjob-name": "stems"}},
    })  # fmt: skip
    assert [(state.name, state.workflow) for state in service(release="stems").list()] == [("stems-29400000", "mine")]
