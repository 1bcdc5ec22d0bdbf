"""A stand-in for what a Kubernetes API server holds: objects of one namespace, rights, logs; every body is checked.

Core objects are checked by Kubernetes' published schemas, KubeRay's kinds by its definitions, all strictly. It is
served by `kubernetes_server.py`; what controllers would do is done by the tests (`kuberay_operator.py`).
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from crd_schema import kuberay
from object_meta import meta_problems

Object = dict[str, Any]
NAMESPACE = "media"
KINDS = {"configmaps": "ConfigMap", "pods": "Pod", "events": "Event", "jobs": "Job", "rayjobs": "RayJob",
         "cronjobs": "CronJob", "raycronjobs": "RayCronJob"}  # fmt: skip
CUSTOM = frozenset({"rayjobs", "raycronjobs"})
VERSIONS = {"configmaps": "v1", "pods": "v1", "events": "v1", "jobs": "batch/v1", "rayjobs": "ray.io/v1",
            "cronjobs": "batch/v1", "raycronjobs": "ray.io/v1"}  # fmt: skip
MOST_CONFIG_MAP_BYTES = 2**20
EVERYTHING = ("*",)


class Refusal(Exception):
    """An answer that is none of 2xx. Without a reason it is plain text, as for a path that is not served."""

    def __init__(self, code: int, message: str, reason: str = "", **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.body = message + "\n"
        if reason:
            status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                      "reason": reason, "details": details, "code": code}  # fmt: skip
            self.body = json.dumps(status)


@dataclass(frozen=True)
class Rule:
    """One rule of a Role; no `names`: all of them."""

    groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()

    def allows(self, verb: str, group: str, resource: str, name: str) -> bool:
        return (
            (self.groups == EVERYTHING or group in self.groups)
            and (self.resources == EVERYTHING or resource in self.resources)
            and (self.verbs == EVERYTHING or verb in self.verbs)
            and (not self.names or name in self.names)
        )


@dataclass
class KubernetesApi:
    """The server's state; a test reads and changes it. `asked` holds user, verb, resource and name of every request."""

    url: str = ""
    rights: dict[str, list[Rule]] = field(default_factory=lambda: {"admin": [Rule(EVERYTHING, EVERYTHING, EVERYTHING)]})
    """By user; the bearer token of a user is his name."""
    groups: set[str] = field(default_factory=lambda: {"", "batch", "ray.io"})
    versions: dict[str, str] = field(default_factory=lambda: dict(VERSIONS))
    """Of each resource; one that is not in it is unknown to the cluster."""
    refusals: list[tuple[str, str, Refusal]] = field(default_factory=list)
    """Verb and resource of coming requests, and what each is answered with; each is used once."""
    lost_answers: list[tuple[str, str]] = field(default_factory=list)
    """Verb and resource of coming requests that are done and not answered: the connection is closed. Used once each."""
    broken_streams: int = 0
    """So many watches and logs lose their connection after the first line."""
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    """By resource and name."""
    version: int = 100
    forgotten: int = 0
    """Changes up to this version cannot be watched any more."""
    news: list[tuple[int, str, str, Object]] = field(default_factory=list)
    """Version, type, resource, object."""
    logs: dict[tuple[str, str], list[tuple[datetime, str]]] = field(default_factory=lambda: defaultdict(list))
    """Lines of a container, by pod and container."""
    ended_logs: set[tuple[str, str]] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, resource: str, manifest: Object) -> Object:
        """Store an object, as a controller does: checked, but nobody's rights are asked."""
        with self.changed:
            name = manifest["metadata"]["name"]
            before = self.objects.get((resource, name))
            check(resource, manifest, before)
            stored = copy.deepcopy(manifest)
            self.version += 1
            meta = stored["metadata"]
            meta.update(namespace=NAMESPACE, resourceVersion=str(self.version))
            meta.setdefault("uid", str(uuid.uuid4()))
            meta.setdefault("creationTimestamp", now())
            self.objects[resource, name] = stored
            self.news.append((self.version, "MODIFIED" if before else "ADDED", resource, copy.deepcopy(stored)))
            self.changed.notify_all()
            return copy.deepcopy(stored)

    def get(self, resource: str, name: str) -> Object:
        with self.changed:
            if (resource, name) not in self.objects:
                raise missing(resource, name)
            return copy.deepcopy(self.objects[resource, name])

    def remove(self, resource: str, name: str) -> None:
        """Delete an object, and what it owns."""
        with self.changed:
            gone = self.get(resource, name)
            del self.objects[resource, name]
            self.version += 1
            self.news.append((self.version, "DELETED", resource, gone))
            uid = gone["metadata"]["uid"]
            for other, owned in list(self.objects):
                owners = self.objects[other, owned]["metadata"].get("ownerReferences", [])
                if any(owner["uid"] == uid for owner in owners):
                    self.remove(other, owned)
            self.changed.notify_all()

    def names(self, resource: str) -> list[str]:
        with self.changed:
            return sorted(name for kind, name in self.objects if kind == resource)

    def say(self, pod: str, line: str, container: str = "ray-job-submitter") -> None:
        """Have a container print a line."""
        with self.changed:
            self.logs[pod, container].append((datetime.now(UTC), line))
            self.changed.notify_all()

    def end_log(self, pod: str, container: str = "ray-job-submitter") -> None:
        with self.changed:
            self.ended_logs.add((pod, container))
            self.changed.notify_all()

    def kubeconfig(self, path: Path, user: str = "admin", namespace: str = NAMESPACE) -> Path:
        """Write a kubeconfig of a user, with this server as the context `here`."""
        context = {"cluster": "here", "user": user, "namespace": namespace}
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": user, "user": {"token": user}}],
            "contexts": [{"name": "here", "context": context}, {"name": "there", "context": context}],
        }))  # fmt: skip
        return path


def check(resource: str, manifest: Object, before: Object | None) -> None:
    """Raises Refusal for a body that a strict server does not take."""
    if resource in CUSTOM:
        problems = kuberay(KINDS[resource]).problems(manifest, before)
    else:
        problems = meta_problems(manifest["metadata"])
        try:
            kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{'.'.join(map(str, error.path))}: {str(error).splitlines()[0]}")
    if resource == "configmaps" and not problems:
        texts, binary = manifest.get("data", {}), manifest.get("binaryData", {})
        size = sum(len(text.encode()) for text in texts.values()) + sum(len(text) * 3 // 4 for text in binary.values())
        if size > MOST_CONFIG_MAP_BYTES:
            problems.append(f"[]: Too long: must have at most {MOST_CONFIG_MAP_BYTES} bytes")
    if problems:
        name = manifest["metadata"].get("name", "")
        raise Refusal(422, f'{KINDS[resource]} "{name}" is invalid: {"; ".join(problems)}', "Invalid", name=name)


def missing(resource: str, name: str) -> Refusal:
    plural = f"{resource}.ray.io" if resource in CUSTOM else resource
    return Refusal(404, f'{plural} "{name}" not found', "NotFound", name=name, kind=resource)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
