"""The RayJob that does a job: the pods as the chart describes them, with a name, labels and the job's own files.

The chart is the only place where pods are described. It leaves the whole RayJob, without a name, in a ConfigMap, which
is read here; what is submitted differs from it in the name, the labels, and the ConfigMap behind the volume `job`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.api import Object
from workflows.jobs.on_kubernetes.rayjob_state import JOB, RELEASE, WORK, WORKFLOW

TEMPLATE_LABEL: Final = "soundquarry.dev/template"
TEMPLATE_KEY: Final = "rayjob.yaml"
JOB_VOLUME: Final = "job"
MOST_NAME_CHARACTERS: Final = 47
"""KubeRay's limit: it hangs suffixes of its own behind the name."""
NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
METRICS_JOB: Final = "SOUNDQUARRY_METRICS_JOB"
SUBMITTED: Final = "-adhoc"
"""Behind the job that the chart's own run is to the Pushgateway; the chart's alerts know both."""


@dataclass(frozen=True)
class Template:
    """What one release of the chart says a RayJob is. `job_map`: the ConfigMap with the chart's own job."""

    release: str
    manifest: Object
    job_map: str


def template_of(config_map: Object) -> Template:
    """The template in a ConfigMap of the chart; raises JobError where it is none that can be used."""
    name, labels = config_map["metadata"]["name"], config_map["metadata"].get("labels") or {}
    broken = f"ConfigMap {name} holds no usable RayJob ({{why}}); run `helm upgrade` with the chart of this version"
    try:
        manifest = yaml.safe_load(config_map["data"][TEMPLATE_KEY])
    except (KeyError, TypeError, yaml.YAMLError) as error:
        raise JobError(broken.format(why=f"{TEMPLATE_KEY}: {error}")) from error
    if not isinstance(manifest, dict) or manifest.get("kind") != "RayJob" or "spec" not in manifest:
        raise JobError(broken.format(why=f"{TEMPLATE_KEY} is no RayJob"))
    mounted = {volume["configMap"]["name"] for volume in _job_volumes(manifest)}
    if len(mounted) != 1:
        raise JobError(broken.format(why=f"its volumes {JOB_VOLUME!r} name {len(mounted)} ConfigMaps instead of one"))
    return Template(labels.get(RELEASE, ""), manifest, mounted.pop())


def rayjob(template: Template, name: str, namespace: str, workflow: str, work: str, job_map: str) -> Object:
    """The RayJob of a name, with the job's files from `job_map`."""
    manifest = copy.deepcopy(template.manifest)
    meta = manifest.setdefault("metadata", {})
    labels = {**(meta.get("labels") or {}), RELEASE: template.release, WORKFLOW: workflow, WORK: work}
    meta.update(name=name, namespace=namespace, labels=labels)
    if job_map != template.job_map:
        _forget_the_charts_job(manifest)
        _tell_apart(manifest["spec"])
    _reserve_nothing(manifest["spec"])
    for volume in _job_volumes(manifest):
        volume["configMap"]["name"] = job_map
    return manifest


def owned_by(job: Object) -> Object:
    """The change that lets an object go when the RayJob goes."""
    meta = job["metadata"]
    return {"metadata": {"ownerReferences": [owner(job["apiVersion"], job["kind"], meta["name"], meta["uid"])]}}


def owner(api_version: str, kind: str, name: str, uid: str) -> Object:
    """A reference to what an object belongs to."""
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}


def check_name(name: str) -> None:
    """Raises JobError for a name that KubeRay would refuse, after minutes and in its own words."""
    if len(name) > MOST_NAME_CHARACTERS or NAME.fullmatch(name) is None:
        raise JobError(
            f"the name {name!r} does not do for a RayJob: give at most {MOST_NAME_CHARACTERS} characters a-z, 0-9 and "
            "-, with a letter first and no - at the end"
        )


def mount_paths(template: Template) -> tuple[str, ...]:
    """Where every pod of the cluster has a volume that is no scratch of its own."""
    cluster = template.manifest["spec"].get("rayClusterSpec") or {}
    groups = [cluster.get("headGroupSpec"), *(cluster.get("workerGroupSpecs") or [])]
    paths: list[set[str]] = []
    for pod in (group["template"]["spec"] for group in groups if group):
        own = {volume["name"] for volume in pod.get("volumes") or [] if "emptyDir" in volume or "ephemeral" in volume}
        places = pod["containers"][0].get("volumeMounts") or []
        paths.append({place["mountPath"] for place in places if place["name"] not in own})
    return tuple(sorted(set.intersection(*paths))) if paths else ()


def mounts(job: Object, config_map: str) -> bool:
    """Whether a RayJob reads its job from a ConfigMap."""
    return any(volume["configMap"]["name"] == config_map for volume in _job_volumes(job))


def _forget_the_charts_job(manifest: Object) -> None:
    head = manifest["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
    for meta in (manifest["metadata"], head.get("metadata") or {}):
        (meta.get("labels") or {}).pop(JOB, None)


def _tell_apart(spec: Object) -> None:
    """What the Pushgateway hears of a submitted job is not of the chart's own, which succeeds by itself or does not."""
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    for variable in (each for container in head["containers"] for each in container.get("env") or []):
        if variable["name"] == METRICS_JOB:
            variable["value"] += SUBMITTED


def _reserve_nothing(spec: Object) -> None:
    """Every workflow computes in Ray's workers, and a driver that kept a GPU for itself would keep it from them. What
    an older chart's template reserves for its own job is left out."""
    for field in ("entrypointNumCpus", "entrypointNumGpus"):
        spec.pop(field, None)


def _job_volumes(manifest: Object) -> Iterator[dict[str, Any]]:
    spec = manifest["spec"]
    cluster = spec.get("rayClusterSpec") or {}
    groups = [cluster.get("headGroupSpec"), *(cluster.get("workerGroupSpecs") or [])]
    for template in [*(group["template"] for group in groups if group), spec.get("submitterPodTemplate")]:
        for volume in ((template or {}).get("spec") or {}).get("volumes") or []:
            if volume["name"] == JOB_VOLUME and "configMap" in volume:
                yield volume
