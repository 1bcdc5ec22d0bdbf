"""What the chart renders is taken by a real API server as it stands, and helm installs, tests and removes it whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from control_plane import ControlPlane
from helm_release import Release, everything
from rendered_chart import EXAMPLES, NIGHTLY, rendered
from server_api import Api, awaited
from tiny_kubelet import TinyKubelet

pytestmark = pytest.mark.kubernetes

examples = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@examples
def test_the_server_takes_every_object_of_an_example_and_knows_all_its_fields(
    example: Path, admin: Api, namespace: str
) -> None:
    version = admin.call("GET", "/version")
    values = yaml.safe_load(example.read_text(encoding="utf-8"))
    for manifest in rendered(values, kubernetes=version["gitVersion"]).objects:
        stored = admin.create(manifest, namespace)
        lost = set(_paths(manifest)) - set(_paths(stored))
        if int(version["minor"].rstrip("+")) < 25:  # time zones of CronJobs
            lost.discard(".spec.timeZone")
        assert not lost, f"{manifest['kind']} {manifest['metadata']['name']}"


@examples
def test_helm_installs_an_example_and_removing_it_leaves_nothing(
    example: Path, plane: ControlPlane, namespace: str
) -> None:
    before = everything(plane.admin, namespace)
    release = Release(plane, namespace)
    release.install(example, "--no-hooks", *_old_schedules(plane.admin))  # they pull models
    made = everything(plane.admin, namespace) - before
    assert f"ConfigMap/{release.fullname}-template" in made
    release.uninstall()
    awaited(lambda: everything(plane.admin, namespace) == before, f"nothing left of {sorted(made)}")


def test_two_releases_share_a_namespace(plane: ControlPlane, namespace: str) -> None:
    first, second = (Release(plane, namespace, name) for name in ("talks", "radio"))
    for release in (first, second):
        release.install(NIGHTLY)
    first.uninstall()
    assert second.get("v1", "ConfigMap", "-template")
    second.uninstall()


def test_helm_test_runs_the_doctor(plane: ControlPlane, namespace: str, kubelet: TinyKubelet) -> None:
    release = Release(plane, namespace)
    release.install({})
    assert "Phase:          Succeeded" in release.test(), kubelet.troubles


def _old_schedules(api: Api) -> list[str]:
    """Before 1.25 helm refuses a CronJob's time zone when it compares with the server's description of its API."""
    minor = int(api.call("GET", "/version")["minor"].rstrip("+"))
    return ["--disable-openapi-validation"] if minor < 25 else []


def _paths(value: object, path: str = "") -> Iterator[str]:
    """Every field with a content, by its path; an empty one may be left out by the server."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _paths(child, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _paths(child, f"{path}[{index}]")
    elif value not in (None, "", False, 0):
        yield path
