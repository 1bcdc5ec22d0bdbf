"""How a Kubernetes cluster is reached: the kubeconfig of this machine, or the service account of this pod.

A kubeconfig wins where there is one, as with kubectl; `--context` picks one of its clusters.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workflows.jobs.job_service import JobError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
KUBECONFIG: Final = Path("~/.kube/config")


@dataclass(frozen=True)
class Connection:
    """A client of the API server, and the namespace that is meant where none is named."""

    client: ApiClient
    namespace: str
    host: str


def connect(context: str | None = None) -> Connection:
    """The cluster of a context, of the current one, or the one of this pod; raises JobError where there is none."""
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException

    configuration = Configuration()
    try:
        if context is None and not _has_kubeconfig() and "KUBERNETES_SERVICE_HOST" in os.environ:
            namespace = _from_pod(configuration)
        else:
            namespace = _from_kubeconfig(configuration, context)
    except ConfigException as error:
        raise JobError(
            f"no Kubernetes cluster is known here ({error}): set KUBECONFIG to a kubeconfig with which `kubectl get "
            "pods` works, or run this in a pod with a service account"
        ) from error
    configuration.retries = False  # urllib3 would log every try; who waits tries again himself
    return Connection(ApiClient(configuration), namespace, str(configuration.host))


def _has_kubeconfig() -> bool:
    return bool(os.environ.get("KUBECONFIG")) or KUBECONFIG.expanduser().is_file()


def _from_pod(configuration: Configuration) -> str:
    from kubernetes.config import load_incluster_config

    load_incluster_config(client_configuration=configuration)
    return POD_NAMESPACE.read_text(encoding="utf-8").strip() if POD_NAMESPACE.is_file() else "default"


def _from_kubeconfig(configuration: Configuration, context: str | None) -> str:
    from kubernetes.config import list_kube_config_contexts, load_kube_config

    path = os.environ.get("KUBECONFIG") or str(KUBECONFIG)  # the package looks at the environment once, when imported
    contexts, current = list_kube_config_contexts(config_file=path)
    named = {entry["name"]: entry for entry in contexts}
    if context is not None and context not in named:
        raise JobError(f"no context {context!r} in the kubeconfig; it has {', '.join(sorted(named)) or 'none'}")
    load_kube_config(config_file=path, context=context, client_configuration=configuration)
    chosen = current if context is None else named[context]
    return str((chosen.get("context") or {}).get("namespace") or "default")
