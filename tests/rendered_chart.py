"""The chart as the real helm renders it, and each of its objects checked as an API server would.

    talks = rendered({"mode": "once", "job": JOB})
    talks.one("RayJob")["spec"]["entrypoint"]

What helm refuses is a RefusedError with the words that a person reads.
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import yaml
from crd_schema import kuberay
from object_meta import meta_problems
from tools import tool

CHART: Final = Path(__file__).parent.parent / "helm" / "soundquarry"
EXAMPLES: Final = sorted((CHART / "examples").glob("*.yaml"))
KUBERNETES: Final = "1.33.0"
"""A server that knows all that the chart uses; helm 3.6 itself takes 1.20 for granted where none is named."""
JOB: Final[Mapping[str, Any]] = {
    "workflow": "extract",
    "sources": ["s3://archive/talks"],
    "catalog": "everyday",
    "out": "s3://stems/talks",
}
TRAINING: Final[Mapping[str, Any]] = {
    "workflow": "train",
    "recipe": "supervised",
    "data": ["s3://archive/clips"],
    "out": "s3://models/talks",
}
ONCE: Final[Mapping[str, Any]] = {"mode": "once", "job": JOB}
NIGHTLY: Final[Mapping[str, Any]] = {"mode": "scheduled", "job": JOB, "schedule": {"cron": "0 2 * * *"}}
OTHERS_GROUPS: Final = ("monitoring.coreos.com",)
"""Custom resources of other operators, of which no definition is here."""
Object = dict[str, Any]

# It reads two megabytes of JSON anew for every object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


class RefusedError(ValueError):
    """helm refused the values; the text is what a person reads."""


@dataclass(frozen=True)
class Rendered:
    """What a release consists of."""

    objects: Sequence[Object]

    def all(self, kind: str) -> list[Object]:
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str, suffix: str = "") -> Object:
        """The only object of its kind, or the only one whose name ends so."""
        (found,) = (one for one in self.all(kind) if one["metadata"]["name"].endswith(suffix))
        return found

    @property
    def names(self) -> set[tuple[str, str]]:
        return {(found["kind"], found["metadata"]["name"]) for found in self.objects}

    @property
    def template(self) -> Object:
        """The RayJob that `soundquarry submit` reads."""
        manifest: Object = yaml.safe_load(self.one("ConfigMap", "-template")["data"]["rayjob.yaml"])
        return manifest

    @property
    def pods(self) -> dict[str, Object]:
        """Every pod template, by its component; workers by their group."""
        ray, cluster = self.template["spec"], self.template["spec"]["rayClusterSpec"]
        found = {"head": cluster["headGroupSpec"]["template"]}
        found |= {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
        if "submitterPodTemplate" in ray:
            found["submitter"] = ray["submitterPodTemplate"]
        for kind, component in (("CronJob", "schedule"), ("Job", "models"), ("Pod", "doctor")):
            for one in self.all(kind):
                spec = one["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else one["spec"]
                found[component] = one if kind == "Pod" else spec["template"]
        return found


def rendered(
    values: Mapping[str, Any] | None = None, *, release: str = "talks", kubernetes: str = KUBERNETES
) -> Rendered:
    """The release of these values in the namespace `media`. Raises RefusedError."""
    return _rendered(json.dumps(values or {}), release, kubernetes)


def lint(values: Mapping[str, Any]) -> str:
    """What `helm lint --strict` finds; nothing where all is well."""
    command = [tool("helm"), "lint", "--strict", CHART, "--values", "-"]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def merged(*layers: Mapping[str, Any]) -> Object:
    """Values over values, as helm puts files over one another."""
    result: Object = {}
    for layer in layers:
        for name, value in layer.items():
            below = result.get(name)
            both = isinstance(below, dict) and isinstance(value, Mapping)
            result[name] = merged(below, value) if both else value
    return result


def refusal(values: Mapping[str, Any], *, release: str = "talks") -> str:
    """What helm says of values that it must refuse."""
    try:
        rendered(values, release=release)
    except RefusedError as error:
        return str(error)
    raise AssertionError(f"helm took {values}")


def problems(found: Object) -> list[str]:
    """Everything an API server would say against an object, unknown fields included."""
    group = found["apiVersion"].rpartition("/")[0]
    if group in OTHERS_GROUPS:
        return meta_problems(found["metadata"])
    return _problems(json.dumps(found, sort_keys=True))


@functools.cache
def _rendered(values: str, release: str, kubernetes: str) -> Rendered:
    command = [tool("helm"), "template", release, CHART, "--namespace", "media", "--kube-version", kubernetes]
    command += ["--values", "-"]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(done.stderr)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Rendered([found for found in yaml.load_all(done.stdout, loader) if found])


@functools.cache
def _problems(text: str) -> list[str]:
    found: Object = json.loads(text)
    if found["apiVersion"].startswith("ray.io/"):
        return kuberay(found["kind"]).problems(found)
    if found["apiVersion"] == "batch/v1beta1":  # gone since 1.25, and the same as v1 but for the time zone
        found["apiVersion"] = "batch/v1"
        if "timeZone" in found["spec"]:
            return ["spec.timeZone: unknown field"]
    try:
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(str(part) for part in error.path)}: {error.message}"]
    return meta_problems(found["metadata"])
