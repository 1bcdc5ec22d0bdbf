"""Definitions of custom resources, installed on a real API server: KubeRay's, and those of Prometheus' operator.

KubeRay's are read from where `crd_schema.py` reads them. They are written for a newer server than Kubernetes 1.20, so
two things are taken out before: empty defaults (a default of "" is refused there), and the keys of lists whose keys are
neither required nor have a default. Such a server does not enforce their rules (x-kubernetes-validations):
`crd_schema.py` does.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from crd_schema import CRDS, shared
from server_api import Api, awaited

DEFINITIONS: Final = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
MONITORING: Final = {"PodMonitor": "podmonitors", "PrometheusRule": "prometheusrules"}


def install_kuberay(api: Api) -> None:
    """RayCluster, RayJob and RayCronJob are known to the server afterwards."""
    folder = shared() / CRDS
    if not folder.is_dir():
        absent = f"{folder} is not here: set SOUNDQUARRY_SHARED to the folder that holds {CRDS}"
        if os.environ.get("CI"):
            pytest.fail(absent)
        pytest.skip(absent)
    install(api, *(kuberay_definition(folder, kind) for kind in ("raycluster", "rayjob", "raycronjob")))


def kuberay_definition(folder: Path, kind: str) -> dict[str, Any]:
    """KubeRay's definition as an old server takes it."""
    text = (folder / f"ray.io_{kind}s.yaml").read_text(encoding="utf-8")
    definition: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for version in definition["spec"]["versions"]:
        for schema in _schemas(version["schema"]["openAPIV3Schema"]):
            if schema.get("default") == "":
                del schema["default"]
            if schema.get("x-kubernetes-list-type") == "map" and not _keys_are_sure(schema):
                schema["x-kubernetes-list-type"] = "atomic"
                del schema["x-kubernetes-list-map-keys"]
    return definition


def install_monitoring(api: Api) -> None:
    """PodMonitor and PrometheusRule with any content: what stands in them is the matter of other tests."""
    install(api, *(_loose("monitoring.coreos.com", kind, plural) for kind, plural in MONITORING.items()))


def install(api: Api, *definitions: dict[str, Any]) -> None:
    """The definitions are there and served afterwards."""
    for definition in definitions:
        api.create(definition)
    for definition in definitions:
        name = definition["metadata"]["name"]
        awaited(functools.partial(_is_established, api, name), f"{name} is served")


def _is_established(api: Api, name: str) -> bool:
    conditions = api.get(*DEFINITIONS, name).get("status", {}).get("conditions") or []  # null for a moment
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and all within, the inner ones first."""
    for child in schema.get("properties", {}).values():
        yield from _schemas(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _schemas(schema[key])
    yield schema


def _keys_are_sure(schema: dict[str, Any]) -> bool:
    item = schema["items"]
    return all(
        key in item.get("required", []) or "default" in item["properties"][key]
        for key in schema["x-kubernetes-list-map-keys"]
    )


def _loose(group: str, kind: str, plural: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": DEFINITIONS[0],
        "kind": DEFINITIONS[1],
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
