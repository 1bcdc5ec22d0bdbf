"""The requests that jobs need of a Kubernetes API server, in one namespace. Objects are dictionaries, as in a manifest.

What the server refuses is a JobError in plain words. Nothing is tried twice here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from workflows.jobs.job_service import JobError
from workflows.jobs.on_kubernetes.connection import connect
from workflows.jobs.on_kubernetes.refusals import refused, unreachable

RAYJOBS: Final = ("ray.io", "v1")
MERGE: Final = "application/merge-patch+json"
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0
LONGEST_SILENCE_SECONDS: Final = 24 * 3600.0
"""Of a log that is followed; whoever follows it looks at the job meanwhile."""
Object = dict[str, Any]


class KubernetesApi:
    """The requests. `namespace`: None for that of the context."""

    def __init__(self, namespace: str | None = None, context: str | None = None) -> None:
        from kubernetes.client import BatchV1Api, CoreV1Api, CustomObjectsApi

        connection = connect(context)
        self.namespace = namespace or connection.namespace
        self.host = connection.host
        self._core = CoreV1Api(connection.client)
        self._batch = BatchV1Api(connection.client)
        self._custom = CustomObjectsApi(connection.client)

    def rayjobs(self) -> list[Object]:
        return self._items(self._custom.list_namespaced_custom_object, *RAYJOBS, self.namespace, "rayjobs")

    def items_where_known(self, group: str, version: str, resource: str, labels: str) -> list[Object] | None:
        """The objects of any kind; None where the cluster does not know the kind."""
        call = self._custom.list_namespaced_custom_object
        try:
            return self._items(call, group, version, self.namespace, resource, label_selector=labels)
        except JobError as error:
            if status_of_refusal(error) == 404:
                return None
            raise

    def rayjob(self, name: str) -> Object | None:
        """The RayJob, None where there is none."""
        call = self._custom.get_namespaced_custom_object
        return self._ask_for(call, *RAYJOBS, self.namespace, "rayjobs", name)

    def create_rayjob(self, manifest: Object) -> Object | None:
        """The RayJob as it was stored; None where one of that name is there. Unknown fields are refused."""
        call = self._custom.create_namespaced_custom_object
        return self._create(call, *RAYJOBS, self.namespace, "rayjobs", manifest, field_validation="Strict")

    def patch_rayjob(self, name: str, change: Object) -> None:
        call = self._custom.patch_namespaced_custom_object
        self._ask_for(call, *RAYJOBS, self.namespace, "rayjobs", name, change, _content_type=MERGE)

    def delete_rayjob(self, name: str) -> None:
        call = self._custom.delete_namespaced_custom_object
        self._ask_for(call, *RAYJOBS, self.namespace, "rayjobs", name)

    def patch_submitter(self, name: str, change: Object) -> None:
        """Change the batch Job with which KubeRay hands a RayJob's work to Ray; nothing where there is none."""
        self._ask_for(self._batch.patch_namespaced_job, name, self.namespace, change, _content_type=MERGE)

    def config_map(self, name: str) -> Object | None:
        return self._ask_for(self._core.read_namespaced_config_map, name, self.namespace)

    def config_maps(self, labels: str) -> list[Object]:
        return self._items(self._core.list_namespaced_config_map, self.namespace, label_selector=labels)

    def create_config_map(self, manifest: Object) -> Object | None:
        return self._create(self._core.create_namespaced_config_map, self.namespace, manifest)

    def patch_config_map(self, name: str, change: Object) -> None:
        self._ask_for(self._core.patch_namespaced_config_map, name, self.namespace, change, _content_type=MERGE)

    def delete_config_map(self, name: str) -> None:
        self._ask_for(self._core.delete_namespaced_config_map, name, self.namespace)

    def pods(self, labels: str) -> list[Object]:
        return self._items(self._core.list_namespaced_pod, self.namespace, label_selector=labels)

    def events(self, name: str) -> list[Object]:
        """What was reported about objects of a name, of whatever kind, the oldest first."""
        selector = f"involvedObject.name={name}"
        found = self._items(self._core.list_namespaced_event, self.namespace, field_selector=selector)
        return sorted(found, key=told_at)

    def log(self, pod: str, container: str, *, follow: bool, since_seconds: int | None = None) -> Iterator[str]:
        """Lines with their time stamps, from the beginning or from some seconds ago."""
        response = self._answer(
            self._core.read_namespaced_pod_log, pod, self.namespace, container=container, follow=follow,
            timestamps=True, since_seconds=since_seconds, waits=follow,
        )  # fmt: skip
        with response:
            yield from _lines(response)

    def watch_rayjob(self, name: str, version: str, seconds: int) -> Iterator[Object]:
        """Changes of the RayJob since a version of it, for a while. A connection that breaks is an HTTPError."""
        response = self._answer(
            self._custom.list_namespaced_custom_object, *RAYJOBS, self.namespace, "rayjobs", watch=True,
            field_selector=f"metadata.name={name}", resource_version=version, timeout_seconds=seconds,
            allow_watch_bookmarks=True,
        )  # fmt: skip
        with response:
            for line in _lines(response):
                yield json.loads(line)

    def worded(self, error: Exception) -> JobError:
        """What to raise for an error of the client."""
        from kubernetes.client import ApiException

        return refused(error, self.namespace) if isinstance(error, ApiException) else unreachable(error, self.host)

    def _items(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> list[Object]:
        items: list[Object] = _object(self._answer(call, *arguments, **named)).get("items") or []
        return items

    def _ask_for(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Object | None:
        """The answer; None where the object is not there."""
        response = self._answer(call, *arguments, none_for=404, **named)
        return None if response is None else _object(response)

    def _create(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Object | None:
        """The object as it was stored; None where one of that name is there."""
        response = self._answer(call, *arguments, none_for=409, **named)
        return None if response is None else _object(response)

    def _answer(self, call: Callable[..., Any], *arguments: Any, none_for: int = 0, **named: Any) -> Any:
        """The response of a request; None for one status that is no trouble. Raises JobError for every other one."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return self._send(call, *arguments, **named)
        except ApiException as error:
            if error.status == none_for and (none_for != 404 or _is_missing(error)):
                return None
            raise self.worded(error) from error
        except (HTTPError, OSError) as error:
            raise self.worded(error) from error

    def _send(self, call: Callable[..., Any], *arguments: Any, waits: bool = False, **named: Any) -> Any:
        """The response, its body unread. `waits`: silence is no failure."""
        from kubernetes.client import ApiException

        timeout = (CONNECT_SECONDS, LONGEST_SILENCE_SECONDS if waits else ANSWER_SECONDS)
        given = {key: value for key, value in named.items() if value is not None}
        response = call(*arguments, _preload_content=False, _request_timeout=timeout, **given)
        if not 200 <= response.status <= 299:
            raise ApiException(http_resp=response)
        return response


def status_of_refusal(error: JobError) -> int | None:
    """The HTTP status with which the server refused something; None where there was no answer."""
    return getattr(error.__cause__, "status", None)


def told_at(event: Object) -> str:
    """When something was reported last, to the second."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")[: len("2026-01-31T09:00:00")]


def _is_missing(error: Any) -> bool:
    """Whether an object is missing, and not the whole kind, or the namespace."""
    try:
        details = json.loads(error.body)
        return bool(
            error.status == 404 and details["reason"] == "NotFound" and 'namespaces "' not in details["message"]
        )
    except (KeyError, TypeError, ValueError):
        return False


def _object(response: Any) -> Object:
    content: Object = json.loads(response.data)
    return content


def _lines(response: Any) -> Iterator[str]:
    """The lines of a body while they come; pieces of it may end within a character."""
    rest = b""
    for piece in response.stream(None):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")
