"""Serves the stand-in for a Kubernetes API server over real HTTP: the requests that a client makes of one namespace.

Who may ask what is enforced as by RBAC; watches and logs are streamed, and break off where a test wants it so.
"""

from __future__ import annotations

import copy
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crd_schema import kuberay
from kubernetes_api import NAMESPACE, KubernetesApi, Object, Refusal


@dataclass(frozen=True)
class Request:
    """What a request asks for, of its path and its query."""

    user: str
    verb: str
    group: str
    resource: str
    name: str
    subresource: str
    query: dict[str, str]

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Handler(BaseHTTPRequestHandler):
    """Answers for the server's `api`."""

    protocol_version = "HTTP/1.1"
    api: KubernetesApi

    def do_GET(self) -> None:
        self._answer("get")

    def do_POST(self) -> None:
        self._answer("create")

    def do_PATCH(self) -> None:
        self._answer("patch")

    def do_DELETE(self) -> None:
        self._answer("delete")

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _answer(self, verb: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            request = self._understood(verb)
            self._allowed(request)
            if request.subresource == "log":
                self._stream(self._log(request))
            elif request.verb == "watch":
                self._stream(self._watch(request))
            else:
                done = json.dumps(self._done(request, body))
                if (request.verb, request.resource) in self.api.lost_answers:
                    self.api.lost_answers.remove((request.verb, request.resource))
                    self.close_connection = True
                else:
                    self._send(201 if verb == "create" else 200, done)
        except Refusal as refusal:
            self._send(refusal.code, refusal.body)

    def _understood(self, verb: str) -> Request:
        address = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        parts = address.path.strip("/").split("/")
        group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        user = self.headers.get("Authorization", "").partition(" ")[2]
        if user not in self.api.rights:
            raise Refusal(401, "Unauthorized", "Unauthorized")
        known = self.api.versions.get(rest[2]) == (f"{group}/{version}" if group else version)
        if group not in self.api.groups or rest[0] != "namespaces" or not known:
            raise Refusal(404, "404 page not found")
        name, subresource = [*rest[3:], "", ""][:2]
        if verb == "get" and not name:
            verb = "watch" if query.get("watch") in ("true", "True", "1") else "list"
            name = query.get("fieldSelector", "").removeprefix("metadata.name=") if verb == "watch" else ""
        request = Request(user, verb, group, rest[2], name, subresource, query)
        self.api.asked.append((user, verb, request.full_resource, name))
        if rest[1] != NAMESPACE and verb == "create":
            raise Refusal(404, f'namespaces "{rest[1]}" not found', "NotFound", name=rest[1], kind="namespaces")
        return request

    def _allowed(self, request: Request) -> None:
        asked = (request.verb, request.group, request.full_resource, request.name)
        if not any(rule.allows(*asked) for rule in self.api.rights[request.user]):
            plural = f"{request.resource}.{request.group}" if request.group else request.resource
            quoted = f' "{request.name}"' if request.name else ""
            raise Refusal(
                403,
                f'{plural}{quoted} is forbidden: User "{request.user}" cannot {request.verb} resource '
                f'"{request.full_resource}" in API group "{request.group}" in the namespace "{NAMESPACE}"',
                "Forbidden",
            )
        for entry in self.api.refusals:
            if entry[:2] == (request.verb, request.resource):
                self.api.refusals.remove(entry)
                raise entry[2]

    def _done(self, request: Request, body: bytes) -> Object:
        api, resource, name = self.api, request.resource, request.name
        if request.verb == "list":
            with api.changed:
                found = [item for (kind, _), item in api.objects.items() if kind == resource]
                items = [copy.deepcopy(item) for item in found if _is_selected(item, request.query)]
                return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(api.version)},
                        "items": items}  # fmt: skip
        if request.verb == "get":
            return api.get(resource, name)
        if request.verb == "delete":
            api.remove(resource, name)
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        sent = json.loads(body)
        with api.changed:
            if request.verb == "patch":
                if self.headers["Content-Type"] != "application/merge-patch+json":
                    raise Refusal(415, "the stand-in knows merge patches only", "UnsupportedMediaType")
                return api.put(resource, merged(api.get(resource, name), sent))
            if (resource, sent["metadata"]["name"]) in api.objects:
                raise Refusal(409, f'{resource} "{sent["metadata"]["name"]}" already exists', "AlreadyExists")
            if resource == "rayjobs":
                if request.query.get("fieldValidation") != "Strict":
                    raise Refusal(400, "the stand-in wants fieldValidation=Strict: else fields get lost", "BadRequest")
                sent = {key: value for key, value in kuberay("RayJob").defaulted(sent).items() if key != "status"}
            return api.put(resource, sent)

    def _watch(self, request: Request) -> Iterator[str]:
        api, since = self.api, int(request.query["resourceVersion"])
        until = time.monotonic() + int(request.query["timeoutSeconds"])
        if since < api.forgotten:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            yield json.dumps({"type": "ERROR", "object": status})
            return
        while time.monotonic() < until:
            with api.changed:
                news = [entry for entry in api.news if entry[0] > since and entry[2] == request.resource]
                if not news:
                    api.changed.wait(min(0.2, until - time.monotonic()))
            for version, kind, _, found in news:
                since = version
                if _is_selected(found, request.query):
                    yield json.dumps({"type": kind, "object": found})
        yield json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(since)}}})

    def _log(self, request: Request) -> Iterator[str]:
        api, query = self.api, request.query
        pod = api.get("pods", request.name)
        container = query.get("container") or pod["spec"]["containers"][0]["name"]
        states = {found["name"]: found["state"] for found in pod.get("status", {}).get("containerStatuses", [])}
        if "waiting" in states.get(container, {"waiting": {}}):
            message = f'container "{container}" in pod "{request.name}" is waiting to start: ContainerCreating'
            raise Refusal(400, message, "BadRequest")
        oldest = time.time() - float(query.get("sinceSeconds", 1e9))
        at, follow = 0, query.get("follow") == "true"
        while True:
            with api.changed:
                lines = api.logs[request.name, container][at:]
                ended = (request.name, container) in api.ended_logs or ("pods", request.name) not in api.objects
                if not lines and follow and not ended:
                    api.changed.wait(0.2)
                    continue
            at += len(lines)
            for stamp, line in lines:
                if stamp.timestamp() >= oldest:
                    yield f"{stamp.isoformat().replace('+00:00', 'Z')} {line}"
            if not lines or not follow:
                return

    def _stream(self, lines: Iterator[str]) -> None:
        """Send lines in chunks while they come; the connection is lost after the first where the test wants it so."""
        try:
            first = next(lines, None)
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while first is not None:
                piece = first.encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
                if self.api.broken_streams:
                    self.api.broken_streams -= 1
                    self.close_connection = True
                    return
                first = next(lines, None)
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, code: int, body: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json" if body.startswith("{") else "text/plain")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


def merged(before: Object, change: Object) -> Object:
    """A JSON merge patch, RFC 7386."""
    result = copy.deepcopy(before)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result.get(key) or {}, value)
        else:
            result[key] = value
    return result


def _is_selected(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels", {})
    for wanted in filter(None, query.get("labelSelector", "").split(",")):
        key, equals, value = wanted.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    for wanted in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = wanted.partition("=")
        found: Any = item
        for step in path.split("."):
            found = found.get(step, {})
        if found != value:
            return False
    return True


@contextmanager
def kubernetes_api(tls: ssl.SSLContext | None = None) -> Iterator[KubernetesApi]:
    """The server, for as long as the context lasts."""
    state = KubernetesApi()
    handler = type("ApiHandler", (Handler,), {"api": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    state.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
