"""Where jobs run: the options that say it, the same for every command about jobs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from workflows.commands.endings import run, wrong_use
from workflows.commands.web_address import wrong_address

if TYPE_CHECKING:
    from workflows.jobs.job_service import JobService

RayUrl = Annotated[
    str | None, typer.Option("--address", help="a Ray cluster: the URL of its dashboard, http://HOST:8265")
]
Kubernetes = Annotated[bool, typer.Option("--kubernetes", help="a Kubernetes cluster on which our chart is installed")]
Namespace = Annotated[str | None, typer.Option("--namespace", help="where the chart is; default: the context's own")]
Release = Annotated[str | None, typer.Option("--release", help="which release of the chart; default: the only one")]
Context = Annotated[str | None, typer.Option("--context", help="which context of the kubeconfig; default: the current")]


@dataclass(frozen=True)
class JobTarget:
    """A Ray cluster or a Kubernetes cluster, as a person named it. Ends the command where it is neither, or both."""

    address: str | None
    kubernetes: bool
    namespace: str | None
    release: str | None
    context: str | None

    def __post_init__(self) -> None:
        if self.address is not None and self.kubernetes:
            wrong_use("--address is a Ray cluster, --kubernetes another place; give one of them")
        if self.address is None and not self.kubernetes:
            wrong_use("say where: --address http://HOST:8265 for a Ray cluster, or --kubernetes")
        if self.address is not None and not self.address.startswith(("http://", "https://")):
            wrong_use(
                f"--address is {self.address!r}: jobs are taken by the dashboard of a Ray head; give its URL, such as "
                "http://HOST:8265"
            )
        if self.address is not None and (said := wrong_address(self.address)):
            wrong_use(f"--address is {self.address!r}: {said}; give the URL of a dashboard, such as http://HOST:8265")
        stray = [option for option, value in self._of_kubernetes() if value is not None and not self.kubernetes]
        if stray:
            wrong_use(f"{stray[0]} is of Kubernetes; give --kubernetes, or leave it out")

    def service(self, python: str | None = None) -> JobService:
        """What looks after jobs there. `python` is the interpreter of a Ray head, where it is not that of its PATH."""
        if self.address is not None:
            from workflows.jobs.on_ray.jobs import PYTHON, RayJobs

            return RayJobs(self.address, python or PYTHON)
        from workflows.jobs.on_kubernetes.jobs import KubernetesJobs

        service: JobService = run(lambda: KubernetesJobs(self.namespace, self.release, self.context))
        return service

    def command(self, *words: str) -> str:
        """A command about jobs there, as one would type it."""
        where = ["--kubernetes"] if self.kubernetes else ["--address", str(self.address)]
        where += [word for option, value in self._of_kubernetes() if value is not None for word in (option, value)]
        return shlex.join(["soundquarry", "jobs", *words, *where])

    def _of_kubernetes(self) -> list[tuple[str, str | None]]:
        return [("--namespace", self.namespace), ("--release", self.release), ("--context", self.context)]
