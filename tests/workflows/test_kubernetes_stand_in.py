"""The stand-in for an API server refuses what a real one refuses; else the tests that use it would prove little."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from kubernetes_api import EVERYTHING, KubernetesApi, Rule
from kubernetes_server import kubernetes_api
from rayjob_template import rayjob_template

CONFIG_MAPS = "/api/v1/namespaces/media/configmaps"
CRON_JOBS = "/apis/batch/v1/namespaces/media/cronjobs"
RAYJOBS = "/apis/ray.io/v1/namespaces/media/rayjobs"


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with kubernetes_api() as running:
        yield running


def ask(
    api: KubernetesApi, method: str, path: str, body: dict[str, Any] | None = None, user: str = "admin"
) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {user}", "Content-Type": "application/merge-patch+json"}
    content = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(api.url + path, content, headers, method=method), timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def config_map(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **fields}


def ray_job(**spec: Any) -> dict[str, Any]:
    job = rayjob_template(**spec)
    job["metadata"]["name"] = "talks"
    return job


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (config_map(data={"a": 1}), "1 is not of type 'string'"),
        (config_map(dta={}), "'dta' was unexpected"),
        (config_map(metadata={"name": "A_B"}), "is no DNS-1123 subdomain"),
        (config_map(metadata={"name": "a", "labels": {"a": "ü"}}), "is no label value"),
        (config_map(data={"a": "x" * (2**20 + 1)}), "Too long: must have at most 1048576 bytes"),
    ],
)
def test_a_core_object_that_is_not_valid_is_refused(api: KubernetesApi, body: dict[str, Any], said: str) -> None:
    code, answer = ask(api, "POST", CONFIG_MAPS, body)
    assert code == 422
    assert said in answer
    assert api.names("configmaps") == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (ray_job(entryPoint="a"), "spec.entryPoint: unknown field"),
        (ray_job(backoffLimit="1"), "spec.backoffLimit: '1' is no integer"),
        (ray_job(managedBy="us"), "the managedBy field value must be either"),
    ],
)
def test_a_rayjob_that_is_not_valid_is_refused(api: KubernetesApi, body: dict[str, Any], said: str) -> None:
    code, answer = ask(api, "POST", f"{RAYJOBS}?fieldValidation=Strict", body)
    assert code == 422
    assert said in answer


def test_a_rayjob_is_sent_strictly_and_its_status_is_the_controllers(api: KubernetesApi) -> None:
    assert ask(api, "POST", RAYJOBS, ray_job())[0] == 400
    body = {**ray_job(), "status": {"jobStatus": "SUCCEEDED"}}
    assert ask(api, "POST", f"{RAYJOBS}?fieldValidation=Strict", body)[0] == 201
    stored = api.get("rayjobs", "talks")
    assert "status" not in stored
    assert stored["spec"]["backoffLimit"] == 0  # the definition's default


def test_a_patch_is_checked_against_what_is_there(api: KubernetesApi) -> None:
    api.put("rayjobs", ray_job(managedBy="ray.io/kuberay-operator"))
    code, answer = ask(api, "PATCH", f"{RAYJOBS}/talks", {"spec": {"managedBy": "kueue.x-k8s.io/multikueue"}})
    assert code == 422
    assert "the managedBy field is immutable" in answer
    assert ask(api, "PATCH", f"{RAYJOBS}/talks", {"spec": {"activeDeadlineSeconds": 1, "entrypoint": None}})[0] == 200
    assert "entrypoint" not in api.get("rayjobs", "talks")["spec"]


def test_rights_are_enforced_by_verb_resource_and_name(api: KubernetesApi) -> None:
    api.put("configmaps", config_map())
    api.rights["reader"] = [Rule(("",), ("configmaps",), ("get",), ("a",))]
    assert ask(api, "GET", f"{CONFIG_MAPS}/a", user="reader")[0] == 200
    for method, path, body in (
        ("GET", f"{CONFIG_MAPS}/b", None), ("GET", CONFIG_MAPS, None), ("DELETE", f"{CONFIG_MAPS}/a", None),
        ("POST", CONFIG_MAPS, config_map(metadata={"name": "b"})), ("GET", f"{RAYJOBS}/a", None),
    ):  # fmt: skip
        code, answer = ask(api, method, path, body, "reader")
        assert code == 403
        assert json.loads(answer)["reason"] == "Forbidden"
    assert ask(api, "GET", f"{CONFIG_MAPS}/a", user="nobody")[0] == 401
    assert Rule(EVERYTHING, EVERYTHING, EVERYTHING).allows("delete", "batch", "jobs", "x")


def test_what_is_missing_and_what_is_there_already_are_told_apart(api: KubernetesApi) -> None:
    assert ask(api, "GET", f"{CONFIG_MAPS}/a") == (404, ask(api, "GET", f"{CONFIG_MAPS}/a")[1])
    assert json.loads(ask(api, "GET", f"{CONFIG_MAPS}/a")[1])["reason"] == "NotFound"
    assert ask(api, "POST", CONFIG_MAPS, config_map())[0] == 201
    assert json.loads(ask(api, "POST", CONFIG_MAPS, config_map())[1])["reason"] == "AlreadyExists"
    assert ask(api, "GET", CRON_JOBS)[0] == 200
    assert ask(api, "GET", CRON_JOBS.replace("v1", "v1beta1")) == (404, "404 page not found\n")
    api.groups.remove("ray.io")
    assert ask(api, "GET", RAYJOBS) == (404, "404 page not found\n")
