"""Releases of the chart on a real API server, made by the real helm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from control_plane import ControlPlane
from rendered_chart import CHART
from server_api import Api, Object
from tools import tool

SERVERS_OWN: Final = frozenset({"Event", "EndpointSlice", "PodMetrics"})
"""Kinds that come and go by themselves."""
Values = Mapping[str, Any] | Path


@dataclass(frozen=True)
class Release:
    """A release of the chart in a namespace of a control plane."""

    plane: ControlPlane
    namespace: str
    name: str = "talks"

    @property
    def api(self) -> Api:
        """The server, for somebody who may do everything."""
        return self.plane.admin

    @property
    def fullname(self) -> str:
        """What its objects' names begin with."""
        return f"{self.name}-soundquarry"

    def install(self, values: Values, *arguments: str) -> None:
        """Install it with these values, or with those of a file; AssertionError with helm's words."""
        self._helm("install", self.name, str(CHART), "--values", "-", *arguments, values=values)

    def upgrade(self, values: Values, *arguments: str) -> None:
        """Install it anew, over what is there."""
        self._helm("upgrade", self.name, str(CHART), "--values", "-", *arguments, values=values)

    def uninstall(self) -> None:
        """Away with it."""
        self._helm("uninstall", self.name)

    def test(self) -> str:
        """What `helm test` says."""
        return self._helm("test", self.name, "--timeout", "2m")

    def get(self, api_version: str, kind: str, ending: str = "") -> Object:
        """An object of the release."""
        return self.api.get(api_version, kind, self.fullname + ending, self.namespace)

    def _helm(self, *arguments: str, values: Values | None = None) -> str:
        config = self.plane.kubeconfig("admin", self.plane.tokens["admin"])
        told = ["--kubeconfig", str(config), "--namespace", self.namespace]
        text = values.read_text(encoding="utf-8") if isinstance(values, Path) else json.dumps(values)
        done = subprocess.run([tool("helm"), *arguments, *told], input=text, capture_output=True, text=True)
        assert done.returncode == 0, f"helm {arguments[0]}: {done.stderr}"
        return done.stdout


def everything(api: Api, namespace: str) -> set[str]:
    """Kind and name of all that lies in the namespace, whatever its kind."""
    found = set()
    for api_version in served_versions(api):
        for resource in resources(api, api_version):
            listed = resource["namespaced"] and "list" in resource["verbs"] and "/" not in resource["name"]
            if listed and resource["kind"] not in SERVERS_OWN:
                items = api.list(api_version, resource["kind"], namespace)
                found |= {f"{resource['kind']}/{one['metadata']['name']}" for one in items}
    return found


def served_versions(api: Api) -> list[str]:
    """The API groups with the version that the server prefers, and with the one of CronJobs before Kubernetes 1.21."""
    groups = api.call("GET", "/apis")["groups"]
    served = {version["groupVersion"] for group in groups for version in group["versions"]}
    preferred = [group["preferredVersion"]["groupVersion"] for group in groups]
    return ["v1", *preferred, *sorted(served & {"batch/v1beta1"})]


def resources(api: Api, api_version: str) -> list[Mapping[str, Any]]:
    """What the server has under that version; a subresource is called `pods/log`, say."""
    return list(api.call("GET", f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}")["resources"])
