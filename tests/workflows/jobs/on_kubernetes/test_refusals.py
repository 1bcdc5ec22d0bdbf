"""What an API server refuses becomes a sentence or two: who may not do what, what is missing, and what to do next."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from kubernetes_api import KubernetesApi, Refusal, Rule
from rayjob_template import template_map

from workflows.jobs.job_file import JobFile, read_job
from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.jobs import KubernetesJobs
from workflows.jobs.on_kubernetes.refusals import words_of


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


def test_a_message_that_is_no_refusal_has_no_words() -> None:
    assert words_of("the server is on fire", "media") is None
