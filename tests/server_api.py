"""A Kubernetes API server as one of its users sees it: objects go in and come out as dicts, named by kind.

api.create({"apiVersion": "v1", "kind": "ConfigMap", ...}, "default")
api.get("batch/v1", "Job", "extract", "default")["status"]
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

T = TypeVar("T")
Object = dict[str, Any]
PATIENCE_SECONDS: Final = 120.0
"""Controllers answer within a second here; a machine that does other work besides takes longer."""
MERGE: Final = "application/merge-patch+json"


class RefusedError(Exception):
    """The server said no: its status code, its reason and its own words."""

    def __init__(self, code: int, answer: Mapping[str, Any]) -> None:
        self.code = code
        self.reason = str(answer.get("reason", ""))
        self.message = str(answer.get("message", answer))
        super().__init__(f"{code} {self.reason}: {self.message}")


@dataclass(frozen=True)
class Api:
    """The server at `url` for whom `token` names; `authority` is the certificate it is known by."""

    url: str
    authority: Path
    token: str = field(repr=False)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    @cached_property
    def _names(self) -> dict[str, dict[str, tuple[str, bool]]]:
        """Plural and whether it lives in a namespace, by group with version and kind; filled when asked for."""
        return {}

    def call(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        """The answer's JSON, or its text where it is none; RefusedError for a status from 400 on."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=PATIENCE_SECONDS) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            raise RefusedError(error.code, json.loads(text) if text.startswith("{") else {"message": text}) from None
        return json.loads(text) if text.startswith("{") else text

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Where objects of the kind live."""
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        known = self._names.get(api_version, {})
        if kind not in known:  # a definition may have come since
            resources = self.call("GET", root)["resources"]
            known = {one["kind"]: (one["name"], one["namespaced"]) for one in resources if "/" not in one["name"]}
            self._names[api_version] = known
        plural, namespaced = known[kind]
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")

    def create(self, manifest: Mapping[str, Any], namespace: str | None = None) -> Object:
        """The object as the server stores it."""
        space = manifest.get("metadata", {}).get("namespace") or namespace
        return dict(self.call("POST", self.path(manifest["apiVersion"], manifest["kind"], space), manifest))

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        """The object of that name."""
        return dict(self.call("GET", self.path(api_version, kind, namespace, name)))

    def list(self, api_version: str, kind: str, namespace: str | None = None, **selectors: str) -> list[Object]:
        """All objects of the kind, by `labelSelector` and `fieldSelector` where given."""
        query = f"?{urlencode(selectors)}" if selectors else ""
        items = self.call("GET", self.path(api_version, kind, namespace) + query)["items"]
        return [{"apiVersion": api_version, "kind": kind, **one} for one in items]

    def patch(self, stored: Mapping[str, Any], change: Mapping[str, Any], subresource: str = "") -> Object:
        """The object with the change merged into it; `subresource` is `/status`, say."""
        meta = stored["metadata"]
        path = self.path(stored["apiVersion"], stored["kind"], meta.get("namespace"), meta["name"]) + subresource
        return dict(self.call("PATCH", path, change, MERGE))

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        """Away with the object, and in time with all that it owns."""
        policy = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        self.call("DELETE", self.path(api_version, kind, namespace, name), policy)

    def service_account(self, name: str, namespace: str) -> Api:
        """The same server for a service account, by a token that the server makes for it."""
        path = self.path("v1", "ServiceAccount", namespace, name)
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        token = self.call("POST", f"{path}/token", request)["status"]["token"]
        return Api(self.url, self.authority, token)


def awaited(look: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """What `look` returns as soon as that is true; AssertionError naming `what` when the time is over."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s; last seen: {seen!r}"
        time.sleep(0.1)
    return seen
