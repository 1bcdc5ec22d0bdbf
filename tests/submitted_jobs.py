"""Jobs for tests of Kubernetes: one to submit, who submits it, and patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi
from rayjob_template import rayjob_template

from workflows.jobs.job_file import JobFile, read_job
from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.jobs import KubernetesJobs

CATALOG = "name: mine\nqueries:\n  - text: a dog barking\n"


def job_in(folder: Path, out: str = "s3://stems/talks", catalog: str = CATALOG) -> JobFile:
    folder.mkdir(exist_ok=True)
    (folder / "catalog.yaml").write_text(catalog)
    (folder / "job.yaml").write_text(
        f"workflow: extract\nsources: [s3://archive/talks]\ncatalog: catalog.yaml\nout: {out}\n"
    )
    return read_job(folder / "job.yaml")


def service(said: list[str] | None = None, **where: Any) -> KubernetesJobs:
    return KubernetesJobs(say=(said if said is not None else []).append, **where)


def with_talks(api: KubernetesApi) -> KubeRay:
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
    """Why talks waits or has failed."""
    return service().status("talks").message


def until(holds: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    gives_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < gives_up, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@dataclass
class Follower:
    """Somebody who runs `soundquarry submit --follow`, in a thread."""

    name: str
    said: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    code: int | None = None
    error: JobError | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        jobs = service(self.said)
        try:
            for piece in jobs.logs(self.name, follow=True):
                self.printed.append(piece)
            self.code = jobs.wait(self.name)
        except JobError as error:
            self.error = error

    def hears(self, words: str) -> None:
        until(lambda: any(words in sentence for sentence in self.said), f"{words!r} among {self.said}")

    def reads(self, line: str) -> None:
        until(lambda: f"{line}\n" in self.printed, f"{line!r} among {self.printed}")

    def ends(self) -> int | None:
        self._thread.join(20)
        assert not self._thread.is_alive(), self.said
        return self.code


def play_the_cancelling(kuberay: KubeRay, name: str) -> None:
    """KubeRay, which sees a RayJob that was patched."""
    until(lambda: kuberay.api.get("rayjobs", name)["spec"].get("activeDeadlineSeconds") == 1, "cancelled")
    kuberay.reconcile(name)
