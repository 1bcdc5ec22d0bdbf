"""Every trouble of a job on Kubernetes becomes a sentence or two: what, where, and what to do next."""

from __future__ import annotations

import pytest
from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi
from submitted_jobs import message, with_talks

from workflows.jobs.on_kubernetes.jobs import KubernetesJobs


@pytest.fixture
def kuberay(api: KubernetesApi) -> KubeRay:
    return with_talks(api)


@pytest.mark.parametrize(
    ("on", "reason", "text", "said"),
    [
        (
            "talks-a1", "FailedToCreateWorkerPod",
            'Failed to create worker Pod for the cluster media/talks-a1, pods "talks-a1-gpu-worker-x" is forbidden: '
            "exceeded quota: gpu, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=4, limited: "
            "requests.nvidia.com/gpu=4",
            "the quota gpu of namespace media is used up: requests.nvidia.com/gpu=1 asked for, "
            "requests.nvidia.com/gpu=4 "
            "used, requests.nvidia.com/gpu=4 allowed. Wait until other jobs have ended",
        ),
        (
            "talks", "FailedCreate",
            'Error creating: pods "talks-x" is forbidden: failed quota: cpu: must specify limits.cpu for: '
            'ray-job-submitter',
            "the quota cpu of namespace media wants every container to say limits.cpu for: ray-job-submitter: set",
        ),
        (
            "talks-a1", "FailedToCreateHeadPod",
            'Failed to create head Pod media/talks-a1-head, pods "talks-a1-head" is forbidden: violates PodSecurity '
            '"restricted:latest": allowPrivilegeEscalation != false',
            "namespace media allows pods of level restricted:latest only: allowPrivilegeEscalation != false. Correct",
        ),
        (
            "talks-a1", "FailedToCreateHeadPod",
            'Failed to create head Pod media/talks-a1-head, pods "talks-a1-head" is forbidden: error looking up '
            'service '
            'account media/stems: serviceaccount "stems" not found',
            "service account stems is not in namespace media: set serviceAccount.create, or name one that is there",
        ),
        (
            "talks", "FailedToCreateRayCluster", "Failed to create RayCluster media/talks-a1: etcdserver: "
            "request timed out",
            "something could not be made for the job: Failed to create RayCluster media/talks-a1: etcdserver:",
        ),
        (
            "talks-a1-head", "FailedMount", 'MountVolume.SetUp failed for volume "s3" : secret "s3" not found',
            "a volume of pod talks-a1-head cannot be mounted: Secret s3 is not in namespace media: create it there",
        ),
        (
            "talks-a1-head", "NotTriggerScaleUp", "pod didn't trigger scale-up: 2 max node group size reached",
            "the cluster's autoscaler adds no node for pod talks-a1-head: pod didn't trigger scale-up: 2 max node",
        ),
    ],
)  # fmt: skip
def test_what_is_only_in_events_is_told(kuberay: KubeRay, on: str, reason: str, text: str, said: str) -> None:
    kuberay.head("talks", state={"waiting": {"reason": "ContainerCreating"}})
    kuberay.event("other-job", reason, text)
    assert message() == "the cluster starts: 0 of 1 pods are ready"
    kuberay.event(on, reason, text)
    assert message().startswith(said)


def test_what_was_told_of_an_earlier_job_of_the_name_is_no_trouble(kuberay: KubeRay, api: KubernetesApi) -> None:
    kuberay.event("talks", "FailedCreate", "Error creating: exceeded quota: a, requested: b=1, used: c=1, limited: d=1")
    assert message().startswith("the quota a of namespace media is used up")
    (name,) = api.names("events")
    api.put("events", {**api.get("events", name), "lastTimestamp": "2026-01-31T09:00:00Z"})
    assert message() == "the cluster is being made"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            {"jobDeploymentStatus": "ValidationFailed", "reason": "ValidationFailed",
             "message": "The RayJob spec is invalid: backoffLimit must be a positive integer"},
            "KubeRay refuses the job: The RayJob spec is invalid: backoffLimit must be a positive integer. Correct",
        ),
        (
            {"reason": "DeadlineExceeded", "message": "The RayJob has passed the activeDeadlineSeconds."},
            "it ran longer than 600 s (run.activeDeadlineSeconds) and was ended. What it committed stays: submit it",
        ),
        (
            {"reason": "PreRunningDeadlineExceeded", "message": "The RayJob has passed the preRunningDeadlineSeconds."},
            "its cluster was not up within 300 s (run.preRunningDeadlineSeconds): look for missing nodes or images",
        ),
        (
            {"reason": "SubmissionFailed", "message": "Job submission has failed. Reason: BackoffLimitExceeded."},
            "the job could not be handed to Ray: Job submission has failed. Reason: BackoffLimitExceeded",
        ),
        (
            {"reason": "JobStatusCheckTimeoutExceeded", "message": "Job status checks have been failing"},
            "the head of the cluster stopped answering (Job status checks have been failing): its node was lost, or",
        ),
        (
            {"reason": "AppFailed", "jobStatus": "FAILED", "message": "Job entrypoint command failed with exit code 1, "
             "last available logs (truncated to 20,000 chars):\nTraceback\nMemoryError"},
            "it ended with exit code 1: see `soundquarry jobs logs talks --kubernetes --namespace media`",
        ),
        (
            {"reason": "AppFailed", "message": "Ray head pod not found."},
            "it failed: Ray head pod not found. See `soundquarry jobs logs talks --kubernetes --namespace media`",
        ),
    ],
)  # fmt: skip
def test_why_a_job_has_failed_is_told(kuberay: KubeRay, status: dict[str, str], said: str) -> None:
    kuberay.status("talks", **{"jobDeploymentStatus": "Failed", **status})
    assert message().startswith(said)
    assert KubernetesJobs().list()[0].message == message()


def test_a_job_that_nobody_takes_points_at_the_operator(kuberay: KubeRay, api: KubernetesApi) -> None:
    job = api.get("rayjobs", "talks")
    del job["status"]
    job["metadata"]["creationTimestamp"] = "2026-01-31T09:00:00Z"
    api.put("rayjobs", job)
    assert message().startswith("KubeRay has not taken the job for over 60 s: look whether its operator runs")
    assert "look whether its operator runs and watches namespace media" in message()


@pytest.mark.parametrize(
    ("status", "labels", "said"),
    [
        ("Suspended", {"kueue.x-k8s.io/queue-name": "gpus"}, "queued in Kueue (queue gpus)"),
        ("Suspended", {}, "suspended: nothing starts while spec.suspend is true"),
        ("Initializing", {}, "the cluster is being made"),
        ("Waiting", {}, "waiting for a job id (submissionMode InteractiveMode)"),
    ],
)
def test_what_a_waiting_job_waits_for_is_told(
    kuberay: KubeRay, api: KubernetesApi, status: str, labels: dict[str, str], said: str
) -> None:
    job = api.get("rayjobs", "talks")
    job["metadata"]["labels"].update(labels)
    api.put("rayjobs", job)
    kuberay.status("talks", jobDeploymentStatus=status)
    assert message() == said
