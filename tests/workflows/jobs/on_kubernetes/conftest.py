"""A cluster with KubeRay and the chart, and a job that is submitted to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi
from kubernetes_server import kubernetes_api
from rayjob_template import template_map
from submitted_jobs import job_in, service

from workflows.jobs.job_file import JobFile
from workflows.jobs.on_kubernetes import pod_log
from workflows.jobs.on_kubernetes import watch as kubernetes_watch


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """A cluster with KubeRay and one release of the chart, and a kubeconfig for it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("SOUNDQUARRY_TEMPLATE", "JOB_NAME", "JOB_UID", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(kubernetes_watch, "TICK_SECONDS", 1)
    monkeypatch.setattr(kubernetes_watch, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(pod_log, "TICK_SECONDS", 0.2)
    monkeypatch.setattr(pod_log, "PAUSE_SECONDS", 0.05)
    with kubernetes_api() as running:
        running.put("configmaps", template_map())
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig(tmp_path / "kubeconfig")))
        yield running


@pytest.fixture
def kuberay(api: KubernetesApi) -> KubeRay:
    return KubeRay(api)


@pytest.fixture
def job(tmp_path: Path) -> JobFile:
    return job_in(tmp_path / "job")


@pytest.fixture
def submitted(api: KubernetesApi, job: JobFile) -> str:
    """The name of a RayJob that KubeRay has not seen yet."""
    return service().submit(job, "talks", "join").name
