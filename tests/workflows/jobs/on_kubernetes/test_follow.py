"""Jobs that are followed: each phase once, every line once, the exit code of the job."""

from __future__ import annotations

import pytest
from kuberay_operator import KubeRay
from kubernetes_api import EVERYTHING, KubernetesApi, Refusal, Rule
from rayjob_template import template_map
from submitted_jobs import Follower, service

from workflows.jobs.job_file import JobFile
from workflows.jobs.job_service import JobError


def test_a_follower_hears_each_phase_once_and_reads_what_the_job_prints(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    follower = Follower(submitted)
    follower.hears("waiting for KubeRay to take the job")
    kuberay.takes(submitted)
    follower.hears("the cluster is being made")
    lacking = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    kuberay.head(submitted)
    worker = kuberay.worker(submitted, unschedulable=lacking, resources={"limits": {"nvidia.com/gpu": "1"}})
    follower.hears("waiting for a GPU node")
    follower.hears("no node has 1 free nvidia.com/gpu")
    creating = {"waiting": {"reason": "ContainerCreating"}}
    kuberay.worker(submitted, state=creating)
    kuberay.event(worker, "Pulling", 'Pulling image "example.org/soundquarry:1"')
    follower.hears("pulling the image")
    kuberay.event(worker, "Pulled", "Successfully pulled image")
    follower.hears("the cluster starts: 1 of 2 pods are ready")
    kuberay.worker(submitted)
    pod = kuberay.submitter(submitted, state=creating)
    kuberay.status(submitted, jobDeploymentStatus="Running", jobStatus="PENDING")
    follower.hears("the cluster is up, the job is handed to it")
    kuberay.pod(pod, {"job-name": submitted}, ("ray-job-submitter",))
    api.say(pod, "planning ...")
    follower.reads("planning ...")
    kuberay.status(submitted, jobStatus="RUNNING")
    follower.hears("running")
    api.say(pod, "Größe: 3 of 9 units")
    follower.reads("Größe: 3 of 9 units")
    api.say(pod, "done")
    kuberay.ends(submitted, "SUCCEEDED", "Job finished successfully.")
    assert follower.ends() == 0
    assert follower.printed == ["planning ...\n", "Größe: 3 of 9 units\n", "done\n"]
    assert len(set(follower.said)) == len(follower.said)
    assert follower.said[-1] == "running"


def test_what_ray_says_of_the_driver_counts_once_everything_has_ended(kuberay: KubeRay, submitted: str) -> None:
    kuberay.runs(submitted)
    kuberay.ends(submitted, "STOPPED", "Job was intentionally stopped.")
    assert service().wait(submitted) == 130
    assert service().status(submitted).message == "stopped through Ray"
    kuberay.status(submitted, jobStatus="SUCCEEDED", jobDeploymentStatus="Failed", reason="DeadlineExceeded")
    assert service().wait(submitted) == 0
    kuberay.status(submitted, jobStatus="RUNNING")
    assert service().wait(submitted) == 1


def test_a_worker_that_runs_out_of_memory_meanwhile_is_told(kuberay: KubeRay, submitted: str) -> None:
    pod = kuberay.runs(submitted)
    follower = Follower(submitted)
    kuberay.api.say(pod, "3 of 9 units")
    follower.reads("3 of 9 units")
    kuberay.worker(submitted, state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    follower.hears("was killed because it used more than its memory limit")
    kuberay.ends(submitted, "SUCCEEDED")
    assert follower.ends() == 0


@pytest.mark.parametrize(
    ("message", "code", "expected"),
    [
        ("Job entrypoint command failed with exit code 2, last available logs (truncated to 20,000 chars):\nx", 1, 2),
        ("Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\nx", 1, 1),
        ("Job entrypoint command failed with exit code -9. No logs available.", 1, 1),
        ("Job supervisor actor died: The actor is dead because its node has died.", 1, 1),
    ],
)
def test_a_follower_ends_with_the_exit_code_of_the_job(
    kuberay: KubeRay, submitted: str, message: str, code: int, expected: int
) -> None:
    kuberay.runs(submitted)
    kuberay.ends(submitted, "FAILED", message, code)
    assert service().wait(submitted) == expected


def test_the_state_tells_how_a_process_was_killed_and_why_the_job_failed(kuberay: KubeRay, submitted: str) -> None:
    kuberay.runs(submitted)
    said = "planning ...\nsoundquarry: --out s3://stems/talks was made with another model; give another --out\n"
    kuberay.ends(
        submitted, "FAILED", f"Job entrypoint command failed with exit code 2, last available logs:\n{said}", 1
    )
    state = service().status(submitted)
    assert (state.state, state.exit_code, state.workflow) == ("failed", 2, "extract")
    assert state.message == (
        "it ended with exit code 2: --out s3://stems/talks was made with another model; give another --out"
    )
    assert state.started is not None
    assert state.ended is not None
    assert state.started <= state.ended
    kuberay.status(submitted, message="Job entrypoint command failed with exit code -9. No logs available.")
    assert service().status(submitted).exit_code == 137


def test_a_retry_is_followed_in_its_new_cluster(api: KubernetesApi, kuberay: KubeRay, submitted: str) -> None:
    job = api.get("rayjobs", submitted)
    job["spec"]["backoffLimit"] = 1
    api.put("rayjobs", job)
    first = kuberay.runs(submitted)
    follower = Follower(submitted)
    api.say(first, "first attempt")
    follower.reads("first attempt")
    kuberay.retries(submitted, failed=1)
    follower.hears("attempt 1 of 2 failed, KubeRay begins another one")
    kuberay.status(submitted, jobDeploymentStatus=None, jobStatus=None, rayClusterName=None, reason=None)
    kuberay.takes(submitted, attempt=2)
    second = kuberay.submitter(submitted, "qqqqq")
    api.say(second, "second attempt")
    kuberay.status(submitted, jobDeploymentStatus="Running", jobStatus="RUNNING")
    follower.reads("second attempt")
    kuberay.ends(submitted, "SUCCEEDED")
    assert follower.ends() == 0
    assert follower.printed == ["first attempt\n", "second attempt\n"]
    assert "its log begins once more, in another pod" in follower.said


def test_what_breaks_off_is_taken_up_again_without_a_gap(api: KubernetesApi, kuberay: KubeRay, submitted: str) -> None:
    pod = kuberay.runs(submitted)
    for number in range(20):
        api.say(pod, f"line {number}")
    api.broken_streams = 6
    follower = Follower(submitted)
    follower.reads("line 19")
    api.forgotten = api.version + 1  # the watch that follows is told that its version is too old
    api.say(pod, "line 20")
    follower.reads("line 20")
    api.forgotten = 0
    busy = Refusal(503, "the server is currently unable to handle the request", "ServiceUnavailable")
    api.refusals += [("get", "rayjobs", busy), ("watch", "rayjobs", busy)]
    kuberay.ends(submitted, "SUCCEEDED")
    assert follower.ends() == 0
    assert follower.printed == [f"line {number}\n" for number in range(21)]


def test_lines_of_one_moment_are_neither_lost_nor_doubled(api: KubernetesApi, kuberay: KubeRay, submitted: str) -> None:
    pod = kuberay.runs(submitted)
    api.say(pod, "a")
    stamp = api.logs[pod, "ray-job-submitter"][0][0]
    api.logs[pod, "ray-job-submitter"] += [(stamp, "a"), (stamp, "b")]
    api.broken_streams = 1
    kuberay.ends(submitted, "SUCCEEDED")
    assert [*service().logs(submitted, follow=True)] == ["a\n", "a\n", "b\n"]


def test_the_log_of_a_sidecar_is_the_jobs_log(api: KubernetesApi, kuberay: KubeRay, job: JobFile) -> None:
    api.put("configmaps", template_map(submissionMode="SidecarMode"))
    name = service().submit(job, "talks", "join").name
    kuberay.takes(name)
    head = kuberay.head(name, "ray-job-submitter")
    api.say(head, "3 of 9 units")
    kuberay.status(name, jobDeploymentStatus="Running", jobStatus="RUNNING")
    assert [*service().logs(name, follow=False)] == ["3 of 9 units\n"]


def test_without_a_pod_that_prints_a_follower_is_told_where_the_log_is(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile
) -> None:
    api.put("configmaps", template_map(submissionMode="HTTPMode"))
    name = service().submit(job, "talks", "join").name
    follower = Follower(name)
    kuberay.takes(name)
    kuberay.status(name, jobDeploymentStatus="Running", jobStatus="RUNNING")
    follower.hears("with submissionMode HTTPMode no pod prints the job's log")
    kuberay.status(name, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    assert follower.ends() == 0


def test_the_state_of_a_followed_job_is_known_after_it_is_gone(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    jobs = service()
    kuberay.runs(submitted)
    kuberay.ends(submitted, "SUCCEEDED")
    assert [*jobs.logs(submitted, follow=True)] == []
    api.remove("rayjobs", submitted)
    assert jobs.wait(submitted) == 0
    assert jobs.status(submitted).state == "succeeded"


def test_a_job_that_goes_away_before_its_end_is_an_error(api: KubernetesApi, kuberay: KubeRay, submitted: str) -> None:
    kuberay.runs(submitted)
    follower = Follower(submitted)
    follower.hears("running")
    api.remove("rayjobs", submitted)
    follower.ends()
    assert "RayJob talks was deleted before it had ended (last seen: running)" in str(follower.error)


@pytest.mark.parametrize("where", ["logs", "status"])
def test_before_anything_is_printed_the_reason_is_told(kuberay: KubeRay, submitted: str, where: str) -> None:
    kuberay.takes(submitted)
    if where == "logs":
        with pytest.raises(JobError, match="RayJob talks has no log: the cluster is being made"):
            [*service().logs(submitted, follow=False)]
    else:
        assert service().status(submitted).message == "the cluster is being made"


def test_a_follower_who_may_not_read_events_is_told_so_and_follows(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    api.rights["admin"] = [Rule(EVERYTHING, ("rayjobs", "pods", "pods/log", "configmaps"), EVERYTHING)]
    follower = Follower(submitted)
    kuberay.takes(submitted)
    follower.hears("admin may not list events in namespace media")
    kuberay.runs(submitted)
    kuberay.ends(submitted, "SUCCEEDED")
    assert follower.ends() == 0
