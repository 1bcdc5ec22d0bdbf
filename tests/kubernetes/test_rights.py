"""The accounts of the chart may do their work and nothing else: every verb on every resource is tried as they are.

A request is tried on an object that does not exist and with an empty body, so that one that is let through changes
nothing: the server looks at the rights first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from control_plane import ControlPlane
from documented_role import documented_rights, documented_role
from helm_release import Release, resources, served_versions
from rendered_chart import NIGHTLY
from server_api import MERGE, Api, RefusedError, awaited
from soundquarry_command import soundquarry
from tiny_kubelet import TinyKubelet
from tiny_kuberay import TinyKubeRay

pytestmark = pytest.mark.kubernetes

RBAC: Final = "rbac.authorization.k8s.io"
Right = tuple[str, str, str]
"""Verb, group, resource."""
ANYBODYS: Final = frozenset(
    {
        ("create", "authorization.k8s.io", "selfsubjectaccessreviews"),
        ("create", "authorization.k8s.io", "selfsubjectrulesreviews"),
        ("create", "authentication.k8s.io", "selfsubjectreviews"),  # since 1.28
    }
)
"""Asking about oneself is free to everybody who is known."""
SUBMITS: Final = frozenset(
    {
        *((verb, "ray.io", "rayjobs") for verb in ("create", "get", "list", "watch")),
        ("list", "", "pods"),
        ("list", "", "events"),
        ("get", "", "pods/log"),
    }
)
"""What the pod of the schedule does; and it reads two ConfigMaps, by their names."""


@pytest.fixture
def release(plane: ControlPlane, namespace: str) -> Iterator[Release]:
    made = Release(plane, namespace)
    made.install(NIGHTLY)
    yield made
    made.uninstall()


def test_the_account_of_the_schedule_may_submit_and_watch_runs_and_nothing_else(
    plane: ControlPlane, namespace: str, release: Release
) -> None:
    account = plane.admin.service_account(f"{release.fullname}-submit", namespace)
    assert rights(plane.admin, account, namespace) - ANYBODYS == SUBMITS


def test_the_account_of_the_schedule_reads_the_template_and_the_job_and_no_other_configmap(
    plane: ControlPlane, namespace: str, release: Release
) -> None:
    account = plane.admin.service_account(f"{release.fullname}-submit", namespace)
    configs = f"/api/v1/namespaces/{namespace}/configmaps"
    assert "rayjob.yaml" in account.call("GET", f"{configs}/{release.fullname}-template")["data"]
    assert "job.yaml" in account.call("GET", f"{configs}/{release.fullname}-job")["data"]
    with pytest.raises(RefusedError, match="cannot get resource"):
        account.call("GET", f"{configs}/kube-root-ca.crt")


def test_the_account_of_the_schedule_may_do_nothing_elsewhere(
    plane: ControlPlane, namespace: str, release: Release
) -> None:
    account = plane.admin.service_account(f"{release.fullname}-submit", namespace)
    assert rights(plane.admin, account, "default") <= ANYBODYS


def test_the_account_of_head_and_workers_may_do_nothing(plane: ControlPlane, namespace: str, release: Release) -> None:
    account = plane.admin.service_account(release.fullname, namespace)
    assert rights(plane.admin, account, namespace) <= ANYBODYS


def test_a_person_with_the_documented_role_submits_looks_and_cancels_and_may_do_nothing_else(
    plane: ControlPlane, namespace: str, kuberay: TinyKubeRay, kubelet: TinyKubelet
) -> None:
    release, admin = Release(plane, namespace), plane.admin
    release.install({"workers": {"gpu": {"enabled": True}}})  # its runs wait for a GPU
    admin.create(documented_role(), namespace)
    admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ada"}}, namespace)
    subject = {"kind": "ServiceAccount", "name": "ada", "namespace": namespace}
    bound = {"roleRef": {"apiGroup": RBAC, "kind": "Role", "name": documented_role()["metadata"]["name"]}}
    binding = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": {"name": "ada"}}
    admin.create({**binding, **bound, "subjects": [subject]}, namespace)
    ada = admin.service_account("ada", namespace)

    def says(*words: str) -> str:
        said = soundquarry(plane, namespace, *words, token=ada.token)
        assert said.returncode == 0, said.stderr
        return said.stdout + said.stderr

    work = ("extract", "s3://archive/talks", "--catalog", "everyday", "--out", "s3://stems/talks", "--name", "talks")
    assert "submitted talks" in says("submit", *work)
    assert "already runs as talks" in says("submit", *work)
    kuberay.served.add(namespace)
    awaited(lambda: "nvidia.com/gpu" in says("jobs", "status", "talks"), "what it waits for", 120)
    assert "talks" in says("jobs", "list")
    says("jobs", "cancel", "talks")
    assert "stopped" in says("jobs", "status", "talks")
    assert rights(admin, ada, namespace) - ANYBODYS == documented_rights()


def test_without_rbac_the_account_of_the_schedule_may_do_nothing(plane: ControlPlane, namespace: str) -> None:
    release = Release(plane, namespace, "bare")
    release.install({**NIGHTLY, "rbac": {"create": False}})
    account = plane.admin.service_account(f"{release.fullname}-submit", namespace)
    assert rights(plane.admin, account, namespace) <= ANYBODYS


def rights(admin: Api, account: Api, namespace: str) -> set[Right]:
    """All that the server lets the account do: in the namespace, and with what lies in none."""
    found = set()
    for api_version in served_versions(admin):
        root, group = (f"/apis/{api_version}", api_version.split("/")[0]) if "/" in api_version else ("/api/v1", "")
        for resource in resources(admin, api_version):
            scope = f"{root}/namespaces/{namespace}" if resource["namespaced"] else root
            name, _, part = resource["name"].partition("/")
            one = f"{scope}/{name}/no-such-thing" + (f"/{part}" if part else "")
            for verb in resource["verbs"]:
                if _is_let(account, verb, f"{scope}/{name}", one, is_part=bool(part)):
                    found.add((verb, group, resource["name"]))
    return found


def _is_let(account: Api, verb: str, many: str, one: str, is_part: bool) -> bool:
    requests = {
        "get": ("GET", one),
        "list": ("GET", many),
        "watch": ("GET", f"{many}?watch=true&timeoutSeconds=1"),
        "create": ("POST", one if is_part else many),
        "update": ("PUT", one),
        "patch": ("PATCH", one),
        "delete": ("DELETE", one),
        "deletecollection": ("DELETE", f"{many}?labelSelector=no-such-label"),
    }
    method, path = requests[verb]
    try:
        account.call(
            method, path, {} if method in ("POST", "PUT", "PATCH") else None, MERGE if method == "PATCH" else JSON
        )
    except RefusedError as error:
        return not (error.code == 403 and f"cannot {verb} " in error.message)
    return True


JSON: Final = "application/json"
