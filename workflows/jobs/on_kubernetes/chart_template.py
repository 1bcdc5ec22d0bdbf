"""Which installed release of the chart describes the pods of a job, and what its template is."""

from __future__ import annotations

import os
from typing import Final

from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.api import KubernetesApi
from workflows.jobs.on_kubernetes.rayjob_manifest import TEMPLATE_LABEL, Template, template_of
from workflows.jobs.on_kubernetes.rayjob_state import RELEASE

TEMPLATE_NAME: Final = "SOUNDQUARRY_TEMPLATE"
"""Environment: the ConfigMap with the template. The chart's own pods know it, and may read this one, but list none."""


def find_template(api: KubernetesApi, release: str | None) -> Template:
    """The template of a release, or of the only one in the namespace; raises JobError where that is not clear."""
    told = os.environ.get(TEMPLATE_NAME)
    if told:
        config_map = api.config_map(told)
        if config_map is None:
            raise JobError(f"{TEMPLATE_NAME} names ConfigMap {told}, which is not in namespace {api.namespace}")
        return template_of(config_map)
    found = api.config_maps(f"{TEMPLATE_LABEL}=rayjob")
    by_release = {(entry["metadata"].get("labels") or {}).get(RELEASE, ""): entry for entry in found}
    releases = ", ".join(sorted(by_release))
    if not by_release:
        raise JobError(
            f"the chart is not installed in namespace {api.namespace} (no ConfigMap labelled {TEMPLATE_LABEL}=rayjob): "
            f"run `helm install NAME helm/soundquarry -n {api.namespace}`, or give --namespace"
        )
    if release is None and len(by_release) > 1:
        raise JobError(
            f"{len(by_release)} releases of the chart are in {api.namespace}: give --release, one of {releases}"
        )
    if release is not None and release not in by_release:
        raise JobError(f"no release {release!r} of the chart in namespace {api.namespace}: there is {releases}")
    return template_of(by_release[release] if release is not None else found[0])
