"""Every trouble on Kubernetes becomes a sentence or two: what, where, and what to do next."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi, Refusal, Rule
from kubernetes_server import kubernetes_api
from rayjob_template import rayjob_template, template_map

from workflows.jobs.job_file import JobFile, read_job
from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.jobs import KubernetesJobs
from workflows.jobs.on_kubernetes.refusals import words_of


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """A cluster with KubeRay, the chart, and a kubeconfig for it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("SOUNDQUARRY_TEMPLATE", "JOB_NAME", "JOB_UID", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with kubernetes_api() as running:
        running.put("configmaps", template_map())
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig(tmp_path / "kubeconfig")))
        yield running


@pytest.fixture
def job(tmp_path: Path) -> JobFile:
    path = tmp_path / "job.yaml"
    path.write_text("workflow: extract\nsources: [s3://archive/talks]\ncatalog: animals\nout: s3://stems/talks\n")
    return read_job(path)


def refusal_of(job: JobFile, **where: Any) -> str:
    with pytest.raises(JobError) as error:
        KubernetesJobs(**where).submit(job, "talks", "join")
    return str(error.value)


def test_who_is_not_allowed_is_told_the_verb_the_resource_and_whom_to_ask(api: KubernetesApi, job: JobFile) -> None:
    read = Rule(("", "ray.io"), ("configmaps", "rayjobs"), ("get", "list"))
    api.rights["admin"] = [read, Rule(("",), ("configmaps",), ("create", "delete"))]
    assert refusal_of(job) == (
        "admin may not create rayjobs.ray.io in namespace media. Ask the cluster's administrator for a Role with the "
        "verb 'create' on 'rayjobs.ray.io' there, bound to it (docs/kubernetes.md has all that submitting needs, under "
        '"Who may submit")'
    )
    account = "system:serviceaccount:media:stems-submit"
    forbidden = (
        f'pods is forbidden: User "{account}" cannot list resource "pods" in API group "" in the namespace "media"'
    )
    assert (words_of(forbidden, "media") or "").endswith("bound to it (the chart makes it with rbac.create)")
    api.rights["admin"] = [read]
    assert refusal_of(job).startswith("admin may not create configmaps in namespace media.")


def test_expired_credentials_are_told(api: KubernetesApi, job: JobFile) -> None:
    del api.rights["admin"]
    assert "the cluster does not know who you are (401)" in refusal_of(job)


def test_an_api_server_that_is_away_is_told_with_its_address(
    api: KubernetesApi, job: JobFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        api.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "away")))
    assert refusal_of(job).startswith(f"cannot reach the API server at {api.url} (")
    assert "Connection refused" in refusal_of(job)


def test_a_machine_that_knows_no_cluster_is_told_how_to_know_one(
    job: JobFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert "no Kubernetes cluster is known here" in refusal_of(job)
    assert "set KUBECONFIG to a kubeconfig with which `kubectl get pods` works" in refusal_of(job)


def test_a_context_that_is_not_in_the_kubeconfig_is_told_with_those_that_are(api: KubernetesApi, job: JobFile) -> None:
    assert refusal_of(job, context="prod") == "no context 'prod' in the kubeconfig; it has here, there"
    KubernetesJobs(context="there").submit(job, "talks", "join")
    assert api.names("rayjobs") == ["talks"]


def test_a_cluster_without_kuberay_is_told_what_to_install(api: KubernetesApi, job: JobFile) -> None:
    api.groups.remove("ray.io")
    assert "the cluster does not know ray.io/v1 rayjobs: KubeRay is not installed there" in refusal_of(job)


def test_a_namespace_without_the_chart_is_told_how_to_install_it(api: KubernetesApi, job: JobFile) -> None:
    api.remove("configmaps", "stems-soundquarry-template")
    assert refusal_of(job) == (
        "the chart is not installed in namespace media (no ConfigMap labelled soundquarry.dev/template=rayjob): run "
        "`helm install NAME helm/soundquarry -n media`, or give --namespace"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("spec: [", "rayjob.yaml: "),
        ("kind: Job", "rayjob.yaml is no RayJob"),
        ("kind: RayJob\nspec: {}", "its volumes 'job' name 0 ConfigMaps instead of one"),
    ],
)
def test_a_template_that_is_none_is_told(api: KubernetesApi, job: JobFile, text: str, why: str) -> None:
    broken = template_map()
    broken["data"] = {"rayjob.yaml": text}
    api.put("configmaps", broken)
    assert f"ConfigMap stems-soundquarry-template holds no usable RayJob ({why}" in refusal_of(job)


def test_a_field_that_the_clusters_kuberay_does_not_know_is_told(api: KubernetesApi, job: JobFile) -> None:
    api.put("configmaps", template_map(preRunningDeadlineSecond=60))
    said = refusal_of(job)
    assert "the cluster does not take the job: " in said
    assert "spec.preRunningDeadlineSecond: unknown field" in said
    assert "update the CRDs of KubeRay" in said


@pytest.mark.parametrize(
    ("code", "reason", "message", "said"),
    [
        (
            403, "Forbidden",
            'configmaps "talks-job" is forbidden: exceeded quota: small, requested: configmaps=1, used: configmaps=5, '
            "limited: configmaps=5",
            "the quota small of namespace media is used up: configmaps=1 asked for, configmaps=5 used, configmaps=5",
        ),
        (
            403, "Forbidden",
            'configmaps "talks-job" is forbidden: unable to create new content in namespace media because it is being '
            "terminated",
            "the cluster forbids it: configmaps",
        ),
        (
            400, "BadRequest",
            'admission webhook "validate.kyverno.svc" denied the request: label team is required.',
            "the cluster's policy validate.kyverno.svc refuses it: label team is required. Correct that in the chart's",
        ),
        (
            500, "InternalError",
            'Internal error occurred: failed calling webhook "mrayjob.kb.io": failed to call webhook: Post '
            '"https://kueue-webhook-service.kueue-system.svc:443": dial tcp 10.0.0.1:443: connect: connection refused',
            "the webhook mrayjob.kb.io, which has to agree, does not answer (failed to call webhook",
        ),
        (
            422, "Invalid",
            "configmaps \"talks-job\" is invalid: ValidatingAdmissionPolicy 'owners' with binding 'all' denied "
            "request: "
            "label owner is required",
            "the cluster's policy owners refuses it: label owner is required",
        ),
        (
            404, "NotFound", 'namespaces "medai" not found',
            "there is no namespace 'medai': give another one with --namespace, or create it",
        ),
        (
            504, "Timeout", "the server was unable to return a response in time",
            "the API server answers 504 Gateway Timeout: the server was unable to return a response in time. Try",
        ),
    ],
)  # fmt: skip
def test_each_refusal_is_told_in_plain_words(
    api: KubernetesApi, job: JobFile, code: int, reason: str, message: str, said: str
) -> None:
    api.refusals.append(("create", "configmaps", Refusal(code, message, reason)))
    assert refusal_of(job).startswith(said)
    assert api.names("rayjobs") == []


@pytest.fixture
def kuberay(api: KubernetesApi) -> KubeRay:
    """KubeRay, which has taken a job named talks."""
    manifest = rayjob_template()
    manifest["metadata"].update(name="talks")
    manifest["metadata"]["labels"]["soundquarry.dev/workflow"] = "extract"
    manifest["spec"].update(activeDeadlineSeconds=600, preRunningDeadlineSeconds=300)
    api.put("rayjobs", manifest)
    controllers = KubeRay(api)
    controllers.takes("talks")
    return controllers


def message() -> str:
    return KubernetesJobs().status("talks").message


GPU = {"limits": {"nvidia.com/gpu": "1"}}
NODES = "0/4 nodes are available: "


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (
            "4 Insufficient nvidia.com/gpu. preemption: 0/4 nodes are available: 4 No preemption victims found.",
            "no node has 1 free nvidia.com/gpu: add GPU nodes or wait for some, look whether the device plugin runs on "
            "them, or lower workers.gpu.gpus",
        ),
        ("4 Insufficient cpu.", "no node has 6 cpu free: lower workers.gpu.resources, or add larger nodes"),
        ("4 Insufficient memory.", "no node has enough memory free: lower workers.gpu.resources, or add larger nodes"),
        (
            "4 node(s) had untolerated taint {nvidia.com/gpu: present}.",
            "nodes are kept for others by the taint {nvidia.com/gpu: present} (to be let in: workers.gpu.tolerations)",
        ),
        (
            "4 node(s) had taint {nvidia.com/gpu: present}, that the pod didn't tolerate.",  # as 1.20 says it
            "nodes are kept for others by the taint {nvidia.com/gpu: present} (to be let in: workers.gpu.tolerations)",
        ),
        (
            "4 node(s) didn't match Pod's node affinity/selector.",
            "nodes lack the labels that workers.gpu.nodeSelector or affinity want (pool=a100)",
        ),
        (
            "4 node(s) didn't match node selector.",
            "nodes lack the labels that workers.gpu.nodeSelector or affinity want (pool=a100)",
        ),
        (
            "4 node(s) didn't match pod topology spread constraints.",
            "workers.gpu.topologySpreadConstraints leave no node",
        ),
        (
            "pod has unbound immediate PersistentVolumeClaims.",
            "the volume claim scratch is not bound to a volume here: see `kubectl describe pvc -n media`, and check "
            "the storage class (scratch.storageClass)",
        ),
        (
            'persistentvolumeclaim "scratch" not found.',
            "PersistentVolumeClaim scratch is not in namespace media: create it there, or correct its name in the "
            "chart's values",
        ),
        ("4 Too many pods.", "0/4 nodes are available: 4 Too many pods"),
    ],
)
def test_what_keeps_a_pod_from_a_node_is_told(kuberay: KubeRay, scheduler: str, said: str) -> None:
    kuberay.worker(
        "talks", unschedulable=NODES + scheduler, nodeSelector={"pool": "a100"},
        resources={**GPU, "requests": {"cpu": "6"}},
        volumes=[{"name": "scratch", "persistentVolumeClaim": {"claimName": "scratch"}}],
    )  # fmt: skip
    assert message() == f"pod talks-a1-gpu-worker-0 (workers.gpu) finds no node: {said}"


def test_all_reasons_of_the_scheduler_are_told_in_one_sentence(kuberay: KubeRay) -> None:
    both = f"{NODES}1 Insufficient nvidia.com/gpu, 3 node(s) had untolerated taint {{dedicated: db}}."
    kuberay.worker("talks", unschedulable=both, resources=GPU)
    assert "no node has 1 free nvidia.com/gpu" in message()
    assert "; nodes are kept for others by the taint {dedicated: db}" in message()


def test_a_submitter_without_a_node_is_told(kuberay: KubeRay) -> None:
    requests = {"requests": {"cpu": "500m"}}
    kuberay.submitter("talks", unschedulable=f"{NODES}4 Insufficient cpu.", resources=requests)
    assert message() == (
        "pod talks-x7k2p (smallPods) finds no node: no node has 500m cpu free: add a node, or allow others "
        "(smallPods.nodeSelector)"
    )


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_cannot_be_pulled_is_told_with_its_name(kuberay: KubeRay, reason: str) -> None:
    why = 'Back-off pulling image "example.org/soundquarry:1": pull access denied'
    kuberay.head("talks", state={"waiting": {"reason": reason, "message": why}})
    assert message() == (
        f"the image example.org/soundquarry:1 for pod talks-a1-head (head) cannot be pulled: {why}. Check "
        "image.repository and image.tag in the chart's values, and image.pullSecrets for a private registry"
    )


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ('secret "s3" not found', "Secret s3 is not in namespace media: create it there, or correct its name in the"),
        ('configmap "env" not found', "ConfigMap env is not in namespace media: create it there, or correct its name"),
        (
            "couldn't find key SECRET in Secret media/s3",
            "Secret s3 has no key SECRET: add it, or correct the key in the",
        ),
        ("container has runAsNonRoot and image will run as root", "container has runAsNonRoot and image will run as"),
    ],
)
def test_a_container_that_lacks_something_is_told_what(kuberay: KubeRay, why: str, said: str) -> None:
    kuberay.worker("talks", state={"waiting": {"reason": "CreateContainerConfigError", "message": why}})
    start = "container ray-worker of pod talks-a1-gpu-worker-0 (workers.gpu) cannot be made: "
    assert message().startswith(start + said)


def test_a_container_that_was_killed_for_its_memory_is_told_with_its_limit(kuberay: KubeRay) -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    limit = {"limits": {"memory": "16Gi"}}
    kuberay.worker("talks", state=ended, resources=limit)
    said = (
        "container ray-worker of pod talks-a1-gpu-worker-0 (workers.gpu) was killed because it used more than its "
        "memory limit (16Gi): raise workers.gpu.resources, and run `helm upgrade`"
    )
    assert message() == said
    kuberay.worker("talks", state={"waiting": {"reason": "CrashLoopBackOff"}}, last=ended, resources=limit)
    assert message() == said


def test_a_container_that_ends_again_and_again_is_told_with_its_exit_code(kuberay: KubeRay) -> None:
    ended = {"terminated": {"exitCode": 127, "reason": "Error"}}
    kuberay.head("talks", state={"waiting": {"reason": "CrashLoopBackOff"}}, last=ended)
    assert "(head) ends right after it starts (exit code 127): see `kubectl logs -n media talks-a1-head" in message()


def test_an_evicted_pod_is_told(kuberay: KubeRay, api: KubernetesApi) -> None:
    pod = api.get("pods", kuberay.worker("talks"))
    pod["status"].update(phase="Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage.")
    api.put("pods", pod)
    assert "pod talks-a1-gpu-worker-0 was evicted from its node: The node was low on" in message()


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
            "it ended with exit code 1: see `soundquarry jobs logs talks --kubernetes`",
        ),
        (
            {"reason": "AppFailed", "message": "Ray head pod not found."},
            "it failed: Ray head pod not found. See `soundquarry jobs logs talks --kubernetes`",
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


def test_a_message_that_is_no_refusal_has_no_words() -> None:
    assert words_of("the server is on fire", "media") is None
